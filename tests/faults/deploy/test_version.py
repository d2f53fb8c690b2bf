"""A new version that fails after the release: the one before serves, and was never away.

Most are found by the candidate before (test_candidate.py), so these deploys have none.
"""

import json
import subprocess
from pathlib import Path

import pytest

from tests.faults.deploy.conftest import BUSY, MakeDeployment, fault, fault_without_visitors
from tests.faults.deploy.deployment import Deployment, Run
from tests.faults.deploy.kubeconfig import apply, server_address, with_server
from tests.faults.deploy.values import crashes, never_ready, other_digest, values_file
from tests.faults.tcp_proxy import TcpProxy
from tests.service import eventually


def test_crash_loop(installed: Deployment) -> None:
    with installed.sources.edited("app/__main__.py", crashes):
        says = "its last line: broken on purpose"
        with fault("new version crash-loops", installed, 8, says, load=BUSY) as line:
            line.run = installed.run("3.0.0", "--no-candidate")
    assert_restored(line.run)
    saved = {file.name for file in installed.evidence.rglob("*") if file.is_file()}
    assert {"reason.txt", "events.txt", "describe.txt", "manifest.yaml", "history.txt"} <= saved
    assert any(name.endswith("-previous.txt") for name in saved), "no log of the container that crashed"


def assert_restored(run: Run) -> None:
    assert "was restored and verified" in run.output, run.output


def test_never_ready(installed: Deployment, tmp_path: Path) -> None:
    values = never_ready(installed, tmp_path)
    with fault("new version never becomes ready", installed, 8, "not complete after 20 s", load=BUSY) as line:
        line.run = installed.run("3.1.0", "--no-candidate", "--values", str(values), "--timeout", "20")
    assert_restored(line.run)


def test_no_node_can_take_it(installed: Deployment, tmp_path: Path) -> None:
    values = values_file(tmp_path, {"nodeSelector": {"nowhere": "at-all"}})
    with fault("new version unschedulable", installed, 8, "no node can take it") as line:
        options = ["--no-candidate", "--values", str(values)]
        line.run = installed.run("3.2.0", *options, DEPLOY_UNSCHEDULABLE_SECONDS="5")
    assert_restored(line.run)


def test_the_nodes_cannot_pull_it(installed: Deployment) -> None:
    """The registry has it for us, under a name that the nodes cannot reach."""
    host, _, port = installed.project.cluster.registry.partition(":")
    with TcpProxy((host, int(port))) as proxy:
        image = f"localhost:{proxy.port}/{installed.project.name}"
        with fault("nodes cannot pull the image", installed, 8, "its image cannot be pulled") as line:
            line.run = installed.start("3.3.0", "--no-candidate", image=image, DEPLOY_PULL_SECONDS="10")
            line.run.await_step("secrets")
            proxy.cut()
            line.run.wait()
        assert f":{proxy.port}: connect: connection refused" in line.run.output
    assert_restored(line.run)


def test_the_fix_is_deployed_while_pods_crash(installed: Deployment) -> None:
    """Somebody upgraded past deploy.sh to a version that crashes; the fix must not be judged by its pods."""
    broken = f"{installed.project.cluster.registry}/{installed.project.name}:broken"
    with installed.sources.edited("app/__main__.py", crashes):
        subprocess.run(["docker", "build", "-q", "-t", broken, str(installed.sources.folder)], check=True)
    pushed = subprocess.run(["docker", "push", broken], check=True, capture_output=True, text=True).stdout
    digest = "sha256:" + pushed.split("sha256:")[-1].split()[0]
    chart = str(installed.sources.folder / ".helm")

    def crashing() -> bool:
        reasons = "jsonpath={..state.waiting.reason}"
        return "CrashLoopBackOff" in installed.project.kubectl("get", "pods", "-o", reasons)

    with fault("old pods crash-looping while the fix is deployed", installed, 0, load=BUSY) as line:
        options = ["--reuse-values", "--set-string", f"image.digest={digest}"]
        installed.helm("upgrade", installed.project.name, chart, *options)
        eventually(crashing, "a pod crashes again and again", 90)
        line.run = installed.run("3.4.0")


