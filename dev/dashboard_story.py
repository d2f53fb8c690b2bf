"""Three pods, their visitors and Redis, and what happens to them while the dashboard is looked at."""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Self

from dev.valkey import LOOPBACK, Valkey, free_port
from tests.faults.service.redis_proxy import RedisProxy
from tests.service import Service
from tests.visitors import COUNT, PAGE, READ, Visitors

VERSIONS = {"1.0.0": "5f0c2e9", "1.1.0": "b81d7a4"}
PODS = 3
REQUESTS = (PAGE, COUNT, READ)
PLACES = 10
"""MAX_IN_FLIGHT: few, so that a crowd of some dozens is too many."""
VISITORS, EVERY = 10, 1.0
"""Of each pod; seconds until one comes again."""
CROWD, CROWD_EVERY = 20, 0.4
PROBE_PERIOD = 2.0
PATIENCE = 60.0
"""Seconds that a pod may take to begin, and to end, on a machine that has other work."""


class Pod:
    """One process of the service on ports that it keeps when it begins anew, and its visitors."""

    def __init__(self, name: str, version: str, redis_port: int) -> None:
        self.name = name
        self.port, self.admin_port = free_port(), free_port()
        self._settings: dict[str, object] = {
            "PORT": self.port,
            "ADMIN_PORT": self.admin_port,
            "REDIS_HOST": LOOPBACK,
            "REDIS_PORT": redis_port,
            "MAX_IN_FLIGHT": PLACES,
            "VERSION": version,
            "GIT_COMMIT": VERSIONS[version],
        }
        self.service = self._begun()
        self._visitors = ExitStack()
        self._visitors.enter_context(self.visited_by(VISITORS, EVERY))

    def _begun(self) -> Service:
        return Service(settings=self._settings, patience=PATIENCE)

    def visited_by(self, count: int, every: float) -> Visitors:
        return Visitors(f"{LOOPBACK}:{self.port}", count=count, every=every, requests=REQUESTS)

    def is_asked(self) -> None:
        """The kubelet's question; what the pod answers is in its metrics."""
        with suppress(OSError, HTTPException):
            self.service.get("/readyz")

    def begin_anew(self) -> None:
        """As after the kernel has killed it."""
        self.service.signal(signal.SIGKILL)
        self.service.wait()
        self.service.close()
        self.service = self._begun()

    def drain(self) -> None:
        """As a rollout ends it: visitors go elsewhere, and it finishes what it has begun."""
        self._visitors.close()
        self.service.signal(signal.SIGTERM)
        self.service.wait(PATIENCE)
        self.service.close()

    def close(self) -> None:
        self.service.close()
        self._visitors.close()


class Cluster:
    """All that runs but Prometheus, which is told in `targets` whom to scrape."""

    def __init__(self, folder: Path, targets: Path, labels: dict[str, str]) -> None:
        """`labels` are those that every target has, beside its pod's name."""
        self.pods: list[Pod] = []
        self.relay: RedisProxy
        self._folder = folder
        self._targets = targets
        self._labels = labels
        self._begun = 0
        self._is_over = threading.Event()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            redis = Valkey(self._folder / "redis")
            redis.start()
            stack.callback(redis.stop)
            self.relay = RedisProxy((LOOPBACK, redis.port))
            stack.enter_context(self.relay)
            stack.callback(self._close_pods)
            for _ in range(PODS):
                self.add_pod(next(iter(VERSIONS)))
            probes = threading.Thread(target=self._probe)
            probes.start()
            stack.callback(probes.join)
            stack.callback(self._is_over.set)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add_pod(self, version: str) -> None:
        self._begun += 1
        name = f"{self._labels['container']}-{VERSIONS[version]}-{self._begun}"
        self.pods.append(Pod(name, version, self.relay.port))
        self._tell()

    def remove_oldest_pod(self) -> None:
        oldest = self.pods.pop(0)
        oldest.drain()
        self._tell()

    def _tell(self) -> None:
        groups = [
            {"targets": [f"{LOOPBACK}:{pod.admin_port}"], "labels": {**self._labels, "pod": pod.name}}
            for pod in self.pods
        ]
        # Replaced at once: it may be read at any moment.
        new = self._targets.with_suffix(".new")
        new.write_text(json.dumps(groups))
        new.replace(self._targets)

    def _probe(self) -> None:
        while not self._is_over.wait(PROBE_PERIOD):
            for pod in list(self.pods):
                pod.is_asked()

    def _close_pods(self) -> None:
        for pod in self.pods:
            pod.close()


def new_version(cluster: Cluster) -> Iterator[None]:
    """One pod after the other, as a rolling update does it."""
    for _ in range(PODS):
        cluster.add_pod(list(VERSIONS)[-1])
        time.sleep(10)
        cluster.remove_oldest_pod()
    yield


def slow_redis(cluster: Cluster) -> Iterator[None]:
    cluster.relay.delay = 0.3
    yield
    cluster.relay.calm()


def no_redis(cluster: Cluster) -> Iterator[None]:
    cluster.relay.cut()
    yield
    cluster.relay.restore()


def lost_answers(cluster: Cluster) -> Iterator[None]:
    cluster.relay.loses_replies = 0.2
    yield
    cluster.relay.calm()


def killed(cluster: Cluster) -> Iterator[None]:
    cluster.pods[0].begin_anew()
    yield


def crowd(cluster: Cluster) -> Iterator[None]:
    """Each command of Redis takes a while, so that there are not places for all."""
    cluster.relay.delay = 0.15
    with ExitStack() as visitors:
        for pod in cluster.pods:
            visitors.enter_context(pod.visited_by(CROWD, CROWD_EVERY))
        yield
    cluster.relay.calm()


@dataclass(frozen=True)
class Happening:
    """Begins so many seconds after the picture does. `happens` breaks something, yields, and mends it."""

    name: str
    after: float
    lasts: float
    happens: Callable[[Cluster], Iterator[None]]


STORY = [
    Happening("new version", 30, 45, new_version),
    Happening("Redis slow", 105, 25, slow_redis),
    Happening("Redis away", 160, 20, no_redis),
    Happening("answers of Redis lost", 220, 15, lost_answers),
    Happening("process killed", 265, 5, killed),
    Happening("too many visitors", 300, 25, crowd),
]
SECONDS = 360.0
"""How long the picture is."""


def told(cluster: Cluster, began: float) -> list[dict[str, object]]:
    """Let all of it happen; return when each did, in seconds of the clock."""
    found: list[dict[str, object]] = []
    for one in STORY:
        _sleep_until(began + one.after)
        start = time.time()
        print(f"dashboard: {one.name}", flush=True)
        with contextmanager(one.happens)(cluster):
            _sleep_until(start + one.lasts)
        found.append({"name": one.name, "from": start, "to": time.time()})
    _sleep_until(began + SECONDS)
    return found


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.time()))
