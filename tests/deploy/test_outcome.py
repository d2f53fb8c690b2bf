"""The one document that says how it ended: printed, handed over, and kept."""

import json
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from tests.deploy.shell import Done, Shell

FILES = ["image", "record", "lock", "forward", "candidate", "release", "entrance", "evidence"]
NOTIFIED = '#!/bin/sh\ncat >>"$1"\necho "$#: $2" >"$1.arguments"\n'


@given(st.text(st.characters(codec="ascii", exclude_characters="\0")))
@settings(max_examples=30, deadline=None)
def test_any_words_make_valid_json(words: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        said = Shell(Path(folder)).says('json_object words "$words" "#number" 7 "#nothing" ""', words=words)
    told = json.loads(said)
    # What is no letter to print is shown as «?», but for the end of a line and a tab.
    shown = "".join(one if one.isprintable() or one in "\n\t" else "?" for one in words)
    assert told == {"words": shown, "number": 7, "nothing": None}


def test_half_a_character_is_no_invalid_json(shell: Shell) -> None:
    done = shell.says("json_object words $'«caf\\xc3»'")
    assert json.loads(done) == {"words": "«caf?»"}


def ended(shell: Shell, end: str, **variables: object) -> Done:
    history = "3 c superseded\n4 d superseded\n5 e deployed\n"
    kept = {"patch configmap": "", "get configmap": "", "get secrets": history, "get lease": "5 me then"}
    shell.stub("kubectl", kept)
    snippet = f"set_traps; lock_identity=me renewer=; current_step=watch; newest[shop]=4; {end}"
    known = {
        "image_name": "registry.test/visits",
        "image_tag": "1.0",
        "asked_digest": "sha256:ab",
        **variables,
    }
    return shell.run(snippet, *FILES, **known)


ENDS = {
    "fail 8 'it «failed»' 'mend it'": (8, "failed", "it «failed»", "mend it"),
    "exit 0": (0, "succeeded", "", ""),
    "fail 3 no": (3, "failed", "no", ""),
    "kill -TERM $$": (143, "interrupted", "interrupted in the step «watch»", None),
    "step watch false": (1, "failed", None, None),
}


@pytest.mark.parametrize("end", ENDS)
def test_every_end_is_told_once_to_whoever_asked(end: str, shell: Shell, tmp_path: Path) -> None:
    status, word, message, advice = ENDS[end]
    shell.script("tell-the-team", NOTIFIED)
    notified = tmp_path / "notified"
    done = ended(shell, f'export DEPLOY_NOTIFY="tell-the-team {notified} prod"; {end}', as_json="yes")
    assert done.status == status, done
    told = json.loads(done.stdout)
    assert json.loads(notified.read_text()) == told
    assert Path(f"{notified}.arguments").read_text() == "2: prod\n"
    assert (told["status"], told["outcome"], told["step"]) == (status, word, "watch")
    assert told["message"] == message or (message is None and told["message"].startswith("bug: line "))
    assert advice is None or told["advice"] == advice
    assert (told["project"], told["context"], told["namespace"]) == ("shop", "testing", "shop")
    assert (told["image"], told["tag"], told["digest"]) == ("registry.test/visits", "1.0", "sha256:ab")
    assert (told["action"], told["environment"], told["revision"]) == ("deploy", "dev", 4)
    assert all(told["by"].split("@"))


def test_it_is_kept_under_the_lock_and_told_when_that_is_free(shell: Shell) -> None:
    order = "; ".join(
        f"{name}() {{ echo {name}; }}" for name in ["keep_outcome", "release_lock", "tell_outcome"]
    )
    assert ended(shell, f"{order}; exit 0").stdout.split() == ["keep_outcome", "release_lock", "tell_outcome"]


@pytest.mark.parametrize("action", ["status", "history"])
def test_a_report_is_the_only_document(action: str, shell: Shell) -> None:
    assert ended(shell, "exit 0", action=action, as_json="yes").stdout == ""
    assert json.loads(ended(shell, "fail 3 no", action=action, as_json="yes").stdout)["status"] == 3


def test_without_being_asked_nothing_is_printed(shell: Shell) -> None:
    assert ended(shell, "exit 0").stdout == ""


@pytest.mark.parametrize(
    ("action", "count"), [("plan", 0), ("status", 0), ("history", 0), ("rollback", 1), ("uninstall", 1)]
)
def test_only_what_changes_something_is_handed_over(action: str, count: int, shell: Shell) -> None:
    shell.stub("tell-the-team", {"": ""})
    ended(shell, "export DEPLOY_NOTIFY=tell-the-team; exit 0", action=action)
    assert len(shell.calls("tell-the-team")) == count


@pytest.mark.parametrize(
    ("script", "warning"),
    [
        ("#!/bin/sh\necho no such channel >&2\nexit 7\n", "ended with status 7"),
        ("#!/bin/sh\nexec sleep 60\n", "ended with status 137"),
        (None, "ended with status 127"),
    ],
)
def test_who_cannot_be_told_does_not_fail_the_deploy(script: str | None, warning: str, shell: Shell) -> None:
    if script:
        shell.script("tell-the-team", script)
    since = time.monotonic()
    done = ended(shell, "export DEPLOY_NOTIFY=tell-the-team; exit 0", notify_seconds=1)
    assert done.status == 0
    assert warning in done.stderr
    assert time.monotonic() - since < 15


def test_what_a_program_is_given_is_not_printed(shell: Shell) -> None:
    """It may be a chat's address with a token in it."""
    shell.script("tell-the-team", "#!/bin/sh\nexit 7\n")
    done = ended(shell, "export DEPLOY_NOTIFY='tell-the-team https://chat.test/s3cret'; exit 0")
    assert "DEPLOY_NOTIFY «tell-the-team …» ended with status 7" in done.stderr
    assert "s3cret" not in done.stderr


def test_a_shells_line_is_no_command(shell: Shell, tmp_path: Path) -> None:
    shell.stub("tell-the-team", {"": ""})
    ended(
        shell,
        f"export DEPLOY_NOTIFY='tell-the-team $(touch {tmp_path}/made) ; touch {tmp_path}/made'; exit 0",
    )
    assert shell.calls("tell-the-team") == [f"$(touch {tmp_path}/made) ; touch {tmp_path}/made"]
    assert not (tmp_path / "made").exists()


def test_it_is_kept_with_each_revision_that_was_made(shell: Shell) -> None:
    ended(shell, "made_revisions=' 4 5'; fail 9 'it \"failed\"'")
    (call,) = shell.calls("kubectl", "patch configmap")
    data = json.loads(call.partition(" -p ")[2])["data"]
    assert sorted(data) == ["revision--45", "revision--46", "revision-4", "revision-5"]
    assert data["revision--46"] is None, "the map does not grow for ever"
    uid, _, document = data["revision-4"].partition(" ")
    assert uid == "d"
    assert json.loads(document)["message"] == 'it "failed"'


def test_what_another_deploy_has_locked_is_not_written(shell: Shell) -> None:
    ended(shell, 'made_revisions=4; echo other >"$work/lock-lost"; exit 0')
    assert shell.calls("kubectl", "patch") == []


def test_a_record_that_cannot_be_kept_changes_no_status(shell: Shell) -> None:
    shell.no_sleep()
    done = shell.run("set_traps; made_revisions=4; patience=0; exit 0", *FILES)
    assert done.status == 0
    assert "could not be kept for --history" in done.stderr
