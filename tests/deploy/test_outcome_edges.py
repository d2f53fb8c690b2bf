"""What keeps a deploy from telling how it ended, or from telling it rightly."""

import json
import time
from pathlib import Path

import pytest

from tests.deploy.shell import ROOT, Shell, failure
from tests.deploy.test_outcome import FILES, NOTIFIED, ended
from tests.deploy.test_rollback import FILES as ROLLBACK_FILES, PARTS, VALUES


@pytest.mark.parametrize("script", ["sleep 12\n", "sleep 12 &\n"])
def test_what_the_notified_program_started_does_not_hold_the_output(script: str, shell: Shell) -> None:
    """A pipeline reads the output to its end: whoever holds it makes the deploy last longer."""
    shell.script("tell-the-team", f"#!/bin/sh\n{script}")
    since = time.monotonic()
    done = ended(shell, "export DEPLOY_NOTIFY=tell-the-team; exit 0", notify_seconds=1)
    assert done.status == 0
    assert time.monotonic() - since < 8


@pytest.mark.parametrize("name", ["note", "echo"])
def test_the_notified_program_may_be_named_as_a_function_or_builtin(
    name: str, shell: Shell, tmp_path: Path
) -> None:
    shell.script(name, NOTIFIED)
    ended(shell, f'export DEPLOY_NOTIFY="{name} {tmp_path}/notified prod"; exit 0')
    assert (tmp_path / "notified").exists()


def test_no_shell_reads_the_notified_command(shell: Shell, tmp_path: Path) -> None:
    ended(shell, f"export DEPLOY_NOTIFY='eval touch {tmp_path}/made'; exit 0")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("signal", ["TERM", "PIPE", "INT"])
def test_the_notified_program_can_be_ended(signal: str, shell: Shell) -> None:
    """Its own `timeout` sends TERM; what is ignored here would be ignored in all that it starts."""
    shell.script("tell-the-team", f"#!/bin/bash\nkill -{signal} $$\necho survived\nexit 7\n")
    done = ended(shell, "export DEPLOY_NOTIFY=tell-the-team; exit 0")
    assert "survived" not in done.stderr


@pytest.mark.parametrize("lost", ['rm -rf "$work"', 'mkdir "$work/outcome"'])
def test_a_disk_that_is_full_does_not_silence_the_end(lost: str, shell: Shell) -> None:
    """A build that fills the disk is a failure somebody waits to hear of; here $work cannot be written."""
    done = ended(shell, f"{lost}; fail 4 'no space left'", as_json="yes")
    assert done.status == 4
    assert json.loads(done.stdout)["status"] == 4


def test_the_revision_is_the_one_that_was_made(shell: Shell) -> None:
    """An interrupted watch: nobody has read the revisions since Helm applied the fifth."""
    done = ended(shell, "made_revisions=' 5'; kill -TERM $$", as_json="yes")
    assert json.loads(done.stdout)["revision"] == 5


def test_a_long_message_is_kept_all_the_same(shell: Shell) -> None:
    """A container's last line may be long. An argument holds 128 KiB, all of a ConfigMap 1 MiB."""
    ended(shell, "made_revisions=4; fail 8 \"$(printf '%0200000d' 0)\"")
    (call,) = shell.calls("kubectl", "patch configmap")
    assert "000000" in call
    assert len(call) < 1024 * 1024 / 50


def test_an_api_server_that_is_away_does_not_hold_up_the_end(shell: Shell) -> None:
    away = failure("dial tcp 10.0.0.1:6443: i/o timeout")
    shell.stub("kubectl", {"": away})
    since = time.monotonic()
    done = shell.run("set_traps; made_revisions=' 4 5'; exit 143", *FILES)
    assert done.status == 143
    assert time.monotonic() - since < 10


def test_what_the_notified_program_said_is_told_in_short(shell: Shell) -> None:
    shell.script("tell-the-team", "#!/bin/sh\nhead -c 3000000 /dev/zero | tr '\\0' x\nexit 1\n")
    done = ended(shell, "export DEPLOY_NOTIFY=tell-the-team; exit 0")
    assert len(done.stderr) < 10_000


def test_a_signal_as_the_end_begins_leaves_no_lock(shell: Shell) -> None:
    """TERM before on_exit ignores it ends the trap itself: nothing is cleaned up, another status."""
    late = 'trap() { if [ "$*" = "- ERR EXIT" ]; then kill -TERM $$; fi; builtin trap "$@"; }'
    done = ended(shell, f"release_lock() {{ echo released; }}; {late}; exit 0")
    assert (done.status, done.stdout) == (0, "released\n")


def test_an_unknown_uid_is_no_bug(shell: Shell) -> None:
    """As in a container of Jenkins or OpenShift, that has a uid and no name for it."""
    shell.script("id", "#!/bin/sh\necho 'id: cannot find name for user ID 1000710000' >&2\nexit 1\n")
    shell.stub("kubectl", {"create": "5"})
    snippet = 'set_traps; lock_identity=$(printf "%s" "$(deployer)"); trap - EXIT; echo "$lock_identity"'
    done = shell.run(snippet, *FILES)
    assert "bug" not in done.stderr
    assert not done.stdout.startswith("@")


def kept(shell: Shell) -> set[str]:
    """The revisions that an outcome was kept with."""
    calls = shell.calls("kubectl", '{"data":{"revision-')
    return {call.partition('"revision-')[2].partition('"')[0] for call in calls}


