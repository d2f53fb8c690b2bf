"""HTTPS with certificates of a real cert-manager, in prod: awaited, verified, renewed; bad ones refused."""

import json
import re
import secrets
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.addons.entrances import (
    SecureVisitors,
    authority,
    https_address,
    plain_values,
    renew,
    secure_values,
)
from tests.e2e.cluster import Cluster, Document, Project, kubectl
from tests.faults.deploy.certificates import certificate_for
from tests.service import eventually

PROD: Document = {
    "resources": {"requests": {"cpu": "25m", "memory": "64Mi"}},
    "autoscaling": {"maxReplicas": 3},
    "redis": {"singlePod": "allowed"},
}
AUTHORITY = "authority.crt"


@dataclass(frozen=True)
class Secured:
    """A project of prod whose entrance has HTTPS. The certificate is in the Secret of this name."""

    project: Project
    secret: str
    address: str
    folder: Path
    values: Document

    @property
    def authority(self) -> Path:
        return self.folder / AUTHORITY

    def deploy(self, tag: str, *options: str) -> subprocess.CompletedProcess[str]:
        file = self.folder / "values.json"
        file.write_text(json.dumps(PROD | self.values))
        context = kubectl("config", "current-context").strip()
        entrances = f"{self.project.cluster.ingress},{self.address}"
        where = ["--context", context, "--ingress", entrances]
        return self.project.deploy(tag, "--values", str(file), *where, *options, environment="prod")


@pytest.fixture(scope="module", params=["nginx", "gateway"])
def secured(
    request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secured]:
    """Its first deploy waits for the certificate, which nobody has asked for before."""
    trusted, address = authority(), https_address()
    values = secure_values(request.param, trusted.issuer)
    project = Project(cluster, f"https-{secrets.token_hex(3)}")
    secret = f"{project.name}-{'gateway-' if request.param == 'gateway' else ''}tls"
    secured = Secured(project, secret, address, tmp_path_factory.mktemp("https"), values)
    secured.authority.write_text(trusted.certificate)
    try:
        done = secured.deploy("1.0.0", "--ca", str(secured.authority))
        assert done.returncode == 0, done.stderr
        assert f"all answers from https://{project.host} through {address} are good" in done.stderr
        assert f"URL        https://{project.host}/\n" in done.stdout
        yield secured
    finally:
        project.delete()


def test_plain_http_is_sent_to_https(secured: Secured) -> None:
    answer = secured.project.get("/version")
    assert answer.status in {301, 308}
    assert answer.headers["Location"] == f"https://{secured.project.host}/version"


def test_without_its_authority_prod_changes_nothing(secured: Secured) -> None:
    """This machine does not trust what visitors are shown."""
    before = secured.project.kubectl("get", "deployment", secured.project.name, "-o", "jsonpath={.spec}")
    done = secured.deploy("1.0.1")
    assert done.returncode == 3
    assert f"the certificate for {secured.project.host} at {secured.address} is not trusted" in done.stderr
    after = secured.project.kubectl("get", "deployment", secured.project.name, "-o", "jsonpath={.spec}")
    assert after == before


def test_a_certificate_is_renewed_under_load(secured: Secured) -> None:
    with SecureVisitors(secured.address, secured.project.host, secured.authority) as visitors:
        eventually(lambda: len(visitors.visits) >= 50, "visitors come", 30)
        before, asked = visitors.serials, time.monotonic()
        renew(secured.project, secured.secret)
        eventually(lambda: len(visitors.serials) > len(before), "another certificate is shown", 90)
        seconds = time.monotonic() - asked
        more = len(visitors.visits) + 100
        eventually(lambda: len(visitors.visits) >= more, "visitors go on", 30)
    assert visitors.failures == []
    assert len(before) == 1
    assert {visit.method for visit in visitors.visits} == {"GET", "POST"}
    print(f"{len(visitors.visits)} requests, 0 failed; another certificate after {seconds:.1f} s", flush=True)


@pytest.mark.parametrize(
    ("days", "is_known", "why"),
    [(1, False, "self.signed certificate"), (-1, True, "certificate has expired")],
    ids=["signs itself", "expired"],
)
def test_a_given_certificate_that_is_bad_fails_in_prod(
    days: int,
    is_known: bool,
    why: str,
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is the first version, so there is none to go back to."""
    values = plain_values("nginx")
    values["ingress"]["tls"] = {"enabled": True, "secretName": "given"}
    project = Project(cluster, f"https-{secrets.token_hex(3)}")
    secured = Secured(project, "given", https_address(), tmp_path, values)
    bad = certificate_for(project.host, tmp_path / "bad", days)
    kubectl("create", "namespace", project.name)
    try:
        labels = [f"deploy/project={project.name}", "deploy/environment=prod"]
        kubectl("label", "namespace", project.name, *labels)
        project.kubectl("create", "secret", "tls", "given", f"--cert={bad.file}", f"--key={bad.key}")
        monkeypatch.setenv("DEPLOY_SMOKE_SECONDS", "15")
        known = ["--ca", str(bad.file)] if is_known else []
        done = secured.deploy("1.0.0", *known)
    finally:
        project.delete()
    assert done.returncode == 10, done.stderr
    last = next(line for line in done.stderr.splitlines() if line.startswith("deploy.sh: "))
    assert f"the certificate for {project.host} at {secured.address} is not trusted" in last
    assert re.search(why, last)
