"""A cluster that is full, that grows, that asks somebody who is away, or that no longer knows the user."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.deploy.conftest import fault
from tests.faults.deploy.deployment import Deployment
from tests.faults.deploy.kubeconfig import apply, limited_user
from tests.faults.deploy.values import never_ready, values_file
from tests.service import eventually


@pytest.fixture(scope="session")
def label_node() -> Iterator[Callable[[str], None]]:
    """Gives the first node a label, until the projects are gone whose pods ask for it."""
    labels: list[str] = []

    def node(*arguments: str) -> None:
        first = subprocess.run(
            ["kubectl", "get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        subprocess.run(["kubectl", "label", "node", first, *arguments], check=True, capture_output=True)

    def label(name: str) -> None:
        node(f"{name}=new", "--overwrite")
        labels.append(name)

    yield label
    for name in labels:
        node(f"{name}-")


def unschedulable(deployment: Deployment) -> str:
    """What the scheduler says of pods that find no node."""
    condition = "{.items[*].status.conditions[?(@.reason=='Unschedulable')].message}"
    return deployment.project.kubectl("get", "pods", "-o", f"jsonpath={condition}")


def test_karpenter_adds_a_node(
    installed: Deployment, tmp_path: Path, label_node: Callable[[str], None]
) -> None:
    """It says in an event that it will; then that is waited for, longer than for a node that never comes."""
    name = installed.project.name
    values = values_file(tmp_path, {"nodeSelector": {f"faults.test/{name}": "new"}})
    with fault("a node is added meanwhile (Karpenter)", installed, 0) as line:
        line.run = installed.start("15.0.0", "--values", str(values), DEPLOY_UNSCHEDULABLE_SECONDS="6")
        line.run.await_step("candidate")
        eventually(lambda: unschedulable(installed) != "", "the candidate finds no node", 30)
        nominated(installed, f"{name}-candidate")
        # Longer than it would wait without the event: the length of the fault.
        time.sleep(12)
        assert not line.run.ended, line.run.output
        assert unschedulable(installed) != ""
        label_node(f"faults.test/{name}")
        line.run.wait()
    assert "the candidate answered well" in line.run.output


def nominated(deployment: Deployment, pod: str) -> None:
    found = json.loads(deployment.project.kubectl("get", "pod", pod, "-o", "json"))
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    apply(
        deployment.project,
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{pod}.nominated"},
            "involvedObject": {"kind": "Pod", "name": pod, "uid": found["metadata"]["uid"]}
            | {"namespace": deployment.project.name, "apiVersion": "v1"},
            "reason": "Nominated",
            "message": "Pod should schedule on: nodeclaim/default-new",
            "type": "Normal",
            "source": {"component": "karpenter"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        },
    )


def test_the_credentials_end_in_the_middle(installed: Deployment, tmp_path: Path) -> None:
    """Nothing can be rolled back without a right: it says so, and what to do. The one before serves on."""
    kubeconfig = limited_user(installed.project, tmp_path, without="")
    options = ["--no-candidate", "--values", str(never_ready(installed, tmp_path))]
    says = "log in again if the credentials have expired"
    with fault("token revoked during the watch", installed, 10, says, lock_is_free=False) as line:
        line.run = installed.start("15.1.0", *options, KUBECONFIG=str(kubeconfig))
        line.run.await_step("watch")
        revoked = time.monotonic()
        installed.project.kubectl("delete", "serviceaccount", "deployer-all")
        line.run.wait()
        # The API server itself may remember a token for ten seconds.
        assert line.run.ended - revoked < 30
    assert "Unauthorized" in line.run.output
    with fault("the deploy after the token was revoked", installed, 0) as line:
        line.run = installed.run("15.1.1", "--no-candidate")


class Seats:
    """A resource of which the first node has so many, and of which every pod of the project takes one."""

    def __init__(self, deployment: Deployment) -> None:
        self._project = deployment.project
        self.name = f"faults.test/{deployment.project.name}"
        self._node = self._project.kubectl("get", "nodes", "-o", "name").split()[0]

    def set(self, count: int) -> None:
        self._patch({"op": "add", "path": self._path, "value": str(count)})
        # The kubelet tells of it a moment later.
        eventually(lambda: self._allocatable() == count, f"the node has {count} seats", 60)

    def remove(self) -> None:
        self._patch({"op": "remove", "path": self._path})

    @property
    def _path(self) -> str:
        return f"/status/capacity/{self.name.replace('/', '~1')}"

    def _patch(self, change: dict[str, str]) -> None:
        options = ["--subresource=status", "--type=json", "-p", json.dumps([change])]
        self._project.kubectl("patch", self._node, *options)

    def _allocatable(self) -> int:
        node = json.loads(self._project.kubectl("get", self._node, "-o", "json"))
        return int(node["status"]["allocatable"].get(self.name, 0))


def test_the_cluster_was_full_before(installed: Deployment, tmp_path: Path) -> None:
    """Five pods are wanted and four fit. So it is after a rollback, too, which has not failed for that."""
    project, seats = installed.project, Seats(installed)
    requests = {"cpu": "25m", "memory": "64Mi", seats.name: "1"}
    limits = {"memory": "192Mi", seats.name: "1"}
    five: dict[str, object] = {
        "resources": {"requests": requests, "limits": limits},
        "autoscaling": {"minReplicas": 5, "maxReplicas": 5},
    }
    options = ["--values", str(values_file(tmp_path, five))]
    try:
        seats.set(8)
        installed.deploys("15.2.0", "--no-candidate", *options)
        seats.set(4)
        project.kubectl("delete", "pod", project.pods()[0])
        eventually(lambda: unschedulable(installed) != "", "the fifth pod finds no place", 60)
        # Where a candidate before had an event of a node to come, that says nothing of this one.
        with fault("cluster full, candidate", installed, 3, "there is no room for one more pod") as line:
            line.run = installed.run("15.2.1", *options, DEPLOY_UNSCHEDULABLE_SECONDS="5")
        with fault("cluster full before the release", installed, 8, "no node can take it") as line:
            options.append("--no-candidate")
            line.run = installed.run("15.2.1", *options, DEPLOY_UNSCHEDULABLE_SECONDS="5")
        assert "the cluster has room for 4 of 5 pods" in line.run.output
        assert "was restored and verified" in line.run.output
        assert len(project.pods()) == 4
    finally:
        seats.remove()
        installed.deploys("15.2.2", "--no-candidate")


@contextmanager
def webhook_away(deployment: Deployment, group: str, resource: str) -> Iterator[None]:
    """Changes of this kind in the project's namespace must be asked of somebody who does not answer."""
    name = deployment.project.name
    rule = {
        "apiGroups": [group],
        "apiVersions": ["*"],
        "resources": [resource],
        "operations": ["CREATE", "UPDATE"],
    }
    namespace = {"matchLabels": {"kubernetes.io/metadata.name": name}}
    webhook = {
        "name": "policy.faults.test",
        "rules": [rule],
        "namespaceSelector": namespace,
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "timeoutSeconds": 3,
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": "https://127.0.0.1:1/validate"},
    }
    apply(
        deployment.project,
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [webhook],
        },
    )
    try:
        eventually(lambda: UNANSWERED in refusal(deployment, resource), "the API server asks it", 30)
        yield
    finally:
        deployment.project.kubectl("delete", "validatingwebhookconfiguration", name)


