"""When a rollout is complete, and which trouble ends it, how soon."""

import pytest

from tests.deploy.rollouts import FIELDS, deployment, line, pod, replica_sets, stateful_set
from tests.deploy.shell import ROOT, Reply, Shell, failure

FILES = ["watch", "trouble"]
CRASHING = "CrashLoopBackOff back-off 10s restarting failed container"
SETS = replica_sets(old="1", new="2")
MISSING_IMAGE = "ErrImagePull failed to pull image: manifest unknown"
BUSY_REGISTRY = "ImagePullBackOff Back-off pulling image: 503 Service Unavailable"


def observed(shell: Shell, *moments: tuple[int, str], what: str = "deployment shop", **events: str) -> str:
    """What rollout_fault is after observations, each at a second."""
    replies: list[str | Reply] = [lines for _, lines in moments]
    events_of_pod = {"get pod ": "uid-of-pod", "uid=uid-of-pod": events.get("reasons", "")}
    shell.stub("kubectl", {**events_of_pod, "logs": "the last words\n", "get": replies})
    # Unset first, a clock is a number that stands still.
    steps = [f"SECONDS={second}; observe {what}" for second, _ in moments]
    return shell.says("\n".join(["since=()", "unset SECONDS", *steps, 'echo "$rollout_fault"']), *FILES)


def test_the_lines_have_the_fields_that_are_read() -> None:
    """Each of them is asked of the server between bars."""
    text = (ROOT / "deploy" / "watch.sh").read_text()
    asked = "".join(part.split("'")[1] for part in text.splitlines() if part.startswith("watch_fields"))
    assert asked.count("|") == len(FIELDS) - 1


def test_nobody_is_judged_until_the_controller_has_seen_the_change(shell: Shell) -> None:
    """Until then what it calls new is the version before, which may be the one that fails."""
    lines = SETS + pod("shop-new-1", "new", CRASHING, restarts=3, unschedulable="0/3 nodes")
    assert observed(shell, (0, deployment(observed=4, failure="exceeded quota") + lines)) == ""
    assert "shop-new-1" in observed(shell, (0, deployment() + lines))


def test_nobody_of_a_stateful_set_is_judged_before_either(shell: Shell) -> None:
    lines = line("Pod", "shop-redis-0", revision_hash="redis-new", waiting=CRASHING, restarts=1)
    what = "statefulset shop-redis"
    assert observed(shell, (0, stateful_set(observed=4) + lines), what=what) == ""
    assert "shop-redis-0" in observed(shell, (0, stateful_set() + lines), what=what)


def test_only_new_pods_are_judged(shell: Shell) -> None:
    lines = deployment() + SETS + pod("shop-old-1", "old", CRASHING, restarts=3, unschedulable="0/3 nodes")
    assert observed(shell, (0, lines), (999, lines)) == ""
    lines = stateful_set(current="redis-old") + line("Pod", "r", revision_hash="redis-old", waiting=CRASHING)
    assert observed(shell, (0, lines), what="statefulset shop-redis") == ""


def test_a_container_that_ends_again_and_again_ends_it_at_once(shell: Shell) -> None:
    fault = observed(shell, (0, deployment() + SETS + pod("shop-new-1", "new", CRASHING)))
    assert fault.startswith("pod shop-new-1: its container ends again and again: ")
    assert fault.endswith("; its last line: the last words")


SUSPECTS = {
    "a registry that is away": (pod("p", "new", BUSY_REGISTRY), 60, "cannot be pulled"),
    "an image that is not there": (pod("p", "new", MISSING_IMAGE), 2, "cannot be pulled"),
    "no right to pull": (pod("p", "new", "ImagePullBackOff 403 Forbidden: denied"), 2, "cannot be pulled"),
    "a wrong name": (pod("p", "new", "InvalidImageName no such form"), 2, "cannot be pulled"),
    "a missing ConfigMap": (pod("p", "new", "CreateContainerConfigError no key"), 6, "cannot be started"),
    "a missing program": (pod("p", "new", "RunContainerError no such file"), 6, "cannot be started"),
    "no node": (pod("p", "new", unschedulable="0/3 nodes"), 30, "no node can take it: 0/3 nodes"),
}


