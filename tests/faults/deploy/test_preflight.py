"""What is missing or refused before anything is touched: nothing changes, nobody notices."""

import json
import os
import subprocess
from pathlib import Path

from tests.faults.deploy.conftest import MakeDeployment, fault, fault_without_visitors
from tests.faults.deploy.deployment import Deployment
from tests.faults.deploy.kubeconfig import limited_user, with_server


def test_bad_arguments(installed: Deployment) -> None:
    with fault("bad arguments", installed, 2, "env: got «qa», allowed: dev, staging or prod") as line:
        line.run = installed.run("1.0.1", environment="qa")


def test_docker_daemon_away(installed: Deployment) -> None:
    with fault("docker daemon away", installed, 3, "daemon does not answer") as line:
        line.run = installed.run("1.0.1", DOCKER_HOST="tcp://127.0.0.1:1")


def test_api_server_away(installed: Deployment, tmp_path: Path) -> None:
    away = with_server(tmp_path, "https://127.0.0.1:1")
    with fault("API server away", installed, 3, "does not answer") as line:
        line.run = installed.run("1.0.1", KUBECONFIG=str(away))


def test_prod_in_the_wrong_context(installed: Deployment) -> None:
    with fault("wrong prod context", installed, 3, "DEPLOY_CONTEXT expects «production»") as line:
        line.run = installed.run("1.0.1", environment="prod", DEPLOY_CONTEXT="production")


def test_a_right_is_missing(installed: Deployment, tmp_path: Path) -> None:
    kubeconfig = limited_user(installed.project, tmp_path, without="ingresses")
    with fault("a right missing", installed, 3, "no right to create ingresses") as line:
        line.run = installed.run("1.0.1", KUBECONFIG=str(kubeconfig))


def test_host_owned_by_another_namespace(installed: Deployment, make_deployment: MakeDeployment) -> None:
    other = make_deployment()
    name, host = other.project.name, installed.project.host
    image = f"{other.project.cluster.registry}/{name}"
    with fault("host owned by another namespace", installed, 3, "is owned by the Ingress") as line:
        line.run = other.run_script(image, "1.0.0", name, host, "dev")
    assert other.project.kubectl("get", "namespace", name, "--ignore-not-found") == ""


def test_namespace_of_another_environment(installed: Deployment) -> None:
    with fault("namespace of another environment", installed, 3, "in «dev», not in «staging»") as line:
        line.run = installed.run("1.0.1", environment="staging")


def test_foreign_namespace(make_deployment: MakeDeployment) -> None:
    other = make_deployment()
    other.project.kubectl("create", "namespace", other.project.name)
    other.project.kubectl("create", "deployment", "theirs", "--image=busybox:latest", "--replicas=0")
    before = namespace_labels(other)
    with fault_without_visitors("foreign namespace", other, 3, "is not empty and not ours") as line:
        line.run = other.run("1.0.0")
    assert namespace_labels(other) == before, "somebody else's namespace was labelled"


def test_an_empty_namespace_is_adopted(make_deployment: MakeDeployment) -> None:
    other = make_deployment()
    other.project.kubectl("create", "namespace", other.project.name)
    with fault_without_visitors("empty namespace adopted", other, 0, "is ours now, it was empty") as line:
        line.run = other.run("1.0.0")
    assert namespace_labels(other)["pod-security.kubernetes.io/enforce"] == "restricted"


def namespace_labels(deployment: Deployment) -> dict[str, str]:
    listed = deployment.project.kubectl("get", "namespace", deployment.project.name, "-o", "json")
    labels = json.loads(listed)["metadata"]["labels"]
    return {str(name): str(value) for name, value in labels.items()}


def test_no_rights_outside_the_namespace(installed: Deployment, tmp_path: Path) -> None:
    """A team's own user deploys; without an ingress address the smoke test asks the Service."""
    kubeconfig = limited_user(installed.project, tmp_path, without="")
    with fault(
        "no ingress address reachable, no rights outside the namespace",
        installed,
        0,
        "asking the Service through a port-forward",
    ) as line:
        line.run = installed.run("1.0.2", "--ingress", "127.0.0.1:1", KUBECONFIG=str(kubeconfig))
    assert "cannot be listed" in line.run.output


def test_no_ingress_address_reachable(installed: Deployment) -> None:
    with fault("no ingress address reachable", installed, 0, "trying elsewhere") as line:
        line.run = installed.run("1.0.3", "--no-candidate", "--ingress", "127.0.0.1:1")


def test_a_missing_helm_is_named(installed: Deployment, tmp_path: Path) -> None:
    for tool in [
        "bash",
        "kubectl",
        "docker",
        "curl",
        "sed",
        "tail",
        "dirname",
        "mktemp",
        "rm",
        "tr",
        "cat",
        "id",
        "grep",
    ]:
        found = subprocess.run(["which", tool], capture_output=True, text=True, check=True).stdout.strip()
        (tmp_path / tool).symlink_to(os.path.realpath(found))
    with fault("a tool missing", installed, 3, "helm: not found on PATH") as line:
        line.run = installed.run("1.0.1", PATH=str(tmp_path))