UNANSWERED = 'failed calling webhook "policy.faults.test"'


def refusal(deployment: Deployment, resource: str) -> str:
    """What the API server would say to a change of these."""
    name = deployment.project.name
    selector = ["-l", f"app.kubernetes.io/instance={name}"]
    command = ["annotate", resource, *selector, "asked=once", "--dry-run=server"]
    asked = ["kubectl", "--namespace", name, *command]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stderr


def test_a_webhook_is_away_for_the_candidate(installed: Deployment) -> None:
    with webhook_away(installed, "", "pods"):
        with fault("admission webhook away, candidate", installed, 3, UNANSWERED) as line:
            line.run = installed.run("15.3.0")
        assert "the candidate cannot be made" in line.run.output


def test_a_webhook_is_away_for_the_release(installed: Deployment) -> None:
    """It is named, and asked once: every further try would be a failed revision, and Helm keeps ten."""
    before = int(installed.revision().split()[0])
    with webhook_away(installed, "apps", "deployments"):
        name = "admission webhook away, release"
        with fault(name, installed, 3, UNANSWERED, changes_nothing=False) as line:
            line.run = installed.run("15.4.0", "--no-candidate")
    assert int(installed.revision().split()[0]) <= before + 2
    with fault("the deploy after the webhook came back", installed, 0) as line:
        line.run = installed.run("15.4.1", "--no-candidate")


def test_a_webhook_is_away_for_a_rollback(installed: Deployment) -> None:
    """Helm keeps of it why it failed, and no longer where to: the same command finishes it all the same."""
    name = installed.project.name
    for tag in ["15.5.0", "15.5.1"]:
        installed.deploys(tag, "--no-candidate")
    with webhook_away(installed, "apps", "deployments"):
        line_name = "admission webhook away, --rollback"
        with fault(line_name, installed, 10, UNANSWERED, changes_nothing=False) as line:
            line.run = installed.run_script(name, "--rollback")
    with fault("--rollback after the webhook came back", installed, 0, ":15.5.0 serves") as line:
        line.run = installed.run_script(name, "--rollback")
    assert installed.project.get("/version").json["version"] == "15.5.0"
