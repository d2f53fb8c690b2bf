"""How a candidate is examined, and what is said of one that does not come up or ends badly."""

import pytest

from tests.deploy.rollouts import deployment
from tests.deploy.shell import Done, Reply, Shell, failure

FILES = ["charts", "record", "lock", "forward", "evidence", "watch", "trouble"]
FILES += ["candidate", "candidate_examination"]


def unreached(shell: Shell, ready: str) -> Done:
    """No port-forward comes to be, and the candidate has no time left."""
    shell.stub(
        "kubectl",
        {
            "get pod shop-candidate": f"Running|||{ready}|now|||",
            "port-forward": failure("error: pods/portforward is forbidden"),
            "get deployment,": deployment(),
            "logs": "",
            "get": "",
            "describe": "",
        },
    )
    variables = {"candidate_seconds": 0, "readiness_path": "/readyz", "redis_mode": "external"}
    return shell.run("DEPLOY_EVIDENCE=$work; await_ready_candidate", *FILES, **variables)


def test_a_ready_candidate_that_no_port_forward_reaches_is_not_bad(shell: Shell) -> None:
    done = unreached(shell, ready="True")
    assert done.status == 3
    assert "no port-forward reaches it: error: pods/portforward is forbidden" in done.stderr
    done = unreached(shell, ready="False")
    assert done.status == 8
    assert "it is not ready after 0 s" in done.stderr


def observed(shell: Shell, line: str) -> Done:
    shell.stub("kubectl", {"get pod shop-candidate": line, "logs": "the last words\n", "get events": ""})
    call = "unset SECONDS; SECONDS=100; observe_candidate; SECONDS=161; observe_candidate"
    call += '; echo "$candidate_fault"'
    return shell.run(call, *FILES)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("Running|||True|now|||", ""),
        (
            "Failed|||False||OOMKilled 137||",
            "its container ended: OOMKilled, exit status 137; its last line: the last words",
        ),
        (
            "Pending|||False||||ImagePullBackOff 503",
            "pod shop-candidate: its image cannot be pulled: ImagePullBackOff 503",
        ),
        ("Pending|||False||||ContainerCreating ", ""),
    ],
)
def test_what_is_wrong_with_a_candidate(line: str, fault: str, shell: Shell) -> None:
    assert observed(shell, line).stdout.strip() == fault


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "the pod shop-candidate was deleted by somebody"),
        (
            "Failed|Evicted||False||OOMKilled 137||",
            "the pod shop-candidate was ended by the cluster: Evicted",
        ),
        ("Failed|DeadlineExceeded||False||||", "was ended by the cluster: DeadlineExceeded"),
        # A drain: it ends with all its grace, and the kubelet says how before the API server forgets it.
        ("Succeeded||2026-01-01T00:00:00Z|False||Completed 0||", "was deleted by somebody"),
        ("Failed||2026-01-01T00:00:00Z|False||Error 137||", "was deleted by somebody"),
        ("Running||2026-01-01T00:00:00Z|False|now|||", "was deleted by somebody"),
    ],
)
def test_what_others_did_to_it_is_not_its_fault(line: str, why: str, shell: Shell) -> None:
    done = observed(shell, line)
    assert done.status == 3
    assert why in done.stderr
    assert "nothing was changed; run the same command again" in done.stderr


def test_no_node_for_the_candidate_is_not_its_fault(shell: Shell) -> None:
    done = observed(shell, "Pending|||False|||0/3 nodes: Insufficient cpu|")
    assert done.status == 3
    assert "there is no room for one more pod" in done.stderr
    assert "--no-candidate" in done.stderr


@pytest.mark.parametrize(
    ("said", "log"),
    [
        ("redis: authentication 503", ""),
        ("503", '{"event":"redis unavailable","reason":"authentication"}'),
        ("503", "redis unavailable reason=authentication route=/"),
        ("503", "NOPERM No permissions to access a key"),
    ],
)
def test_redis_that_forbids_the_candidates_key_is_named(said: str, log: str, shell: Shell) -> None:
    shell.stub("kubectl", {"logs": log})
    done = shell.run(f"spare_it '{said}'", *FILES)
    assert done.status == 3
    assert "Redis does not let the candidate count" in done.stderr
    assert "{<COUNTER_KEY>}:candidate" in done.stderr


