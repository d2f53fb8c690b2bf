"""Releases that cannot be applied, and those that a killed deploy left behind."""

import json
import os
import signal
import subprocess
import time
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


@pytest.mark.parametrize("helm", [4, 3])
def test_left_pending_install(make_deployment: MakeDeployment, helm: int) -> None:
    deployment = make_deployment(helm)
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


def test_left_pending_upgrade(installed_by_each: Deployment) -> None:
    installed = installed_by_each
    chart = str(installed.sources.folder / ".helm")
    missing = f"image.digest=sha256:{'0' * 64}"
    upgrade = ["upgrade", installed.project.name, chart, "--reuse-values", "--set-string", missing, "--wait"]
    kill_helm_when(installed, "pending-upgrade", *upgrade)
    with fault("release left pending-upgrade", installed, 0, "left pending-upgrade") as line:
        line.run = installed.run("4.0.0")


def test_left_pending_rollback(installed_by_each: Deployment) -> None:
    installed = installed_by_each
    for tag in ["4.1.0", "4.1.1"]:
        run = installed.run(tag)
        assert run.process.returncode == 0, run.output
    number = int(installed.revision().split()[0])
    kill_helm_when(
        installed, "pending-rollback", "rollback", installed.project.name, str(number - 1), "--wait"
    )
    with fault("release left pending-rollback", installed, 0, "left pending-rollback") as line:
        line.run = installed.run("4.1.2")


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
def test_killed(installed_by_each: Deployment, moment: str) -> None:
    """SIGKILL takes the script and everything it started, as the loss of its machine would."""
    installed = installed_by_each
    tag = f"4.2.{len(moment)}"
    killed = installed.start(tag)
    killed.await_step("release")
    while not helm_runs(installed):
        assert killed.process.poll() is None, killed.output
        time.sleep(0.01)
    if moment == "right after helm":
        killed.await_step("watch")
    os.killpg(killed.process.pid, signal.SIGKILL)
    killed.wait()
    with fault(f"SIGKILL {moment}, then deploy again", installed, 0, "took over the lock") as line:
        line.run = installed.run(tag)
    assert installed.project.get("/version").json["version"] == tag


def test_the_lock_ends_with_a_killed_deploy(installed: Deployment) -> None:
    """Only the script dies; the child that renews its lock must notice."""
    killed = installed.start("4.3.0")
    killed.await_step("build")
    killed.interrupt(signal.SIGKILL)
    killed.wait()
    with fault("SIGKILL of the script alone, then deploy again", installed, 0, "took over the lock") as line:
        line.run = installed.run("4.3.1")


def test_an_immutable_field_of_redis(installed_by_each: Deployment, tmp_path: Path) -> None:
    installed = installed_by_each
    release = f"{installed.project.name}-redis"
    revision = installed.revision(release)
    values = values_file(tmp_path, {"persistence": {"size": "2Gi"}})
    with fault(
        "immutable field changed (volume of Redis)", installed, 6, "cannot become what was asked"
    ) as line:
        line.run = installed.run("4.4.0", "--redis-values", str(values))
    assert installed.revision(release) == revision
    planned = installed.run("4.4.0", "--redis-values", str(values), "--plan")
    assert planned.process.returncode == 20
    assert "impossible: " in planned.output


def test_an_immutable_field_of_the_service(installed: Deployment) -> None:
    revision = installed.revision()

    def other_selector(text: str) -> str:
        line = "app.kubernetes.io/name: {{ .Chart.Name }}"
        return text.replace(line, f"{line}\nother: label", 1)

    with installed.sources.edited(".helm/templates/_helpers.tpl", other_selector):
        says = "cannot become what was asked"
        with fault("immutable field changed (selector)", installed, 6, says) as line:
            line.run = installed.run("4.5.0")
    assert installed.revision() == revision


def test_values_that_do_not_fit(installed: Deployment, tmp_path: Path) -> None:
    values = values_file(tmp_path, {"replica": 5})
    with fault("a typo in the values", installed, 6, "replica") as line:
        line.run = installed.run("4.6.0", "--values", str(values))


def test_the_volume_cannot_be_provisioned(make_deployment: MakeDeployment, tmp_path: Path) -> None:
    deployment = make_deployment()
    values = values_file(tmp_path, {"persistence": {"storageClass": "none-such"}})
    says = "no node can take it"
    with fault_without_visitors("Redis volume cannot be provisioned", deployment, 7, says) as line:
        line.run = deployment.run("1.0.0", "--redis-values", str(values), DEPLOY_UNSCHEDULABLE_SECONDS="5")


def test_a_change_of_redis_fails(installed: Deployment, tmp_path: Path) -> None:
    before = installed.project.get("/api/v1/counter").json["counter"]
    values = values_file(tmp_path, {"image": {"tag": "none-such"}})
    with fault("a change of Redis fails", installed, 7, "is restored", redis_restarts=True) as line:
        line.run = installed.run("4.7.0", "--redis-values", str(values))
    eventually(lambda: installed.project.get("/readyz").status == 200, "the service is back", 60)
    after = installed.project.get("/api/v1/counter").json["counter"]
    assert isinstance(before, int)
    assert isinstance(after, int)
    assert after >= before


def test_what_somebody_changed_by_hand_is_mended(installed_by_each: Deployment) -> None:
    installed = installed_by_each
    run = installed.run("4.8.0")
    assert run.process.returncode == 0, run.output
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
