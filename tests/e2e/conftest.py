"""One project, deployed once with the real script, for all end-to-end tests; deleted at the end."""

import secrets
from collections.abc import Iterator

import pytest

from tests.e2e.cluster import Cluster, Project


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    return Cluster.from_environment()


@pytest.fixture(scope="session")
def project(cluster: Cluster) -> Iterator[Project]:
    project = Project(cluster, f"visits-{secrets.token_hex(3)}")
    try:
        deployed = project.deploy("1.0.0")
        assert deployed.returncode == 0, deployed.stderr
        yield project
    finally:
        project.delete()
