"""A new version that cannot come up, or answers wrongly: the candidate finds it, and nothing was changed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.deploy.conftest import fault
from tests.faults.deploy.deployment import Deployment
from tests.faults.deploy.kubeconfig import apply
from tests.faults.deploy.values import never_ready, values_file
from tests.faults.tcp_proxy import TcpProxy
from tests.service import eventually


@pytest.fixture
def unchanged(installed: Deployment) -> Iterator[Deployment]:
    """The revisions of both releases and the pods are the same at the end."""

    def state() -> list[str]:
        redis = f"{installed.project.name}-redis"
        return [installed.revision(), installed.revision(redis), *sorted(installed.project.pods())]

    before = state()
    yield installed
    assert state() == before


def crashes(text: str) -> str:
    return f'raise SystemExit("broken on purpose")\n{text}'


def test_crash(unchanged: Deployment) -> None:
    with unchanged.sources.edited("app/__main__.py", crashes):
        with fault("candidate: crashes", unchanged, 8, "its last line: broken on purpose") as line:
            line.run = unchanged.run("10.0.0")
    assert "no visitor met it" in line.run.output
    saved = {file.name for file in unchanged.evidence.rglob("*") if file.is_file()}
    candidate = f"logs-{unchanged.project.name}-candidate.txt"
    assert {"reason.txt", "events.txt", "describe.txt", "history.txt", candidate} <= saved


def test_never_ready(unchanged: Deployment, tmp_path: Path) -> None:
    values = never_ready(unchanged, tmp_path)
    with fault("candidate: never ready", unchanged, 8, "it is not ready after 10 s") as line:
        line.run = unchanged.run("10.1.0", "--values", str(values), DEPLOY_CANDIDATE_SECONDS="10")


def test_the_nodes_cannot_pull_it(unchanged: Deployment) -> None:
    """The registry has it for us, under a name that the nodes cannot reach."""
    host, _, port = unchanged.project.cluster.registry.partition(":")
    with TcpProxy((host, int(port))) as proxy:
        image = f"localhost:{proxy.port}/{unchanged.project.name}"
        with fault("candidate: nodes cannot pull the image", unchanged, 8, "cannot be pulled") as line:
            line.run = unchanged.start("10.2.0", image=image, DEPLOY_PULL_SECONDS="10")
            line.run.await_step("secrets")
            proxy.cut()
            line.run.wait()


def test_the_image_is_not_in_the_registry(unchanged: Deployment) -> None:
    """What can never be pulled is told at once, however long a registry that is away is waited for."""
    missing = "sha256:" + "0" * 64

    def other_digest(text: str) -> str:
        return text.replace('note "$image_name@$asked_digest"', f"asked_digest={missing}")

    with unchanged.sources.edited("deploy/image.sh", other_digest):
        with fault("candidate: image not in the registry", unchanged, 8, "cannot be pulled") as line:
            line.run = unchanged.run("10.3.0", DEPLOY_PULL_SECONDS="600")
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


def test_no_room_in_the_quota(unchanged: Deployment) -> None:
    with quota(unchanged), fault("candidate: quota exceeded", unchanged, 3, "exceeded quota") as line:
        line.run = unchanged.run("10.4.0")
    assert "--no-candidate" in line.run.output


def test_no_room_on_the_nodes(unchanged: Deployment, tmp_path: Path) -> None:
    values = values_file(tmp_path, {"nodeSelector": {"nowhere": "at-all"}})
    with fault("candidate: no node can take it", unchanged, 3, "there is no room for one more pod") as line:
        line.run = unchanged.run("10.5.0", "--values", str(values), DEPLOY_UNSCHEDULABLE_SECONDS="5")


def test_another_digest(unchanged: Deployment) -> None:
    with unchanged.sources.edited(
        "app/handlers/version.py", lambda text: text.replace("settings.image_digest", '"sha256:unknown"')
    ):
        with fault(
            "candidate: another digest", unchanged, 9, "GET /version: answer 1 does not match"
        ) as line:
            line.run = unchanged.run("10.6.0")


def test_left_by_a_killed_deploy(installed: Deployment) -> None:
    """--status names it, and the next deploy removes it."""
    killed = installed.start("10.7.0")
    killed.await_step("candidate")
    eventually(lambda: installed.candidate() != "", "there is a candidate", 30)
    killed.kill()
    status = installed.run_script(installed.project.name, "--status").output
    assert f"candidate        {installed.project.name}-candidate, since " in status
    with fault("candidate left by SIGKILL, then deploy again", installed, 0, "took over the lock") as line:
        line.run = installed.run("10.7.1")


def test_no_visitor_can_meet_it(installed: Deployment, tmp_path: Path) -> None:
    """No EndpointSlice holds it as ready, not even that of a Service which selects the team's own label."""
    values = values_file(tmp_path, {"podLabels": {"team": "web"}})
    run = installed.run("10.8.0", "--values", str(values))
    assert run.process.returncode == 0, run.output
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
    """Its 260 visits are not in the counter that visitors see."""
    run = installed.run("10.9.0")
    assert run.process.returncode == 0, run.output
    before = installed.project.get("/api/v1/counter").json["counter"]
    with installed.sources.edited("app/handlers/version.py", wrong_shape):
        failed = installed.run("10.9.1")
    assert failed.process.returncode == 9, failed.output
    assert installed.project.get("/api/v1/counter").json["counter"] == before


def wrong_shape(text: str) -> str:
    return text.replace('"image_digest"', '"digest"')


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"autoscaling": {"maxReplicas": 7}}, "no candidate: the pods' template is that of revision"),
        ({"podAnnotations": {"a": "b"}}, "the candidate answered well"),
    ],
    ids=["other than the pods", "the pods"],
)
def test_what_needs_one(installed: Deployment, tmp_path: Path, change: dict[str, object], why: str) -> None:
    run = installed.run("10.10.0")
    assert run.process.returncode == 0, run.output
    with fault(f"a change of {next(iter(change))} alone", installed, 0, why) as line:
        line.run = installed.run("10.10.0", "--values", str(values_file(tmp_path, change)))


def redis_dies(deployment: Deployment) -> None:
    deployment.project.kubectl(
        "delete", "pod", f"{deployment.project.name}-redis-0", "--grace-period=0", "--force"
    )


def test_redis_is_unwell_meanwhile(installed: Deployment) -> None:
    """The version is not blamed: it is asked again."""
    with fault("Redis' pod deleted while the candidate is tested", installed, 0) as line:
        line.run = installed.start("10.11.0")
        line.run.await_step("candidate")
        eventually(lambda: installed.candidate() != "", "there is a candidate", 30)
        redis_dies(installed)
        line.run.wait()
    assert "the candidate answered well" in line.run.output
