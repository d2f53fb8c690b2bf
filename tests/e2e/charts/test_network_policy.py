"""One allowed and one blocked connection for each rule of the NetworkPolicies."""

from collections.abc import Iterator
from functools import partial

import pytest

from tests.e2e.charts.conftest import Install
from tests.e2e.charts.installation import Client, Installation, Values
from tests.service import eventually

HTTP, ADMIN, REDIS = 8000, 8001, 6379


@pytest.fixture(scope="module")
def elsewhere(make_installation: Install) -> Installation:
    """A namespace of somebody else, labelled as monitoring."""
    return make_installation(**{"charts-test": "monitoring"})


@pytest.fixture(scope="module")
def stranger(elsewhere: Installation) -> Client:
    return Client(elsewhere, "stranger").start()


@pytest.fixture(scope="module")
def neighbour(installation: Installation) -> Client:
    """A pod in the namespace of the service, but not of it."""
    return Client(installation, "neighbour", {"client": "neighbour"}).start()


@pytest.fixture
def pod_address(settled: Installation) -> str:
    pod = settled.pods()[0]
    return settled.kubectl("get", "pod", pod, "-o", "jsonpath={.status.podIP}")


@pytest.fixture
def as_test_pod(installation: Installation) -> Iterator[Client]:
    labels = {
        "app.kubernetes.io/name": "visits-test",
        "app.kubernetes.io/instance": installation.name,
        "app.kubernetes.io/component": "test",
        "app.kubernetes.io/part-of": installation.name,
    }
    yield Client(installation, "as-test-pod", labels).start()
    installation.kubectl("delete", "pod", "as-test-pod", "--wait=true")


def policy(**sources: list[Values]) -> Values:
    return {"networkPolicy": sources}


def test_from_the_ingress_controller_only(
    settled: Installation, pod_address: str, neighbour: Client, stranger: Client
) -> None:
    assert settled.get("/").status == 200
    for client in (neighbour, stranger):
        assert not client.connects(pod_address, HTTP)
        assert not client.connects(f"{settled.name}.{settled.name}.svc", 80)


def test_without_the_policy_everybody_connects(
    settled: Installation, pod_address: str, neighbour: Client, stranger: Client
) -> None:
    """The clients above are blocked by the policy, not by something else."""
    settled.upgrade(networkPolicy={"enabled": False})
    for client in (neighbour, stranger):
        for port in (HTTP, ADMIN):
            eventually(partial(client.connects, pod_address, port), "it connects", 30)


def test_from_an_ip_block(
    settled: Installation, pod_address: str, neighbour: Client, stranger: Client
) -> None:
    assert not stranger.connects(pod_address, HTTP)
    block = {"ipBlock": {"cidr": f"{stranger.address}/32"}}
    settled.upgrade(**policy(ingressFrom=[block]))
    eventually(lambda: stranger.connects(pod_address, HTTP), "the block is let in", 30)
    assert not neighbour.connects(pod_address, HTTP)


def test_monitoring_reaches_the_metrics_only(
    settled: Installation, pod_address: str, neighbour: Client, stranger: Client
) -> None:
    assert not stranger.connects(pod_address, ADMIN)
    monitoring = {"namespaceSelector": {"matchLabels": {"charts-test": "monitoring"}}}
    settled.upgrade(**policy(monitoringFrom=[monitoring]))
    eventually(lambda: stranger.connects(pod_address, ADMIN), "monitoring is let in", 30)
    assert not stranger.connects(pod_address, HTTP)
    assert not neighbour.connects(pod_address, ADMIN)
    settled.upgrade(**policy(monitoringFrom=[]))
    eventually(lambda: not stranger.connects(pod_address, ADMIN), "nobody is let in", 30)


def test_the_test_pod_reaches_the_service_only(
    pod_address: str, as_test_pod: Client, neighbour: Client
) -> None:
    eventually(lambda: as_test_pod.connects(pod_address, HTTP), "it is let in", 30)
    assert not as_test_pod.connects(pod_address, ADMIN)
    assert not neighbour.connects(pod_address, HTTP)


def test_redis_answers_the_service_only(settled: Installation, neighbour: Client, stranger: Client) -> None:
    host = f"{settled.name}-redis.{settled.name}.svc"
    service = settled.pods()[0]
    script = f"import socket; socket.create_connection(('{host}', {REDIS}), timeout=2)"
    settled.kubectl("exec", service, "--", "python", "-c", script)
    for client in (neighbour, stranger):
        assert not client.connects(host, REDIS)
    settled.upgrade_redis(networkPolicy={"extraFrom": [{"podSelector": {"matchLabels": neighbour.labels}}]})
    eventually(lambda: neighbour.connects(host, REDIS), "another one is let in", 30)
    assert not stranger.connects(host, REDIS)


def test_the_service_reaches_its_redis_and_nobody_else(settled: Installation) -> None:
    """The API server by its name: that the name resolves shows that DNS is reached."""
    service = Client(settled, settled.pods()[0])
    assert service.connects(f"{settled.name}-redis.{settled.name}.svc", REDIS)
    assert not service.connects("kubernetes.default.svc", 443)
    settled.upgrade(**policy(extraEgress=[{"ports": [{"protocol": "TCP"}]}]))
    eventually(lambda: service.connects("kubernetes.default.svc", 443), "it may connect anywhere", 30)


def test_redis_reaches_nobody(settled: Installation) -> None:
    """redis-cli waits for an address that drops until it is ended; any answer ends it before."""

    def waits() -> bool:
        script = (
            'timeout 3 redis-cli -h "$KUBERNETES_SERVICE_HOST" -p 443 ping; [ $? -ne 124 ] || echo waited'
        )
        return "waited" in settled.kubectl("exec", f"{settled.name}-redis-0", "--", "sh", "-c", script)

    assert waits()
    settled.upgrade_redis(networkPolicy={"enabled": False})
    eventually(lambda: not waits(), "without the policy it connects", 30)
