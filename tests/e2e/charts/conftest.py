"""One installation by plain Helm for most tests, and more of them where a test needs its own."""

import os
import secrets
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.charts.installation import Image, Installation, Values, built_image
from tests.e2e.cluster import Cluster
from tests.service import eventually

SECOND_NODE = "E2E_SECOND_NODE"
Install = Callable[..., Installation]

# The autoscaler is on, but the steady load of the other tests must not move it.
CALM: Values = {
    "resources": {"requests": {"cpu": "50m"}},
    "autoscaling": {"targetCPUUtilizationPercentage": 1000},
}


@pytest.fixture(scope="session")
def image(cluster: Cluster) -> Image:
    return built_image(cluster)


@pytest.fixture(scope="session")
def second_node() -> str:
    """The name of a node that a test may drain; its caller added it, and removes it."""
    node = os.environ.get(SECOND_NODE)
    if not node:
        pytest.skip(f"{SECOND_NODE} is not set: the name of a second node that the test may drain")
    return node


def away_from_second_node() -> Values:
    """Redis' volume stays with its node, so it must not be on the one that is drained."""
    node = os.environ.get(SECOND_NODE)
    if not node:
        return {}
    other = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "NotIn", "values": [node]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [other]}}
    return {"affinity": {"nodeAffinity": required}}


@pytest.fixture(scope="session")
def make_installation(cluster: Cluster, image: Image) -> Iterator[Install]:
    """Installations whose namespaces are deleted at the end; nothing is in them yet."""
    made: list[Installation] = []

    def make(values: Values | None = None, **labels: str) -> Installation:
        name = f"charts-{secrets.token_hex(3)}"
        installation = Installation(cluster, name, image, values or CALM, away_from_second_node())
        made.append(installation)
        installation.create_namespace(**labels)
        return installation

    yield make
    for installation in made:
        installation.kubectl("delete", "namespace", installation.name, "--wait=false", check=False)
    for installation in made:
        installation.delete()


@pytest.fixture(scope="session")
def installation(make_installation: Install) -> Installation:
    """Both releases, up."""
    installation = make_installation()
    installation.create_password()
    installation.upgrade_redis()
    installation.upgrade()
    installation.await_redis()
    installation.await_service()
    return installation


@pytest.fixture
def settled(installation: Installation) -> Installation:
    """The shared installation with its own values and three ready pods, whatever the test before did."""
    installation.upgrade_redis()
    installation.upgrade()
    installation.await_redis()
    installation.await_service()
    eventually(lambda: len(installation.pods()) >= 3, "three ready pods", 90)
    return installation
