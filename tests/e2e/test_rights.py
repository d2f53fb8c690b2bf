"""docs/rights is enough: with it alone a project is installed, upgraded, rolled back and uninstalled."""

import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import Cluster, Project, shown
from tests.e2e.rights import grant, of_project
from tests.faults.deploy.kubeconfig import of_service_account

UNKNOWN_HOST = "of other namespaces can be listed: whether"
UNKNOWN_NODES = "the nodes cannot be listed"


class Deployer:
    """deploy.sh as the ServiceAccount runs it, which has no other way to the cluster."""

    def __init__(self, project: Project, kubeconfig: Path) -> None:
        self.project, self.kubeconfig = project, kubeconfig

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KUBECONFIG", str(self.kubeconfig))
            done = shown("./deploy.sh", *arguments)
        assert done.returncode == 0, done.stderr
        # A right that is missing where deploy.sh can do without is a warning or a missing line, but says so.
        assert "is forbidden" not in done.stderr + done.stdout
        return done

    def deploy(self, tag: str, *options: str) -> str:
        project = self.project
        image = f"{project.cluster.registry}/visits"
        entrance = ["--ingress", project.cluster.ingress]
        return self.run(image, tag, project.name, project.host, "dev", *entrance, *options).stderr

    def may(self, *what: str) -> bool:
        command = ["kubectl", "auth", "can-i", *what, f"--namespace={self.project.name}"]
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        return subprocess.run(command, env=environment, check=False, capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def deployer(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployer]:
    project = Project(cluster, f"rights-{secrets.token_hex(3)}")
    try:
        grant(project, "namespace.yaml", "role.yaml")
        kubeconfig = of_service_account(project, tmp_path_factory.mktemp("rights"), "deployer")
        yield Deployer(project, kubeconfig)
    finally:
        for kind in ("clusterrolebinding", "clusterrole"):
            project.kubectl("delete", kind, f"{project.name}-deployer-reads", "--ignore-not-found")
        project.delete()


def test_the_whole_life_of_a_project(deployer: Deployer) -> None:
    project = deployer.project
    # The rights are these and no administrator's.
    assert deployer.may("create", "deployments")
    assert not deployer.may("list", "nodes")
    assert not deployer.may("create", "rolebindings")

    first = deployer.deploy("1.0.0")
    assert UNKNOWN_HOST in first
    assert UNKNOWN_NODES in first
    assert project.get("/version").json["version"] == "1.0.0"

    grant(project, "cluster-reads.yaml")
    second = deployer.deploy("1.1.0")
    assert UNKNOWN_HOST not in second
    assert UNKNOWN_NODES not in second
    assert "the candidate answered well" in second
    assert project.get("/version").json["version"] == "1.1.0"

    assert "verified: 1 2" in deployer.run(project.name, "--status").stdout
    deployer.run(project.name, "--rollback", "--ingress", project.cluster.ingress)
    assert project.get("/version").json["version"] == "1.0.0"

    deployer.run(project.name, "--uninstall", "--yes")
    assert project.kubectl("get", "deployments,statefulsets,serviceaccounts", "-o", "name").split() == [
        "serviceaccount/default",
        "serviceaccount/deployer",
    ]


def test_a_right_less_is_missed(deployer: Deployer) -> None:
    """The rights above were what let it deploy: without that to make Deployments it is exit 3."""
    project = deployer.project
    resources, verbs = (
        "resources: [deployments, statefulsets]\n    ",
        "verbs: [get, list, create, patch, delete]",
    )
    role = of_project(deployer.project, "role.yaml")
    assert resources + verbs in role
    role = role.replace(resources + verbs, resources + "verbs: [get, list, patch, delete]")
    subprocess.run(["kubectl", "apply", "-f", "-"], input=role, text=True, check=True)
    with pytest.raises(AssertionError, match="no right to create deployments "):
        deployer.deploy("1.2.0")
    assert project.kubectl("get", "deployments", "-o", "name") == ""
