"""What an operator gets from the one command: the service, behind the ingress, on real parts."""

import json
import re
import subprocess

from tests.e2e.cluster import ROOT, Project, shown
from tests.service import eventually
from tests.visitors import Visitors


def smoke_visits() -> int:
    """How many visits the smoke test counts: what deploy/good_answers.sh asks of COUNT."""
    rows = [line.split() for line in (ROOT / "deploy" / "good_answers.sh").read_text().splitlines()]
    return sum(int(row[3]) for row in rows if row[-1:] and row[-1].endswith("COUNT"))


def counter(project: Project) -> int:
    value = project.get("/api/v1/counter").json["counter"]
    assert isinstance(value, int)
    return value


def test_the_page_answers_through_the_ingress_and_counts(project: Project) -> None:
    shown("kubectl", "--namespace", project.name, "get", "pods,hpa,ingress", "-o", "wide")
    page = shown("curl", "-sS", "-H", f"Host: {project.host}", f"http://{project.cluster.ingress}/")
    assert page.returncode == 0
    assert '<span id="environment">DEV</span>' in page.stdout
    first = int(re.findall(r"Counter: (\d+)", page.stdout)[0])
    second = int(re.findall(rb"Counter: (\d+)", project.get("/", accept="text/html").body)[0])
    assert second == first + 1


def test_at_least_three_ready_pods_all_serve_visitors(project: Project) -> None:
    pods = project.pods()
    assert len(pods) >= 3

    def everyone_served() -> bool:
        project.get("/api/v1/counter")
        return all("/api/v1/counter" in project.kubectl("logs", pod, "--tail=200") for pod in pods)

    eventually(everyone_served, "every pod logged a visitor's request", 60)


def test_the_pods_run_the_pushed_digest(project: Project) -> None:
    version = project.get("/version").json
    images = project.kubectl("get", "pods", "-l", "app.kubernetes.io/name=visits", "-o", "jsonpath={..image}")
    assert str(version["image_digest"]).startswith("sha256:")
    assert f"{project.cluster.registry}/visits@{version['image_digest']}" in images
    assert version["version"] == "1.0.0"


def test_probes_answer_in_every_pod(project: Project) -> None:
    for pod in project.pods():
        assert project.get_from_pod(pod, "/healthz").status == 200
        assert project.get_from_pod(pod, "/readyz").status == 200


def test_the_container_is_confined(project: Project) -> None:
    pod = project.pods()[0]
    identity = project.kubectl(
        "exec", pod, "--", "python", "-c", "import os; print(os.getuid(), os.getgid())"
    )
    assert identity.split() == ["10001", "10001"]
    for folder in ["/", "/srv/app", "/tmp", "/run/secrets/visits"]:
        script = f"open('{folder}/written', 'w')"
        refused = subprocess.run(
            ["kubectl", "--namespace", project.name, "exec", pod, "--", "python", "-c", script],
            capture_output=True,
            text=True,
            check=False,
        )
        assert refused.returncode != 0, f"{folder} can be written"
        assert "Read-only file system" in refused.stderr
    token = project.kubectl("exec", pod, "--", "ls", "/run/secrets")
    assert "kubernetes.io" not in token


def test_the_password_stays_in_its_secret(project: Project) -> None:
    secret = json.loads(project.kubectl("get", "secret", f"{project.name}-redis-auth", "-o", "json"))
    encoded = secret["data"]["REDIS_PASSWORD"]
    template = "{{.data.REDIS_PASSWORD | base64decode}}"
    password = project.kubectl("get", "secret", f"{project.name}-redis-auth", "-o", f"go-template={template}")
    assert len(password) >= 32
    for release in [project.name, f"{project.name}-redis"]:
        for what in ["values", "manifest"]:
            told = subprocess.run(
                ["helm", "--namespace", project.name, "get", what, release],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            assert password not in told
            assert encoded not in told
    refused = project.kubectl("exec", f"{project.name}-redis-0", "--", "redis-cli", "-e", "ping", check=False)
    assert "PONG" not in refused


def test_the_autoscaler_reads_the_cpu(project: Project) -> None:
    def read() -> bool:
        path = "jsonpath={.status.currentMetrics[0].resource.current.averageUtilization}"
        return project.kubectl("get", "hpa", project.name, "-o", path).isdigit()

    eventually(read, "the HPA reports a CPU utilisation", 120)


def test_the_counter_survives_its_redis_pod(project: Project) -> None:
    before = counter(project)
    project.kubectl("delete", "pod", f"{project.name}-redis-0", "--wait=true")

    def answers() -> bool:
        return project.get("/api/v1/counter").status == 200

    eventually(answers, "the service answers again", 90)
    assert counter(project) == before
    restarts = project.kubectl(
        "get", "pods", "-l", "app.kubernetes.io/name=visits", "-o", "jsonpath={..restartCount}"
    )
    assert set(restarts.split()) == {"0"}, "an outage of Redis must not restart the service"


def test_an_upgrade_under_load_fails_no_request(project: Project) -> None:
    eventually(lambda: len(project.pods()) >= 3, "three pods are ready", 60)
    before = counter(project)
    with Visitors(project.cluster.ingress, project.host, count=8, pause=0.02) as load:
        deployed = project.deploy("1.1.0")
        load.await_answers(50)
    assert deployed.returncode == 0, deployed.stderr
    assert load.failures == []
    print(f"{len(load.visits)} requests during the upgrade, 0 failed", flush=True)
    assert project.get("/version").json["version"] == "1.1.0"
    moved = counter(project) - before
    # The smoke test visits, too. Its candidate was counted elsewhere.
    assert moved == len(load.visits) + smoke_visits()