LEASE = {"get lease": "5 me then"}


def told_to_end(shell: Shell, answers: list[str | Reply], more: str = ":", delay: int = 5) -> Done:
    shell.stub("kubectl", {**LEASE, "delete pod": "", "logs": "", "get": "", "describe": ""})
    shell.stub("curl", {"/readyz": ["ok 200", "draining 503"], "/version": answers})
    variables = {
        "readiness_path": "/readyz",
        "first_path": "/version",
        "redis_mode": "external",
        "drain_delay": delay,
        "slowest_answer": 2,
        "lock_identity": "me",
    }
    call = f"start_forward() {{ :; }}; {more}; DEPLOY_EVIDENCE=$work; examine_drain"
    return shell.run(
        call, *FILES, "answers", base_url="shop.example", forward_address="127.0.0.1:1", **variables
    )


REFUSED = failure("curl: (52) Empty reply from server", 52)


@pytest.mark.parametrize(
    "answers", [["{} 200"], [REFUSED, "{} 200"]], ids=["at once", "through another port-forward"]
)
def test_a_candidate_that_was_told_to_end_still_answers(answers: list[str | Reply], shell: Shell) -> None:
    assert told_to_end(shell, answers).status == 0
    assert len(shell.calls("kubectl", "delete pod shop-candidate --wait=false")) == 1


@pytest.mark.parametrize("answers", [[REFUSED], ["Gone 503"]], ids=["refuses", "answers wrongly"])
def test_a_candidate_that_ends_at_once_is_bad(answers: list[str | Reply], shell: Shell) -> None:
    done = told_to_end(shell, answers)
    assert done.status == 9
    assert "told to end, it answers no more, while visitors are still sent to it for up to 5 s" in done.stderr


def test_a_candidate_is_asked_until_the_kubelet_has_told_it(shell: Shell) -> None:
    """Which may take its time: until then it answers well, whatever it does then."""
    late = "unset SECONDS; SECONDS=0; run() { SECONDS=$((SECONDS + 1)); }"
    ended_at_3 = "ask_candidate() { reply='ok 200'; [ $SECONDS -lt 3 ]; }"
    done = told_to_end(shell, [], f"{late}; {ended_at_3}")
    assert done.status == 9, done.stderr
    assert "told to end, it answers no more" in done.stderr


def test_a_candidate_that_is_asked_too_late_is_not_blamed(shell: Shell) -> None:
    late = "unset SECONDS; SECONDS=0; start_forward() { SECONDS=5; return 1; }"
    done = told_to_end(shell, [REFUSED], late)
    assert done.status == 0
    assert "was not seen in time" in done.stderr


def test_where_pods_end_without_delay_so_may_the_candidate(shell: Shell) -> None:
    assert told_to_end(shell, [REFUSED], delay=0).status == 0
    assert shell.calls("kubectl") == []


def test_a_version_that_speaks_of_authentication_is_not_spared(shell: Shell) -> None:
    shell.stub("kubectl", {"logs": "the authentication middleware is ready", "get": deployment()})
    assert shell.says("spare_it 503; echo blamed", *FILES) == "blamed"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("error: unable to forward port because pod is not running. Current status=Succeeded", 9),
        ("error: dial tcp 10.0.0.1:6443: connect: connection refused", 0),
    ],
    ids=["it has ended", "the API server is away"],
)
def test_the_version_before_does_not_answer_for_a_candidate_that_has_ended(
    error: str, status: int, shell: Shell
) -> None:
    """Without a way to the candidate, curl would ask the host itself, where visitors are served."""
    no_way = f"start_forward() {{ forward_address=''; echo '{error}' >$work/error; return 1; }}"
    done = told_to_end(shell, [REFUSED, "{} 200"], no_way)
    assert done.status == status, done
    assert shell.calls("curl", "--connect-to :: ") == []