@pytest.mark.parametrize("case", SUSPECTS)
def test_trouble_that_may_pass_counts_when_it_lasts(case: str, shell: Shell) -> None:
    lines, seconds, fault = SUSPECTS[case]
    lines = deployment() + SETS + lines
    assert observed(shell, (100, lines), (99 + seconds, lines)) == ""
    assert fault in observed(shell, (100, lines), (100 + seconds, lines))


def test_trouble_that_passed_begins_anew(shell: Shell) -> None:
    lines = deployment() + SETS + SUSPECTS["no node"][0]
    assert observed(shell, (100, lines), (110, deployment() + SETS), (140, lines)) == ""


@pytest.mark.parametrize("reason", ["TriggeredScaleUp", "Nominated"])
def test_a_node_that_is_being_added_is_waited_for(reason: str, shell: Shell) -> None:
    lines = deployment() + SETS + SUSPECTS["no node"][0]
    reasons = f"FailedScheduling {reason}"
    assert observed(shell, (100, lines), (279, lines), reasons=reasons) == ""
    assert "no node" in observed(shell, (100, lines), (280, lines), reasons=reasons)


def test_each_pod_waits_for_a_node_by_its_own_clock(shell: Shell) -> None:
    """One that has just come has no such event yet, while another waits for long."""
    first, second = (pod(name, "new", unschedulable="0/3 nodes") for name in ("a", "b"))
    lines = deployment() + SETS + first
    events: dict[str, str | list[str | Reply]] = {"get pod a": "uid-a", "get pod b": "uid-b"}
    events |= {"uid=uid-a": "FailedScheduling TriggeredScaleUp", "uid=uid-b": "FailedScheduling"}
    shell.stub("kubectl", {**events, "get": [lines, lines + second]})
    moments = "unset SECONDS\nfor SECONDS in 100 135; do observe deployment shop; done"
    assert shell.says(f'since=()\n{moments}\necho "$rollout_fault"', *FILES) == ""


def test_a_node_that_was_announced_is_not_forgotten(shell: Shell) -> None:
    """One answer of a busy API server that does not come must not end a rollout."""
    lines = deployment() + SETS + SUSPECTS["no node"][0]
    events: list[str | Reply] = ["TriggeredScaleUp", failure("Error from server (TooManyRequests): again")]
    shell.stub("kubectl", {"get pod ": "uid", "uid=uid": events, "get": lines})
    moments = "unset SECONDS\nfor SECONDS in 100 140; do observe deployment shop; done"
    assert shell.says(f'since=()\n{moments}\necho "$rollout_fault"', *FILES) == ""


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"replicas": 5, "all": 5, "updated": 5, "available": 4}, "complete"),
        ({"replicas": 5, "all": 5, "updated": 5, "available": 2}, "pod p: no node"),
        # One of the version before serves on, in place of the new one that waits.
        ({"replicas": 3, "all": 4, "updated": 3, "available": 3}, "pod p: no node"),
    ],
    ids=["more than at first", "fewer than at first", "an old pod"],
)
def test_more_pods_than_there_is_room_for_are_not_the_versions_fault(
    fields: dict[str, object], said: str, shell: Shell
) -> None:
    """The autoscaler raises the number during the rollout."""
    scaler = line("HorizontalPodAutoscaler", "shop", least=3)
    waits = scaler + SETS + SUSPECTS["no node"][0]
    moments: list[str | Reply] = [deployment(updated=1) + scaler + SETS, deployment(**fields) + waits]
    shell.no_sleep()
    shell.stub("kubectl", {"get pod ": "uid", "get events": "", "get": moments})
    awaited = 'await_rollout deployment shop "" && echo complete || echo "$rollout_fault"'
    assert shell.says(f"unschedulable_seconds=0\n{awaited}", *FILES).startswith(said)


