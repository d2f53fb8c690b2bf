"""A new version that fails: the one before serves, and was never away."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.faults.deploy.conftest import MakeDeployment, fault, fault_without_visitors
from tests.faults.deploy.deployment import Deployment
from tests.faults.deploy.kubeconfig import apply, server_address, with_server
from tests.faults.deploy.values import never_ready, values_file
from tests.faults.tcp_proxy import TcpProxy
from tests.service import eventually


def crashes(text: str) -> str:
    return f'raise SystemExit("broken on purpose")\n{text}'


def test_crash_loop(installed_by_each: Deployment) -> None:
    installed = installed_by_each
    with installed.sources.edited("app/__main__.py", crashes):
        with fault("new version crash-loops", installed, 8, "its last line: broken on purpose") as line:
            line.run = installed.run("3.0.0")
    assert "was restored and verified" in line.run.output
    saved = {file.name for file in installed.evidence.rglob("*") if file.is_file()}
    assert {"reason.txt", "events.txt", "describe.txt", "manifest.yaml", "history.txt"} <= saved
    assert any(name.endswith("-previous.txt") for name in saved), "no log of the container that crashed"


def test_never_ready(installed_by_each: Deployment, tmp_path: Path) -> None:
    installed = installed_by_each
    values = never_ready(installed, tmp_path)
    with fault("new version never becomes ready", installed, 8, "not complete after 30 s") as line:
        line.run = installed.run("3.1.0", "--values", str(values), "--timeout", "30")


def test_no_node_can_take_it(installed: Deployment, tmp_path: Path) -> None:
    values = values_file(tmp_path, {"nodeSelector": {"nowhere": "at-all"}})
    with fault("new version unschedulable", installed, 8, "no node can take it") as line:
        line.run = installed.run("3.2.0", "--values", str(values), DEPLOY_UNSCHEDULABLE_SECONDS="5")


def test_the_nodes_cannot_pull_it(installed: Deployment) -> None:
    """The registry has it for us, under a name that the nodes cannot reach."""
    host, _, port = installed.project.cluster.registry.partition(":")
    with TcpProxy((host, int(port))) as proxy:
        image = f"localhost:{proxy.port}/{installed.project.name}"
        with fault("nodes cannot pull the image", installed, 8, "its image cannot be pulled") as line:
            line.run = installed.start("3.3.0", image=image)
            line.run.await_step("release")
            proxy.cut()
            line.run.wait()


def test_the_fix_is_deployed_while_pods_crash(installed: Deployment) -> None:
    """Somebody upgraded past deploy.sh to a version that crashes; the fix must not be judged by its pods."""
    broken = f"{installed.project.cluster.registry}/{installed.project.name}:broken"
    with installed.sources.edited("app/__main__.py", crashes):
        subprocess.run(["docker", "build", "-q", "-t", broken, str(installed.sources.folder)], check=True)
    pushed = subprocess.run(["docker", "push", broken], check=True, capture_output=True, text=True).stdout
    digest = "sha256:" + pushed.split("sha256:")[-1].split()[0]
    chart = str(installed.sources.folder / ".helm")
    installed.helm(
        "upgrade", installed.project.name, chart, "--reuse-values", "--set-string", f"image.digest={digest}"
    )

    def crashing() -> bool:
        reasons = "jsonpath={..state.waiting.reason}"
        return "CrashLoopBackOff" in installed.project.kubectl("get", "pods", "-o", reasons)

    eventually(crashing, "a pod crashes again and again", 90)
    with fault("old pods crash-looping while the fix is deployed", installed, 0) as line:
        line.run = installed.run("3.4.0")


def test_quota_exceeded(installed: Deployment) -> None:
    pods = json.loads(installed.project.kubectl("get", "pods", "-o", "json"))["items"]
    quota = {"hard": {"pods": str(len(pods))}}
    metadata = {"name": "full"}
    apply(
        installed.project, {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": quota}
    )
    try:
        with fault("quota exceeded", installed, 8, "exceeded quota") as line:
            line.run = installed.run("3.5.0")
    finally:
        installed.project.kubectl("delete", "resourcequota", "full")


def test_the_smoke_test_fails(installed_by_each: Deployment) -> None:
    """A healthy rollout of a version that does not say what it is."""
    installed = installed_by_each
    with installed.sources.edited(
        "app/handlers/version.py", lambda text: text.replace("settings.image_digest", '"sha256:unknown"')
    ):
        with fault(
            "smoke test fails after a healthy rollout", installed, 9, "names the digest «none»"
        ) as line:
            line.run = installed.run("3.6.0", DEPLOY_SMOKE_SECONDS="8")


def test_the_rollback_fails(installed: Deployment, tmp_path: Path) -> None:
    with TcpProxy(server_address()) as proxy, installed.sources.edited("app/__main__.py", crashes):
        kubeconfig = with_server(tmp_path, f"https://{proxy.address}")
        with fault("rollback itself fails", installed, 10, "does not answer", lock_is_free=False) as line:
            line.run = installed.start("3.7.0", KUBECONFIG=str(kubeconfig))
            line.run.await_step("rollback")
            proxy.cut()
            line.run.wait()
    with fault("the deploy after a failed rollback", installed, 0) as line:
        line.run = installed.run("3.7.1")


def test_the_first_install_fails(make_deployment: MakeDeployment) -> None:
    deployment = make_deployment()
    with deployment.sources.edited("app/__main__.py", crashes):
        with fault_without_visitors(
            "first install fails", deployment, 10, "stays as it is for inspection"
        ) as line:
            line.run = deployment.run("1.0.0")
    assert deployment.revision() == "1 deployed"
    with fault_without_visitors("the fix of a failed first install", deployment, 0) as line:
        line.run = deployment.run("1.0.1")


def test_a_rollback_on_request(installed: Deployment) -> None:
    for tag in ["3.8.0", "3.8.1"]:
        run = installed.run(tag)
        assert run.process.returncode == 0, run.output
    with fault("--rollback", installed, 0, ":3.8.0 serves") as line:
        line.run = installed.run_script(installed.project.name, "--rollback")
    assert installed.project.get("/version").json["version"] == "3.8.0"


@pytest.mark.parametrize("step", ["Redis", "release", "watch", "smoke"])
def test_the_api_server_is_gone_for_five_seconds(installed: Deployment, tmp_path: Path, step: str) -> None:
    with TcpProxy(server_address()) as proxy:
        kubeconfig = with_server(tmp_path, f"https://{proxy.address}")
        with fault(f"API server gone for 5 s in the step {step}", installed, 0) as line:
            line.run = installed.start(f"3.9.{len(step)}", KUBECONFIG=str(kubeconfig))
            line.run.await_step(step)
            proxy.cut_for(5)
            line.run.wait()
