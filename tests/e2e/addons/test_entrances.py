"""The same deploy through an Ingress of two classes and through an HTTPRoute: one value apart, and alike."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.addons.entrances import claim_host, plain_values
from tests.e2e.cluster import Cluster, Document, Project, kubectl, shown
from tests.service import eventually
from tests.visitors import Visitors

NOWHERE = "127.0.0.1:1"
"""Where nothing listens."""


@dataclass(frozen=True)
class Installed:
    """A project behind one kind of entrance."""

    project: Project
    kind: str
    values: Document
    folder: Path

    def deploy(self, tag: str, *options: str, **more: Document) -> tuple[int, str]:
        """Return the exit status, and what was printed."""
        file = self.folder / f"{tag}.json"
        file.write_text(json.dumps(self.values | more))
        done = self.project.deploy(tag, "--values", str(file), *options)
        return done.returncode, done.stderr + done.stdout

    def version(self) -> str:
        answer = self.project.get("/version")
        assert answer.status == 200
        return str(answer.json["version"])


@pytest.fixture(scope="module", params=["nginx", "traefik", "route"])
def installed(
    request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installed]:
    values = plain_values(request.param)
    project = Project(cluster, f"entrance-{secrets.token_hex(3)}")
    installed = Installed(project, request.param, values, tmp_path_factory.mktemp("values"))
    try:
        status, output = installed.deploy("1.0.0")
        assert status == 0, output
        assert f"all answers from http://{project.host} through {cluster.ingress} are good" in output
        yield installed
    finally:
        project.delete()


def test_it_is_asked_where_its_visitors_are(installed: Installed) -> None:
    assert installed.version() == "1.0.0"
    kinds = installed.project.kubectl("get", "ingresses", "-o", "name")
    assert bool(kinds) == (installed.kind != "route")


def test_an_upgrade_under_load_fails_no_request(installed: Installed) -> None:
    with Visitors(installed.project.cluster.ingress, installed.project.host, count=8, pause=0.02) as load:
        status, output = installed.deploy("1.1.0")
        load.await_answers(50)
    assert status == 0, output
    assert load.failures == []
    assert {visit.method for visit in load.visits} == {"GET", "POST"}
    print(f"{installed.kind}: {len(load.visits)} requests during the upgrade, 0 failed", flush=True)
    assert installed.version() == "1.1.0"


def test_a_bad_version_is_rolled_back(installed: Installed) -> None:
    """It finds no Redis and is never ready; nobody is sent to it."""
    before = installed.version()
    secret = {"mode": "existing", "name": f"{installed.project.name}-redis-auth"}
    nowhere = {"mode": "external", "host": "redis.invalid"}
    with Visitors(installed.project.cluster.ingress, installed.project.host, count=8, pause=0.02) as load:
        status, output = installed.deploy(
            "1.2.0", "--no-candidate", "--timeout", "20", redis=nowhere, secret=secret
        )
        load.await_answers(50)
    assert status in {8, 9}, output
    assert load.failures == []
    assert installed.version() == before


def test_a_host_of_somebody_else_is_refused(installed: Installed) -> None:
    host = f"taken-{installed.project.host}"
    other = Project(installed.project.cluster, f"{installed.project.name}-other")
    kubectl("create", "namespace", other.name)
    try:
        owner = claim_host(other, installed.kind, host)
        file = installed.folder / "taken.json"
        file.write_text(json.dumps(installed.values))
        image = f"{installed.project.cluster.registry}/visits"
        command = ["./deploy.sh", image, "1.3.0", installed.project.name, host, "dev", "--values", str(file)]
        refused = shown(*command)
    finally:
        other.delete()
    assert refused.returncode == 3
    assert f"the host «{host}» is owned by the {owner}" in refused.stderr
    assert installed.version() != "1.3.0"


def test_where_the_given_entrance_is_away_it_is_tested_all_the_same(installed: Installed) -> None:
    status, output = installed.deploy("1.4.0", "--ingress", NOWHERE)
    assert status == 0, output
    assert f"nothing answers at {NOWHERE} (--ingress), trying elsewhere" in output
    assert "all answers from http://" in output
    eventually(lambda: installed.version() == "1.4.0", "the new version serves", 30)