@pytest.mark.parametrize(
    ("least", "said"),
    [("2", "complete"), ("3", "pod p: no node can take it: 0/3 nodes"), ("", "pod p: no node")],
)
def test_a_pod_that_had_no_room_before_has_none_after(least: str, said: str, shell: Shell) -> None:
    """Were it a fault, no rollback in a full cluster could succeed.

    The Deployment even keeps a pod of the version that failed, because it may not have fewer.
    """
    waits = SETS + SUSPECTS["no node"][0]
    moments: list[str | Reply] = [deployment(available=2, all=left) + waits for left in (4, 4)]
    shell.stub("kubectl", {"get pod ": "uid", "get events": "", "get": moments})
    awaited = f'await_rollout deployment shop {least} && echo complete || echo "$rollout_fault"'
    assert shell.says(f"unschedulable_seconds=0\n{awaited}", *FILES).startswith(said)


def test_a_quota_counts_when_it_lasts(shell: Shell) -> None:
    lines = deployment(failure="pods is forbidden: exceeded quota")
    assert observed(shell, (100, lines), (105, lines)) == ""
    assert observed(shell, (100, lines), (106, lines)) == "pods is forbidden: exceeded quota"
    assert observed(shell, (100, lines), (103, deployment()), (106, lines)) == ""


def test_that_it_takes_long_is_no_trouble_of_its_own() -> None:
    """The Deployment says so after its own time, whatever --timeout and DEPLOY_PULL_SECONDS allow."""
    assert "ProgressDeadlineExceeded" not in (ROOT / "deploy" / "watch.sh").read_text()


def test_a_quota_of_the_version_before_does_not_count(shell: Shell) -> None:
    lines = deployment(observed=4, failure="pods is forbidden: exceeded quota")
    assert observed(shell, (100, lines), (999, lines)) == ""


def numbers(shell: Shell, lines: str, call: str, what: str = "deployment shop") -> str:
    shell.stub("kubectl", {"get": lines})
    return shell.says(f"observe {what}; {call}", *FILES)


@pytest.mark.parametrize(("asked", "least", "wanted"), [(1, 3, "3"), (4, 3, "4"), ("", 2, "2"), ("", 1, "1")])
def test_the_autoscaler_brings_a_deployment_to_its_least_number(
    asked: object, least: int, wanted: str, shell: Shell
) -> None:
    lines = deployment(replicas=asked) + line("HorizontalPodAutoscaler", "shop", least=least)
    assert numbers(shell, lines, 'echo "$wanted"') == wanted


ROLLOUTS = {
    "complete": (deployment(), "", "yes"),
    "not seen yet": (deployment(observed=4), "", "no"),
    "never seen": (deployment(observed=""), "", "no"),
    "old pods among the new": (deployment(updated=2), "", "no"),
    "none of them new": (deployment(updated=""), "", "no"),
    "one more than wanted": (deployment(all=4), "", "no"),
    "one not available": (deployment(available=2), "", "no"),
    "as many as there was room for": (deployment(available=2), "2", "yes"),
    "fewer than there was room for": (deployment(available=1), "2", "no"),
    "room for more than wanted": (deployment(), "5", "yes"),
}


@pytest.mark.parametrize("case", ROLLOUTS)
def test_complete(case: str, shell: Shell) -> None:
    lines, least, complete = ROLLOUTS[case]
    assert numbers(shell, lines, f"rollout_is_complete {least} && echo yes || echo no") == complete


