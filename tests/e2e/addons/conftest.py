"""What the tests of add-ons share: a store of secrets, and projects that take their password from it."""

import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.addons.store import Store
from tests.e2e.cluster import Cluster, Project, has_kinds

Values = dict[str, Any]
MakeProject = Callable[[], Project]
ValuesFile = Callable[[Values], str]


@pytest.fixture(scope="session")
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    request.getfixturevalue("cluster")
    if not has_kinds("external-secrets.io/v1"):
        pytest.skip("the cluster does not have external-secrets.io/v1: install External Secrets Operator")
    store = Store(f"vault-{secrets.token_hex(3)}")
    try:
        store.create()
        store.await_ready()
        yield store
    finally:
        store.delete()


@pytest.fixture(scope="session")
def make_project(cluster: Cluster) -> Iterator[MakeProject]:
    """Projects whose namespaces are deleted at the end."""
    made: list[Project] = []

    def make() -> Project:
        made.append(Project(cluster, f"store-{secrets.token_hex(3)}"))
        return made[-1]

    yield make
    for project in made:
        project.kubectl("delete", "namespace", project.name, "--ignore-not-found", "--wait=false")


@pytest.fixture(scope="session")
def values_file(tmp_path_factory: pytest.TempPathFactory) -> ValuesFile:
    """Write values to a file for `--values`; return its path."""

    def write(values: Values) -> str:
        file: Path = tmp_path_factory.mktemp("values") / "values.yaml"
        file.write_text(json.dumps(values))
        return str(file)

    return write
