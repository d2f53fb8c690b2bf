"""Kube configs for the faults: another way to the API server, a user with fewer rights."""

import json
import os
import re
import subprocess
from pathlib import Path

from tests.e2e.cluster import Project

RESOURCES = {
    "": "pods,pods/log,pods/portforward,services,services/proxy,configmaps,secrets,serviceaccounts,events"
    ",persistentvolumeclaims,endpoints,replicationcontrollers",
    "apps": "deployments,statefulsets,replicasets,daemonsets",
    "batch": "jobs,cronjobs",
    "autoscaling": "horizontalpodautoscalers",
    "networking.k8s.io": "ingresses,networkpolicies",
    "policy": "poddisruptionbudgets",
    "coordination.k8s.io": "leases",
    "discovery.k8s.io": "endpointslices",
}


def with_server(folder: Path, url: str) -> Path:
    """The admin's kube config with another address of the API server."""
    text = Path(os.environ["KUBECONFIG"]).read_text()
    file = folder / "kubeconfig"
    file.write_text(re.sub(r"server: .*", f"server: {url}", text))
    return file


def limited_user(project: Project, folder: Path, without: str) -> Path:
    """A kube config of a user who may do everything in the project's namespace, less one kind of object."""
    rules = [
        {"apiGroups": [group], "resources": [r for r in names.split(",") if r != without], "verbs": ["*"]}
        for group, names in RESOURCES.items()
    ]
    namespace = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}
    user = f"deployer-{without or 'all'}"
    role: dict[str, object] = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": user},
        "rules": [*[rule for rule in rules if rule["resources"]], namespace],
    }
    apply(project, role)
    project.kubectl("create", "serviceaccount", user, check=False)
    project.kubectl(
        "create",
        "rolebinding",
        user,
        f"--role={user}",
        f"--serviceaccount={project.name}:{user}",
        check=False,
    )
    return of_service_account(project, folder, user)


def of_service_account(project: Project, folder: Path, user: str) -> Path:
    """The admin's kube config, with a ServiceAccount of the project's namespace as its user."""
    token = project.kubectl("create", "token", user).strip()
    file = with_server(folder, server())
    config = ["kubectl", "config", f"--kubeconfig={file}"]
    context = subprocess.run(
        [*config, "current-context"], capture_output=True, text=True, check=True
    ).stdout.strip()
    for command in [
        ["set-credentials", user, f"--token={token}"],
        ["set-context", context, f"--user={user}"],
    ]:
        subprocess.run([*config, *command], check=True, capture_output=True)
    return file


def server() -> str:
    command = ["kubectl", "config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def server_address() -> tuple[str, int]:
    host, _, port = server().removeprefix("https://").rpartition(":")
    return host, int(port)


def apply(project: Project, document: dict[str, object]) -> None:
    subprocess.run(
        ["kubectl", "--namespace", project.name, "apply", "-f", "-"],
        input=json.dumps(document),
        text=True,
        capture_output=True,
        check=True,
    )