def test_a_revision_that_helm_failed_at_has_an_outcome(shell: Shell) -> None:
    history = ["4 d deployed\n", "4 d deployed\n5 e failed\n"]
    shell.stub(
        "kubectl",
        {"get secrets": history, "get lease": "5 me then", "patch": "", "diff": failure("", 1), "get": ""},
    )
    shell.stub(
        "helm", {"upgrade": failure("Error: UPGRADE FAILED: no"), "get manifest": "kind: Deployment\n"}
    )
    (shell.work / "shop.yaml").write_text("kind: Deployment\n# new\n")
    call = 'release_failed() { fail "$2" "$3"; }; set_traps'
    shell.run(
        f"{call}; work={shell.work}; apply_release shop chart",
        *FILES,
        "charts",
        "replicas",
        lock_identity="me",
        redis_release="shop-redis",
    )
    assert kept(shell) == {"5"}


@pytest.mark.parametrize("call", ["release_failed shop 8 'it failed'", "rollback_service"])
def test_a_rollback_that_does_not_come_up_has_an_outcome(call: str, shell: Shell) -> None:
    """The worst end of all, exit 10, is the one that people look for in the history."""
    failed = "1 a superseded\n2 b superseded\n3 c failed\n"
    shell.stub(
        "kubectl",
        {
            "get deployment shop": "false/3",
            "get secrets": [failed, failed, failed + "4 d failed\n"],
            "get configmap": "1/a 2/b",
            "get lease": "5 me then",
            "patch configmap": "",
        },
    )
    revisions = {f"get values shop --revision {one}": VALUES.format(one) for one in (1, 2, 3)}
    manifest = "kind: Deployment\n  replicas: 3\n"
    shell.stub("helm", {**revisions, "get manifest": manifest, "history": "[]", "rollback": ""})
    done = shell.run(
        f"{PARTS}\nset_traps\nread_revisions shop\n{call}",
        *FILES,
        *ROLLBACK_FILES,
        lock_identity="me",
        redis_release="shop-redis",
        base_url="new.test",
        rollback_revision="",
        watch_status=1,
        as_json="yes",
    )
    assert done.status == 10, done
    assert "4" in kept(shell)
    assert "shop" in json.loads(done.stdout.splitlines()[-1])["changed"], "it may be half-way"


def test_a_release_that_was_installed_anew_does_not_inherit_an_outcome(shell: Shell) -> None:
    """After `helm uninstall` by hand the ConfigMap is still there; what was verified has a UID."""
    shell.stub("kubectl", {"get secrets": "4 old deployed\n", "patch": "", "get": ""})
    snippet = 'set_traps; made_revisions=4; revisions[shop]="4 old deployed"; fail 9 "long ago"'
    shell.run(snippet, *FILES)
    document = json.loads(shell.calls("kubectl", "patch configmap")[0].partition(" -p ")[2])["data"]
    lines = "".join(f"{key} {value}\n" for key, value in document.items() if value)
    shell.stub("kubectl", {"get secrets": "4 new deployed\n", "go-template": lines, "get configmap": "4/old"})
    told = json.loads(shell.says("show_history", "record", "status", as_json="yes"))
    assert told == [{"revision": 4, "state": "deployed", "verified": False, "outcome": None}]


@pytest.mark.parametrize("report", ["show_history", "show_plan"])
def test_a_reader_who_leaves_is_no_bug(report: str, shell: Shell) -> None:
    """`--history | head -n 1`."""
    shell.stub("kubectl", {"get secrets": "4 d deployed\n", "go-template": "", "get configmap": "4/d"})
    shell.stub("helm", {"history": "REVISION  STATUS\n4  deployed\n"})
    snippet = (
        f'set_traps; make_plan() {{ plan_differs=yes; echo "# new" >"$work/plan"; }}; {report} >/dev/full'
    )
    done = shell.run(snippet, *FILES, "status", "plan", action="history")
    assert "bug" not in done.stderr, done


def test_the_commit_is_not_of_the_version_that_was_restored(shell: Shell) -> None:
    """A deploy by digest failed in its watch; the version before is asked, and says its own commit."""
    head = r"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    said = head + json.dumps({"image_digest": "sha256:old", "git_commit": "old"}).replace('"', r"\"")
    shell.script("curl", f'#!/bin/bash\nprintf "{said}\\n200\\036"\n')
    snippet = 'good_answers="GET /version 200 1 application/json json \\"image_digest\\": *\\"DIGEST\\""'
    call = 'asked_digest=sha256:new; ask_answers serving sha256:old http://shop.test; echo "$commit"'
    assert shell.says(f"{snippet}; {call}", "good_answers", "answers", shown_environment="DEV") == "unknown"


def test_an_interrupted_command_does_not_swallow_the_document(shell: Shell) -> None:
    """What the command writes goes to a file at that moment; the document does not."""
    call = 'try_once sh -c "kill -TERM $$; exec sleep 60"'
    done = ended(shell, call, as_json="yes")
    assert json.loads(done.stdout)["status"] == 143


def test_without_a_temporary_folder_nothing_begins(shell: Shell) -> None:
    done = shell.run("export TMPDIR=/no/such; set_traps; echo on", *FILES)
    assert done.status == 3
    assert "in «/no/such»" in done.stderr
    assert done.stdout == ""


def test_a_closed_output_is_no_bug(shell: Shell) -> None:
    done = shell.run(f"exec >&-; . {ROOT}/deploy/output.sh; result lost; echo here >&2", *FILES)
    assert (done.status, done.stderr) == (0, "here\n")
