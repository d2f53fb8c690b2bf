"""A new version that cannot come up, or answers wrongly: the candidate finds it, and nothing was changed."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.deploy.conftest import BUSY, fault
from tests.faults.deploy.deployment import Deployment
from tests.faults.deploy.kubeconfig import apply
from tests.faults.deploy.values import crashes, never_ready, other_digest, values_file
from tests.faults.tcp_proxy import TcpProxy
from tests.service import eventually


def test_crash(installed: Deployment) -> None:
    with installed.sources.edited("app/__main__.py", crashes):
        says = "its last line: broken on purpose"
        with fault("candidate: crashes", installed, 8, says, changes_nothing=True, load=BUSY) as line:
            line.run = installed.run("10.0.0")
    assert "no visitor met it" in line.run.output
    saved = {file.name for file in installed.evidence.rglob("*") if file.is_file()}
    candidate = f"logs-{installed.project.name}-candidate.txt"
    assert {"reason.txt", "events.txt", "describe.txt", "history.txt", candidate} <= saved


def test_never_ready(installed: Deployment, tmp_path: Path) -> None:
    values = never_ready(installed, tmp_path)
    says = "it is not ready after 10 s"
    with fault("candidate: never ready", installed, 8, says, changes_nothing=True) as line:
        line.run = installed.run("10.1.0", "--values", str(values), DEPLOY_CANDIDATE_SECONDS="10")


def test_its_volume_is_missing(installed: Deployment, tmp_path: Path) -> None:
    """What the kubelet says of it is told, not only that time has passed."""
    volume = {"name": "theirs", "secret": {"secretName": "none-such"}}
    mount = {"name": "theirs", "mountPath": "/theirs"}
    values = values_file(tmp_path, {"extraVolumes": [volume], "extraVolumeMounts": [mount]})
    says = 'FailedMount: MountVolume.SetUp failed for volume "theirs" : secret "none-such" not found'
    with fault("candidate: a volume's Secret is missing", installed, 8, says, changes_nothing=True) as line:
        line.run = installed.run("10.1.1", "--values", str(values), "--timeout", "10")


def test_the_nodes_cannot_pull_it(installed: Deployment) -> None:
    """The registry has it for us, under a name that the nodes cannot reach."""
    host, _, port = installed.project.cluster.registry.partition(":")
    says = "its image cannot be pulled"
    with TcpProxy((host, int(port))) as proxy:
        image = f"localhost:{proxy.port}/{installed.project.name}"
        with fault("candidate: nodes cannot pull", installed, 8, says, changes_nothing=True) as line:
            line.run = installed.start("10.2.0", image=image, DEPLOY_PULL_SECONDS="10")
            line.run.await_step("secrets")
            proxy.cut()
            line.run.wait()
        assert f":{proxy.port}: connect: connection refused" in line.run.output


def test_the_image_is_not_in_the_registry(installed: Deployment) -> None:
    """What can never be pulled is told at once, however long a registry that is away is waited for."""
    missing = "sha256:" + "0" * 64

    def nowhere(text: str) -> str:
        return text.replace('note "$image_name@$asked_digest"', f"asked_digest={missing}")

    with installed.sources.edited("deploy/image.sh", nowhere):
        says = f"{missing}: not found"
        with fault("candidate: not in the registry", installed, 8, says, changes_nothing=True) as line:
            line.run = installed.run("10.3.0", DEPLOY_PULL_SECONDS="600")
    assert line.run.seconds < 60


@contextmanager
def quota(deployment: Deployment) -> Iterator[None]:
    """One that has no room for another pod."""
    pods = json.loads(deployment.project.kubectl("get", "pods", "-o", "json"))["items"]
    spec = {"hard": {"pods": str(len(pods))}}
    apply(
        deployment.project,
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": spec},
    )
    try:
        yield
    finally:
        deployment.project.kubectl("delete", "resourcequota", "full")


def test_no_room_in_the_quota(installed: Deployment) -> None:
    with quota(installed), fault("candidate: quota exceeded", installed, 3, "exceeded quota: full") as line:
        line.run = installed.run("10.4.0")
    assert "--no-candidate" in line.run.output


def test_no_room_on_the_nodes(installed: Deployment, tmp_path: Path) -> None:
    values = values_file(tmp_path, {"nodeSelector": {"nowhere": "at-all"}})
    with fault("candidate: no node can take it", installed, 3, "there is no room for one more pod") as line:
        line.run = installed.run("10.5.0", "--values", str(values), DEPLOY_UNSCHEDULABLE_SECONDS="5")


def test_another_digest(installed: Deployment) -> None:
    with installed.sources.edited("app/handlers/version.py", other_digest):
        with fault(
            "candidate: another digest", installed, 9, "GET /version: answer 1 does not match"
        ) as line:
            line.run = installed.run("10.6.0")


def test_left_by_a_killed_deploy(installed: Deployment) -> None:
    """--status names it, and the next deploy removes it."""
    with fault("candidate left by SIGKILL, then deploy again", installed, 0, "took over the lock") as line:
        killed = installed.start("10.7.0")
        killed.await_step("candidate")
        eventually(lambda: installed.candidate() != "", "there is a candidate", 30)
        killed.kill()
        assert killed.process.returncode == -signal.SIGKILL
        assert installed.candidate() != ""
        status = installed.run_script(installed.project.name, "--status").output
        assert f"candidate        {installed.project.name}-candidate, since " in status
        line.run = installed.run("10.7.1")


def test_no_visitor_can_meet_it(installed: Deployment, tmp_path: Path) -> None:
    """No EndpointSlice holds it as ready, not even that of a Service which selects the team's own label."""
    values = values_file(tmp_path, {"podLabels": {"team": "web"}})
    installed.deploys("10.8.0", "--no-candidate", "--values", str(values))
    service = {"selector": {"team": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}
    metadata = {"name": "theirs"}
    apply(installed.project, {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service})
    seen: set[str] = set()
    with fault("candidate: no EndpointSlice has it ready", installed, 0) as line:
        line.run = installed.start("10.8.1", "--values", str(values))
        line.run.await_step("candidate")
        while not line.run.has_line("the candidate answered well"):
            ready = "jsonpath={range .items[*].endpoints[?(@.conditions.ready==true)]}{.targetRef.name} {end}"
            seen |= set(installed.project.kubectl("get", "endpointslices", "-o", ready).split())
    installed.project.kubectl("delete", "service", "theirs")
    assert f"{installed.project.name}-candidate" not in seen
    assert len([name for name in seen if name.startswith(installed.project.name)]) >= 3


def test_it_counts_beside_the_counter(installed: Deployment) -> None:
    """What it counts before it is found to be bad is not in the counter that visitors see."""
    before = installed.project.get("/api/v1/counter").json["counter"]
    with installed.sources.edited("app/handlers/counter_api.py", wrong_shape):
        failed = installed.run("10.9.1")
    assert failed.process.returncode == 9, failed.output
    assert "POST /api/v1/counter: " in failed.output, "it failed before it had counted"
    assert installed.project.get("/api/v1/counter").json["counter"] == before


def wrong_shape(text: str) -> str:
    return text.replace(
        "self.show(await self.counter.increment())", 'self.write_json({"n": await self.counter.increment()})'
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"autoscaling": {"maxReplicas": 7}}, "no candidate: the pods' template is that of revision"),
        ({"podAnnotations": {"a": "b"}}, "the candidate answered well"),
    ],
    ids=["other than the pods", "the pods"],
)
def test_what_needs_one(installed: Deployment, tmp_path: Path, change: dict[str, object], why: str) -> None:
    installed.deploys("10.10.0", "--no-candidate")
    with fault(f"a change of {next(iter(change))} alone", installed, 0, why) as line:
        line.run = installed.run("10.10.0", "--values", str(values_file(tmp_path, change)))


def test_redis_is_unwell_meanwhile(installed: Deployment) -> None:
    """The version is not blamed: it is asked again. Nor do visitors notice more than a wait."""
    pod = f"{installed.project.name}-redis-0"
    uid = ["get", "pod", pod, "--ignore-not-found", "-o", "jsonpath={.metadata.uid}"]
    with fault("Redis' pod deleted while the candidate is tested", installed, 0) as line:
        before = installed.project.kubectl(*uid)
        line.run = installed.start("10.11.0")
        line.run.await_step("candidate")
        eventually(lambda: installed.candidate() != "", "there is a candidate", 30)
        installed.project.kubectl("delete", "pod", pod, "--wait=false")
        line.run.wait()
    assert installed.project.kubectl(*uid) != before
    assert "the candidate answered well" in line.run.output
