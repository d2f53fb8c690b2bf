"""What a second reading of deploy.sh found: each of these belongs beside the tests of the file it names."""

from pathlib import Path

import pytest

from tests.deploy.answering import answering_service
from tests.deploy.rollouts import deployment, pod, replica_sets
from tests.deploy.shell import Reply, Shell, failure
from tests.deploy.test_answers_asked import ask
from tests.deploy.test_arguments import GOOD, deploy, tools
from tests.deploy.test_namespace import KINDS, OURS, inhabitants
from tests.deploy.test_release import applied
from tests.deploy.test_rollback import FAILED, rolled_back
from tests.deploy.test_smoke import FILES as SMOKE_FILES, HOST, PARTS, ended

__all__ = ["tools"]


def test_smoke_an_entrance_that_was_good_and_is_gone_is_a_fault(shell: Shell) -> None:
    """Not even the Service can be asked: that is no better than when it can."""
    more = 'none=1 entrance_was_good=yes smoke_seconds=0; echo unreachable >"$work/error"'
    assert ended(shell, more).startswith("1 ")


def test_smoke_a_version_that_dies_while_it_is_asked_is_not_good(shell: Shell) -> None:
    gone = "find_entrance() { looks=$((looks + 1)); entrance=there entrance_options=(--there); "
    gone += "[ $looks -lt 2 ]; }; looks=0"
    more = f'bad_times=9 bad_status=2; echo unreachable >"$work/error"; {gone}'
    assert ended(shell, more).startswith("1 ")


def test_smoke_one_unlucky_answer_before_the_change_excuses_nothing(shell: Shell) -> None:
    shell.no_sleep()
    shell.stub("curl", {"": [Reply("502 "), Reply("200 ")]})
    shell.stub("helm", {"get values shop --revision 4": HOST})
    call = 'verified[shop]=4; read_baseline shop.test; echo "$entrance_was_good"'
    assert shell.says(f"{PARTS}\n{call}", *SMOKE_FILES) == "yes"


def test_release_a_pod_that_was_restarted_long_ago_is_not_this_deploys(shell: Shell) -> None:
    """The Ingress alone changes: these pods ran before, and go on."""
    lines = deployment() + replica_sets(new="2") + pod("shop-new-1", "new", restarts=1)
    shell.no_sleep()
    shell.stub("kubectl", {"logs": "", "get deployment,": lines})
    call = """
    apply_release() { applied[shop]=5; }
    smoke_test() { :; }
    mark_verified() { :; }
    service_failed() { echo "$*"; exit 42; }
    deploy_service; watch_service; smoke_service
    """
    done = shell.run(call, "charts", "record", "release", "watch", asked_digest="sha256:ab", content="")
    assert done.status == 0, done.stdout


def test_rollback_a_revision_that_somebody_made_meanwhile_is_not_the_copy(shell: Shell) -> None:
    after = FAILED + "4 d deployed\n"
    theirs = FAILED + "4 d superseded\n5 e deployed\n"
    rolled_back(shell, "service_failed 8 'it failed'", [FAILED, after, theirs], "1/a 2/b")
    assert not shell.calls("kubectl", "5/e"), "nobody asked revision 5 anything"


def test_rollback_leaves_what_somebody_did_during_a_deploy_that_changed_nothing(shell: Shell) -> None:
    history: list[str | Reply] = ["1 a deployed\n", "1 a superseded\n2 b deployed\n"]
    done = rolled_back(shell, "read_revisions shop; service_failed 9 'it failed'", history, "1/a")
    assert not shell.calls("helm", "rollback")
    assert done.status == 10


def test_release_helm_refusing_because_somebody_elses_is_under_way_undoes_nothing(shell: Shell) -> None:
    busy = failure("Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress")
    done = applied(shell, busy, history=["4 d deployed\n", "4 d deployed\n5 e pending-upgrade\n"])
    assert "service 6" not in done.stdout, "service_failed rolls back what they are doing"


def test_release_pods_of_an_install_that_failed_half_way_are_not_uninstalled(shell: Shell) -> None:
    """They may serve: only a first installation that is pending served nobody."""
    shell.stub("kubectl", {"get secrets": "1 a failed\n2 b pending-upgrade\n", "get configmap": ""})
    call = "roll_back() { echo roll back $*; }; uninstall_release() { echo uninstall $*; }"
    call += "; read_revisions shop; recover_pending shop"
    assert "uninstall" not in shell.says(call, "charts", "record", "lock", "replicas", "release")


def test_processes_redis_that_changed_is_not_called_unchanged(shell: Shell) -> None:
    said = shell.says("changes=(shop-redis); way_on", current_step="release", changing="")
    assert "shop-redis" in said


def test_candidate_who_wants_none_needs_no_right_to_pods(shell: Shell) -> None:
    forbidden = failure('Error from server (Forbidden): pods "shop-candidate" is forbidden')
    shell.stub(
        "kubectl",
        {
            "get secrets": "",
            "get configmap": "",
            "get lease": "5 me then",
            "get deployment shop": "",
            "get pod": "",
            "delete pod": forbidden,
        },
    )
    files = ["charts", "record", "lock", "forward", "evidence", "watch", "candidate"]
    call = "render_service() { :; }; test_candidate"
    done = shell.run(call, *files, lock_identity="me", asked_digest="", candidate="no")
    assert done.status == 0, done.stderr


def test_answers_curls_own_settings_do_not_matter(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`insecure` there would make a certificate good that is not, `retry` an answer that was an error."""
    (tmp_path / ".curlrc").write_text("fail\n")
    monkeypatch.setenv("CURL_HOME", str(tmp_path))
    with answering_service() as service:
        assert ask(shell, service.url) == (0, "")


def test_answers_a_service_that_says_redis_is_away_is_not_a_wrong_one(shell: Shell) -> None:
    """`degraded` is what healthz is documented to say; readyz, the next line, is a 503 then."""
    answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\ndegraded\n\n200\036"
    shell.stub("curl", {"": answer * 3})
    only = 'good_answers=$(grep " /healthz " <<<"$good_answers")'
    call = f'{only}; status=0; ask_answers alone sha256:ab http://x || status=$?; echo "$status"'
    assert shell.says(call, "good_answers", "answers", shown_environment="DEV") != "1"


@pytest.mark.parametrize("name", ["SMOKE_SECONDS", "CANDIDATE_SECONDS", "PULL_SECONDS", "SLOWEST_ANSWER"])
def test_arguments_seconds_that_are_none_are_refused_before_anything(name: str, tools: Path) -> None:
    """After the release, bash ends the whole script at the first sum with them: no rollback, no words."""
    done = deploy(GOOD, tools, **{f"DEPLOY_{name}": "45s"})
    assert done.returncode == 2, done


def test_namespace_metrics_that_are_away_hide_nobody_else(shell: Shell) -> None:
    """kubectl names all groups that it cannot see in one line."""
    error = "error: unable to retrieve the complete list of server APIs: "
    error += "backup.test/v1: EOF, metrics.k8s.io/v1beta1: not now\n"
    (one,) = inhabitants(shell, OURS, Reply(KINDS, 1, error))
    assert one.startswith("unknown/")
