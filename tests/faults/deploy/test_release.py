"""Releases that cannot be applied, and those that a killed deploy left behind."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.deploy.conftest import MakeDeployment, fault, fault_without_visitors
from tests.faults.deploy.deployment import Deployment
from tests.faults.deploy.values import values_file
from tests.service import eventually


def kill_helm_when(deployment: Deployment, status: str, *arguments: str) -> None:
    """Start Helm, and kill it once its release has this status."""
    helm = subprocess.Popen(
        ["helm", "--namespace", deployment.project.name, *arguments],
        env={**os.environ, **deployment.environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    eventually(lambda: deployment.revision().endswith(f" {status}"), f"the release is {status}", 30)
    helm.kill()
    helm.wait()
    assert deployment.revision().endswith(f" {status}")


def test_left_pending_install(make_deployment: MakeDeployment) -> None:
    deployment = make_deployment()
    name, project = deployment.project.name, deployment.project
    project.kubectl("create", "namespace", name)
    project.kubectl("label", "namespace", name, f"deploy/project={name}", "deploy/environment=dev")
    image = f"image.repository={project.cluster.registry}/{name},ingress.host={project.host}"
    chart = str(deployment.sources.folder / ".helm")
    kill_helm_when(deployment, "pending-install", "install", name, chart, "--wait", "--set-string", image)
    with fault_without_visitors(
        "release left pending-install", deployment, 0, "left pending-install"
    ) as line:
        line.run = deployment.run("1.0.0")


def test_left_pending_upgrade(installed_by_helm: Callable[[int], Deployment]) -> None:
    """By Helm 3; what Helm 4 leaves is the same, as the next test shows."""
    installed = installed_by_helm(3)
    chart = str(installed.sources.folder / ".helm")
    missing = f"image.digest=sha256:{'0' * 64}"
    upgrade = ["upgrade", installed.project.name, chart, "--reuse-values", "--set-string", missing, "--wait"]
    with fault("release left pending-upgrade", installed, 0, "left pending-upgrade") as line:
        kill_helm_when(installed, "pending-upgrade", *upgrade)
        line.run = installed.run("4.0.0")


def test_left_pending_rollback(installed: Deployment) -> None:
    for tag in ["4.1.0", "4.1.1"]:
        installed.deploys(tag, "--no-candidate")
    number = int(installed.revision().split()[0])
    rollback = ["rollback", installed.project.name, str(number - 1), "--wait"]
    with fault("release left pending-rollback", installed, 0, "left pending-rollback") as line:
        kill_helm_when(installed, "pending-rollback", *rollback)
        line.run = installed.run("4.1.2", "--no-candidate")


def helm_runs(deployment: Deployment) -> bool:
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"helm") and b"upgrade" in words and deployment.project.name.encode() in words:
            return True
    return False


@pytest.mark.parametrize("moment", ["while helm runs", "right after helm"])
def test_killed(installed: Deployment, moment: str) -> None:
    """SIGKILL takes the script and everything it started, as the loss of its machine would."""
    tag = f"4.2.{len(moment)}"
    with fault(f"SIGKILL {moment}, then deploy again", installed, 0, "took over the lock") as line:
        killed = installed.start(tag, "--no-candidate")
        killed.await_step("release")
        while not helm_runs(installed):
            assert killed.process.poll() is None, killed.output
            time.sleep(0.01)
        if moment == "right after helm":
            killed.await_step("watch")
        killed.kill()
        assert killed.process.returncode == -signal.SIGKILL
        assert not helm_runs(installed)
        assert installed.lock_holder() != ""
        line.run = installed.run(tag, "--no-candidate")
    assert installed.project.get("/version").json["version"] == tag


def test_the_lock_ends_with_a_killed_deploy(installed: Deployment) -> None:
    """Only the script dies; the child that renews its lock must notice."""
    with fault("SIGKILL of the script alone, then deploy again", installed, 0, "took over the lock") as line:
        killed = installed.start("4.3.0")
        killed.await_step("build")
        killed.interrupt(signal.SIGKILL)
        killed.wait()
        assert killed.process.returncode == -signal.SIGKILL
        line.run = installed.run("4.3.1", "--no-candidate")


def test_an_immutable_field_of_redis(installed: Deployment, tmp_path: Path) -> None:
    values = values_file(tmp_path, {"persistence": {"size": "2Gi"}})
    says = "-redis cannot become what was asked"
    name = "immutable field changed (volume of Redis)"
    with fault(name, installed, 6, says, changes_nothing=True) as line:
        line.run = installed.run("4.4.0", "--no-candidate", "--redis-values", str(values))
    planned = installed.run("4.4.0", "--redis-values", str(values), "--plan")
    assert planned.process.returncode == 6, planned.output
    assert "impossible: " in planned.output


def test_an_immutable_field_of_the_service(installed: Deployment) -> None:
    def other_selector(text: str) -> str:
        line = "app.kubernetes.io/name: {{ .Chart.Name }}"
        return text.replace(line, f"{line}\nother: label", 1)

    with installed.sources.edited(".helm/templates/_helpers.tpl", other_selector):
        says = "cannot become what was asked"
        name = "immutable field changed (selector)"
        with fault(name, installed, 6, says, changes_nothing=True) as line:
            line.run = installed.run("4.5.0")


def test_values_that_do_not_fit(installed: Deployment, tmp_path: Path) -> None:
    values = values_file(tmp_path, {"replica": 5})
    with fault("a typo in the values", installed, 6, "'replica'", changes_nothing=True) as line:
        line.run = installed.run("4.6.0", "--values", str(values))


def test_the_volume_cannot_be_provisioned(make_deployment: MakeDeployment, tmp_path: Path) -> None:
    deployment = make_deployment()
    values = values_file(tmp_path, {"persistence": {"storageClass": "none-such"}})
    says = "no node can take it"
    with fault_without_visitors("Redis volume cannot be provisioned", deployment, 10, says) as line:
        line.run = deployment.run("1.0.0", "--redis-values", str(values), DEPLOY_UNSCHEDULABLE_SECONDS="5")


def test_a_change_of_redis_fails(installed: Deployment, tmp_path: Path) -> None:
    """Its one pod is away until its revision before is restored: so long nobody is served, not longer."""
    project = installed.project
    before = project.get("/api/v1/counter").json["counter"]
    assert isinstance(before, int)
    image = {"repository": f"{project.cluster.registry}/none-such", "tag": "none-such"}
    values = str(values_file(tmp_path, {"image": image}))
    with fault("a change of Redis fails", installed, 7, "none-such:none-such: not found") as line:
        line.run = installed.start("4.7.0", "--no-candidate", "--redis-values", values)
        line.run.await_step("Redis")
        began = time.monotonic()
        line.run.wait()
        eventually(lambda: project.get("/readyz").status == 200, "the service is back", 60)
        line.outage = (began, time.monotonic())
        assert line.outage[1] - began < 45
    assert "-redis was restored and verified as revision" in line.run.output
    after = project.get("/api/v1/counter").json["counter"]
    assert isinstance(after, int)
    assert line.load is not None
    counted = len([visit for visit in line.load.sent if visit.status == 200])
    assert after >= before + counted


def test_redis_is_replaced(installed: Deployment, tmp_path: Path) -> None:
    """Visitors wait, and none of them gets an error."""
    pod = ["get", "pod", f"{installed.project.name}-redis-0", "-o", "jsonpath={.metadata.uid}"]
    before = installed.project.kubectl(*pod)
    values = str(values_file(tmp_path, {"podAnnotations": {"replaced": "now"}}))
    with fault("Redis is replaced by a deploy", installed, 0) as line:
        line.run = installed.run("4.7.1", "--no-candidate", "--redis-values", values)
    assert installed.project.kubectl(*pod) != before


def test_what_somebody_changed_by_hand_is_mended(installed_by_each: Deployment) -> None:
    installed = installed_by_each
    installed.deploys("4.8.0", "--no-candidate")
    installed.project.kubectl(
        "set", "resources", "deployment", installed.project.name, "--limits=memory=200Mi"
    )
    planned = installed.run("4.8.0", "--plan")
    assert planned.process.returncode == 20, planned.output
    assert "changed by hand in the cluster" in planned.output
    with fault("changed by hand in the cluster", installed, 0) as line:
        line.run = installed.run("4.8.0")
    deployed = json.loads(
        installed.project.kubectl("get", "deployment", installed.project.name, "-o", "json")
    )
    limits = deployed["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits["memory"] == "192Mi"