def test_quota_exceeded(installed: Deployment) -> None:
    pods = json.loads(installed.project.kubectl("get", "pods", "-o", "json"))["items"]
    quota = {"hard": {"pods": str(len(pods))}}
    metadata = {"name": "full"}
    apply(
        installed.project, {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": quota}
    )
    try:
        with fault("quota exceeded", installed, 8, "exceeded quota: full") as line:
            line.run = installed.run("3.5.0", "--no-candidate")
    finally:
        installed.project.kubectl("delete", "resourcequota", "full")
    refused = installed.project.kubectl("get", "events", "--field-selector", "reason=FailedCreate")
    assert "exceeded quota: full" in refused
    assert_restored(line.run)


def test_the_smoke_test_fails(installed: Deployment) -> None:
    """A healthy rollout of a version that does not say what it is."""
    with installed.sources.edited("app/handlers/version.py", other_digest):
        says = "failed: GET /version: answer 1 does not match"
        with fault("smoke test fails after a healthy rollout", installed, 9, says, load=BUSY) as line:
            line.run = installed.run("3.6.0", "--no-candidate", DEPLOY_SMOKE_SECONDS="8")
    assert_restored(line.run)


def test_the_evidence_cannot_be_saved(installed: Deployment, tmp_path: Path) -> None:
    """A full disk, a read-only checkout: here, a folder that cannot be made. The rollback comes."""
    no_folder = tmp_path / "file"
    no_folder.write_text("")
    with installed.sources.edited("app/__main__.py", crashes):
        says = "evidence: none, "
        with fault("evidence cannot be saved", installed, 8, says) as line:
            line.run = installed.run("3.6.1", "--no-candidate", DEPLOY_EVIDENCE=str(no_folder))
    assert "warning: no evidence can be saved: " in line.run.output
    assert_restored(line.run)


def test_the_rollback_fails(installed: Deployment, tmp_path: Path) -> None:
    with TcpProxy(server_address()) as proxy, installed.sources.edited("app/__main__.py", crashes):
        kubeconfig = with_server(tmp_path, f"https://{proxy.address}")
        with fault("rollback itself fails", installed, 10, "does not answer", lock_is_free=False) as line:
            line.run = installed.start("3.7.0", "--no-candidate", KUBECONFIG=str(kubeconfig))
            line.run.await_step("rollback")
            cut_in_use(proxy)
            line.run.wait()
    assert "--rollback" in line.run.output
    with fault("the deploy after a failed rollback", installed, 0) as line:
        line.run = installed.run("3.7.1")


def cut_in_use(proxy: TcpProxy, seconds: float | None = None) -> None:
    """Cut it while it forwards something, for ever or for so many seconds."""
    eventually(lambda: proxy.connections > 0, "somebody is connected", 30)
    if seconds is None:
        proxy.cut()
    else:
        proxy.cut_for(seconds)
    assert proxy.broken > 0, "nobody noticed"


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


@pytest.mark.parametrize("step", ["candidate", "Redis", "release", "watch", "smoke"])
def test_the_api_server_is_gone_for_five_seconds(installed: Deployment, tmp_path: Path, step: str) -> None:
    options = [] if step == "candidate" else ["--no-candidate"]
    with TcpProxy(server_address()) as proxy:
        kubeconfig = with_server(tmp_path, f"https://{proxy.address}")
        with fault(f"API server gone for 5 s in the step {step}", installed, 0) as line:
            line.run = installed.start(f"3.9.0-{step}", *options, KUBECONFIG=str(kubeconfig))
            line.run.await_step(step)
            cut_in_use(proxy, seconds=5)
            line.run.wait()