@pytest.mark.parametrize(
    ("fields", "complete"),
    [
        ({}, "yes"),
        # Once all pods are new, the controller leaves the number of new ones out.
        ({"updated": ""}, "yes"),
        ({"current": "redis-old", "updated": ""}, "no"),
        ({"current": "redis-old", "available": 0}, "no"),
        ({"observed": 4}, "no"),
    ],
)
def test_a_stateful_set_is_complete(fields: dict[str, object], complete: str, shell: Shell) -> None:
    call = "rollout_is_complete && echo yes || echo no"
    assert numbers(shell, stateful_set(**fields), call, "statefulset shop-redis") == complete


def test_a_container_that_was_started_again_is_remembered(shell: Shell) -> None:
    lines = (
        deployment() + SETS + pod("shop-new-1", "new", restarts=0) + pod("shop-new-2", "new", restarts="0 1")
    )
    assert numbers(shell, lines, 'echo "$restarted_pod"') == "shop-new-2"


def test_an_object_that_is_gone_is_not_observed(shell: Shell) -> None:
    assert numbers(shell, deployment() + SETS, "echo seen") == "seen"
    shell.stub("kubectl", {"get": SETS})
    assert shell.says("observe deployment shop || echo gone", *FILES) == "gone"


def awaited(shell: Shell, replies: list[str | Reply], **variables: object) -> tuple[int, str]:
    shell.no_sleep()
    events = "Pulled: an image\nFailedMount: secret not found\n"
    shell.stub("kubectl", {"get events": events, "get": replies})
    done = shell.run(
        'status=0; await_rollout deployment shop || status=$?; echo "$status $rollout_fault"',
        *FILES,
        **variables,
    )
    assert done.status == 0, done
    status, _, fault = done.stdout.strip().partition(" ")
    return int(status), fault


def test_it_is_awaited_until_it_is_complete(shell: Shell) -> None:
    away = failure("Unable to connect to the server: EOF")
    assert awaited(shell, [deployment(observed=4), away, deployment(updated=1), deployment()]) == (0, "")
    assert len(shell.calls("kubectl")) == 4


def test_others_with_the_releases_label_are_not_the_service(shell: Shell) -> None:
    """A worker of the team, with an autoscaler of its own, that is complete while the service is not."""
    worker = deployment().replace("|shop|", "|shop-worker|") + line(
        "HorizontalPodAutoscaler", "shop-worker", least=9
    )
    worker += line("ReplicaSet", "shop-worker-young", revision=2, hash="young")
    crashing = pod("shop-worker-young-1", "young", CRASHING)
    lines = deployment(updated=1, all=4) + worker + SETS + worker + crashing
    call = 'rollout_is_complete || echo "$updated of $wanted, $new_pods$rollout_fault"'
    assert numbers(shell, lines, call) == "1 of 3, new"


def test_credentials_that_expired_end_the_wait_at_once(shell: Shell) -> None:
    expired = failure("error: You must be logged in to the server (Unauthorized)")
    status, fault = awaited(shell, [deployment(updated=1), expired])
    assert status == 1
    assert fault.startswith("the API server no longer takes the credentials: ")


def test_at_the_end_the_wait_says_what_was_missing(shell: Shell) -> None:
    lines = deployment(updated=1, available=2) + SETS + pod("shop-new-1", "new", "ContainerCreating")
    status, fault = awaited(shell, [lines], timeout=0)
    assert status == 1
    assert fault.startswith("not complete after 0 s (--timeout): 1 of 3 new, 2 available, 3 in all; ")
    assert fault.endswith("; pod shop-new-1: FailedMount: secret not found")


def test_an_api_server_that_is_away_is_named_while_it_is_waited_for(shell: Shell) -> None:
    shell.stub("kubectl", {"": failure("dial tcp 10.0.0.1:6443: connect: connection refused")})
    call = 'status=0; await_rollout deployment shop || status=$?; echo "$status $rollout_fault"'
    done = shell.run(call, *FILES, timeout=2)
    assert "deployment shop: the API server does not answer: dial tcp" in done.stderr
    assert done.stdout.startswith("1 not complete after 2 s (--timeout): the API server does not answer")
