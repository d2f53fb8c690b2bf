"""Redis is away: for a moment that costs visitors time and no error, for long they are told at once.

Half of the visitors POST: an ingress repeats a broken GET by itself, which would hide an error.
"""

import json
import re
import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from app.settings import Settings
from tests.e2e.cluster import Project
from tests.service import eventually
from tests.visitors import Visit, Visitors

VISITORS = 12
ABSENCE = 60.0
PATIENCE: float = Settings.model_fields["request_timeout"].default
"""Seconds for which visitors wait before they are told."""


def value(project: Project) -> int:
    counter = project.get("/api/v1/counter").json["counter"]
    assert isinstance(counter, int)
    return counter


@pytest.fixture
def settled(project: Project) -> Project:
    eventually(lambda: len(project.pods()) >= 3, "three pods are ready", 60)
    eventually(lambda: project.pods("redis") != [], "Redis is ready", 60)
    return project


def visitors_of(project: Project, count: int = VISITORS, pause: float = 0.02) -> Visitors:
    return Visitors(project.cluster.ingress, project.host, count, pause)


def redis_pod(project: Project) -> str:
    path = "jsonpath={.metadata.uid} {.status.containerStatuses[0].restartCount} {..ready}"
    return project.kubectl("get", "pod", f"{project.name}-redis-0", "-o", path, check=False)


def delete_pod(project: Project) -> None:
    project.kubectl("delete", "pod", f"{project.name}-redis-0", "--wait=true")


def kill_process(project: Project) -> None:
    """As the kernel would: the signal comes from outside the container, whose first process it is."""
    uid = project.kubectl("get", "pod", f"{project.name}-redis-0", "-o", "jsonpath={.metadata.uid}")
    of_the_pod = [
        int(folder.name)
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and is_redis_of(folder, uid)
    ]
    if not of_the_pod:
        pytest.skip("the node's processes are not this machine's, so nobody can kill Redis from outside")
    subprocess.run(["kill", "-KILL", *map(str, of_the_pod)], check=True)


def is_redis_of(folder: Path, uid: str) -> bool:
    try:
        cgroups = (folder / "cgroup").read_text()
        name = (folder / "comm").read_text()
    except OSError:
        return False
    return uid.replace("-", "_") in cgroups.replace("-", "_") and name.startswith(("redis", "valkey"))


def change_template(project: Project) -> None:
    patch = {"spec": {"template": {"metadata": {"annotations": {"e2e/changed": secrets.token_hex(4)}}}}}
    project.kubectl("patch", "statefulset", f"{project.name}-redis", "-p", json.dumps(patch))


@pytest.mark.parametrize("replace", [delete_pod, kill_process, change_template])
def test_an_absence_for_a_moment_costs_time_and_no_error(
    settled: Project, replace: Callable[[Project], None]
) -> None:
    before, was = value(settled), redis_pod(settled)
    with visitors_of(settled) as visitors:
        visitors.await_answers(100)
        replace(settled)
        eventually(
            lambda: redis_pod(settled) != was and redis_pod(settled).endswith("true"),
            "Redis is another one",
            60,
        )
        visitors.await_answers(200, 60)
    moved = value(settled) - before
    waits = sorted(visit.seconds for visit in visitors.visits)
    print(
        f"{len(visitors.visits)} visits, {len(visitors.failures)} failed, the counter moved by {moved}, "
        f"longest wait {waits[-1]:.2f} s",
        flush=True,
    )
    assert visitors.failures == []
    # Somebody did wait: otherwise nothing was away.
    assert waits[-1] > 0.5
    check_numbers(visitors.visits, before)
    assert moved == len(visitors.visits)


def check_numbers(visits: list[Visit], before: int) -> None:
    """Whoever was answered has a number of their own, and the counter went through it meanwhile."""
    numbers = [visit.number for visit in visits if visit.status == 200]
    assert None not in numbers
    assert len(set(numbers)) == len(numbers), "two visitors were shown the same number"
    assert min(number for number in numbers if number is not None) > before


def test_an_absence_that_lasts_is_told_at_once(settled: Project) -> None:
    before = value(settled)
    with visitors_of(settled) as visitors:
        visitors.await_answers(100)
        scale_redis(settled, 0)
        gone = last_success(visitors)
        eventually(lambda: visitors.failures != [], "the first error", 60)
        seen = [measured(settled)]
        while visitors.visits[-1].ended < gone + ABSENCE:
            seen.append(measured(settled))
        back = visitors.visits[-1].ended
        scale_redis(settled, 1)
        eventually(lambda: visitors.visits[-1].status == 200, "answered again", 90)
        visitors.await_answers(200, 60)
    moved = value(settled) - before
    failures = visitors.failures
    first = min(visit.ended for visit in failures) - gone
    late = sorted(visit.seconds for visit in failures if visit.began > gone + PATIENCE + 1)
    recovered = min(visit.ended for visit in visitors.answered if visit.ended > back) - back
    print(
        f"away for {ABSENCE:.0f} s: first error after {first:.1f} s; {len(late)} later ones, half within "
        f"{late[len(late) // 2]:.3f} s, all within {late[-1]:.2f} s; at most {max(one for one, _ in seen)} "
        f"in flight in a pod and {max(memory for _, memory in seen):.0f} MB resident; answered again "
        f"{recovered:.1f} s after Redis was asked back; {len(visitors.answered)} answered, "
        f"the counter moved by {moved}",
        flush=True,
    )
    assert PATIENCE - 2 <= first <= PATIENCE + 1
    assert late[-1] < 2
    assert {visit.status for visit in failures} <= {502, 503, 504}
    check_numbers(visitors.visits, before)
    # A visit that failed may have been counted, of each visitor at most the one that was under way.
    assert len(visitors.answered) <= moved <= len(visitors.answered) + 2 * VISITORS
    restarts = settled.kubectl(
        "get", "pods", "-l", "app.kubernetes.io/name=visits", "-o", "jsonpath={..restartCount}"
    )
    assert set(restarts.split()) == {"0"}, "an outage of Redis must not restart the service"


def scale_redis(project: Project, replicas: int) -> None:
    project.kubectl("scale", "statefulset", f"{project.name}-redis", f"--replicas={replicas}")
    if replicas == 0:
        project.kubectl("wait", "--for=delete", "pod", f"{project.name}-redis-0", "--timeout=60s")


def last_success(visitors: Visitors) -> float:
    return max(visit.ended for visit in visitors.answered)


def measured(project: Project) -> tuple[int, float]:
    """The most requests in flight in one pod, and the most resident memory in MB."""
    texts = [metrics(project, name) for name in pod_names(project)]
    in_flight = [int(float(found)) for text in texts for found in gauge("http_requests_in_flight", text)]
    resident = [
        float(found) / 2**20 for text in texts for found in gauge("process_resident_memory_bytes", text)
    ]
    return max(in_flight, default=0), max(resident, default=0.0)


def pod_names(project: Project) -> list[str]:
    names = project.kubectl("get", "pods", "-l", "app.kubernetes.io/name=visits", "-o", "name")
    return [name.removeprefix("pod/") for name in names.split()]


def metrics(project: Project, pod: str) -> str:
    url = "http://127.0.0.1:8001/metrics"
    script = f"import urllib.request as u; print(u.urlopen('{url}', timeout=5).read().decode())"
    return project.kubectl("exec", pod, "--", "python", "-c", script, check=False)


def gauge(name: str, text: str) -> list[str]:
    return re.findall(rf"^{name} ([0-9.e+]+)$", text, re.MULTILINE)
