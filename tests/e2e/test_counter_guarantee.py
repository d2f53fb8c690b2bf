"""The counter's guarantee on a real cluster: Redis' pod is deleted under load, and the books must balance."""

import json
import re
import threading
import time
from http.client import HTTPConnection, HTTPException
from types import TracebackType

from tests.e2e.cluster import Project, eventually


class Visitors:
    """Visitors who note the number that each of them was shown."""

    def __init__(self, project: Project, count: int = 8) -> None:
        self.project = project
        self.numbers: list[int] = []
        self.failed: list[object] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._visit, daemon=True) for _ in range(count)]

    def __enter__(self) -> "Visitors":
        for thread in self._threads:
            thread.start()
        self.await_answers(50)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def await_answers(self, more: int) -> None:
        wanted = len(self.numbers) + more
        eventually(f"{more} more answers", lambda: len(self.numbers) >= wanted, seconds=120)

    def _visit(self) -> None:
        connection = HTTPConnection(self.project.cluster.ingress, timeout=10)
        while not self._ended.wait(0.02):
            # POST: an ingress repeats a broken GET by itself, which is another visit.
            try:
                connection.request("POST", "/api/v1/counter", headers={"Host": self.project.host})
                response = connection.getresponse()
                body = response.read()
                outcome: object = response.status
            except (OSError, HTTPException) as error:
                connection.close()
                outcome = repr(error)
            with self._lock:
                if outcome == 200:
                    self.numbers.append(int(json.loads(body)["counter"]))
                else:
                    self.failed.append(outcome)
        connection.close()


def value(project: Project) -> int:
    counter = project.get("/api/v1/counter").json["counter"]
    assert isinstance(counter, int)
    return counter


def test_redis_pod_deleted_under_load(project: Project) -> None:
    eventually("three pods are ready", lambda: len(project.pods()) >= 3)
    before = value(project)
    with Visitors(project) as visitors:
        for _ in range(2):
            began = time.monotonic()
            project.kubectl("delete", "pod", f"{project.name}-redis-0", "--wait=true")
            visitors.await_answers(100)
            print(f"Redis' pod deleted; answered again after {time.monotonic() - began:.1f} s", flush=True)
    after = value(project)
    answered, failed = len(visitors.numbers), len(visitors.failed)
    print(f"{answered} answered, {failed} failed, the counter moved by {after - before}", flush=True)
    assert len(set(visitors.numbers)) == answered, "two visitors were shown the same number"
    assert before < min(visitors.numbers)
    assert max(visitors.numbers) <= after
    # No deploy runs meanwhile, so no smoke test counts.
    assert answered <= after - before <= answered + failed
    restarts = project.kubectl(
        "get", "pods", "-l", "app.kubernetes.io/name=visits", "-o", "jsonpath={..restartCount}"
    )
    assert set(re.findall(r"\d+", restarts)) == {"0"}, "an outage of Redis must not restart the service"
