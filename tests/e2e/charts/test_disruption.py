"""Pods that are evicted, deleted or drained with their node, under load: no request fails."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.charts.installation import Installation
from tests.e2e.cluster import shown
from tests.service import eventually
from tests.visitors import Visitors

TOO_MANY_REQUESTS = "Cannot evict pod as it would violate the pod's disruption budget"


def evicted(installation: Installation, pod: str) -> bool:
    """Ask for an eviction as a drain does; the budget may refuse it."""
    raw = f"/api/v1/namespaces/{installation.name}/pods/{pod}/eviction"
    metadata = {"name": pod, "namespace": installation.name}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    done = subprocess.run(
        ["kubectl", "create", "--raw", raw, "-f", "-"],
        input=json.dumps(body),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 or TOO_MANY_REQUESTS in done.stderr, done.stderr
    return done.returncode == 0


def test_the_budget_lets_one_pod_go_at_a_time(settled: Installation) -> None:
    pods = settled.pods()
    with Visitors(settled.cluster.ingress, settled.host, count=8, pause=0.02) as load:
        assert [evicted(settled, pod) for pod in pods] == [True] + [False] * (len(pods) - 1)
        settled.await_service()
        load.await_answers(50)
    assert load.failures == []
    print(f"{len(load.visits)} requests during an eviction, 0 failed", flush=True)


def test_pods_that_are_not_ready_do_not_block_a_drain(settled: Installation) -> None:
    """Redis away: no pod is ready, the budget is used up, and still each may be evicted."""
    settled.kubectl("scale", f"statefulset/{settled.name}-redis", "--replicas=0")
    pods = [pod["metadata"]["name"] for pod in settled.all_pods()]
    eventually(lambda: settled.pods() == [], "no pod is ready", 60)
    assert all(evicted(settled, pod) for pod in pods)
    settled.kubectl("scale", f"statefulset/{settled.name}-redis", "--replicas=1")
    settled.await_redis()
    settled.await_service()


def test_every_pod_is_deleted_under_load_without_a_failed_request(settled: Installation) -> None:
    before = settled.pods()
    with Visitors(settled.cluster.ingress, settled.host, count=8, pause=0.02) as load:
        for pod in before:
            settled.kubectl("delete", "pod", pod, "--wait=false")
            eventually(lambda: len(settled.pods()) >= len(before), "its successor is ready", 60)
        settled.await_service()
        load.await_answers(50)
    assert load.failures == []
    assert set(settled.pods()).isdisjoint(before)
    print(f"{len(load.visits)} requests while {len(before)} pods were deleted, 0 failed", flush=True)


@pytest.fixture
def drained_later(second_node: str) -> Iterator[str]:
    yield second_node
    shown("kubectl", "uncordon", second_node)


def nodes(installation: Installation) -> list[str]:
    return sorted(pod["spec"]["nodeName"] for pod in installation.all_pods())


def test_a_node_is_drained_under_load_without_a_failed_request(
    drained_later: str, settled: Installation
) -> None:
    settled.kubectl("rollout", "restart", f"deployment/{settled.name}")
    settled.await_service()
    spread = nodes(settled)
    assert drained_later in spread, f"the pods do not spread: {spread}"
    counts = [spread.count(node) for node in set(spread)]
    assert max(counts) - min(counts) <= 1
    with Visitors(settled.cluster.ingress, settled.host, count=8, pause=0.02) as load:
        selector = f"app.kubernetes.io/instance={settled.name}"
        drained = shown("kubectl", "drain", drained_later, f"--pod-selector={selector}", "--timeout=120s")
        settled.await_service()
        load.await_answers(50)
    assert drained.returncode == 0, drained.stderr
    assert load.failures == []
    assert drained_later not in nodes(settled)
    assert len(settled.pods()) >= 3, "the drained pods found another place"
    print(f"{len(load.visits)} requests during the drain of a node with {spread}, 0 failed", flush=True)
