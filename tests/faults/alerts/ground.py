"""What one line has: Redis, pods with visitors, and Prometheus; and the wish that something breaks there."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeAlias, TypeVar

from dev.valkey import LOOPBACK
from tests.alerts.scenario import QUIET, Bells
from tests.conftest import SentinelServer
from tests.faults.alerts.pods import Pod, sources
from tests.faults.alerts.prometheus import Prometheus
from tests.faults.service.products import valkey
from tests.faults.service.redis_proxy import RedisProxy
from tests.faults.service.redis_servers import ClusterNode, Server, wait_for
from tests.visitors import Visit

FIRST_VISITS = 40
AnyServer = TypeVar("AnyServer", bound=Server)
Strike: TypeAlias = Callable[["Ground"], Iterator[None]]
"""Breaks something, yields, and mends it."""


@dataclass(frozen=True)
class Line:
    """One line of the fault tables, and what it must ring."""

    name: str
    strike: Strike
    rings: Bells
    may: Bells = QUIET
    """What may ring too, as it is true: visitors got no answer, or a late one."""
    pods: int = 1
    visitors: int = 8
    """Of each pod."""
    every: float = 0.4
    """Seconds after which a visitor comes again."""
    redis: tuple[str, ...] = ()
    """Arguments of the server."""
    settings: Mapping[str, object] = field(default_factory=dict)
    slower: float = 0.0
    """Seconds that the alerts may come later than by their own times, as the fault itself takes some."""
    shows: str = ""
    """What Prometheus finds once the fault has struck; where an alert must ring, that shows it."""
    before: Callable[["Ground"], object] | None = None
    """What is to be there before visitors come."""
    change: Callable[[Path], None] | None = None
    """What the pods' sources become."""
    servers: Callable[["Ground"], Mapping[str, object]] | None = None
    """Starts further servers of Redis, and tells the settings by which pods reach them without a relay."""
    through: Callable[[Path], list[str]] = lambda _: []
    """The command that starts a pod in its own place; it is given a folder."""


class Ground:
    """Starts all that a line needs. Every pod reaches Redis through a relay of its own."""

    def __init__(self, folder: Path, line: Line, prometheus: Prometheus) -> None:
        self.folder = folder
        self.line = line
        self.prometheus = prometheus
        self.server = Server(folder / "redis", valkey(), *line.redis)
        self.relays: list[RedisProxy] = []
        self.pods: list[Pod] = []
        self.secrets: list[Path] = []
        """Of each pod, the folder of its password's file."""
        self.others: list[Server] = []
        """Further servers of Redis."""
        self._reach: Mapping[str, object] = {}
        """By which settings pods reach them."""
        self.left: list[Visit] = []
        """What visitors met of pods that are gone."""
        self._is_open = False
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self.server.start()
            self._stack.callback(self.server.stop)
            if self.line.servers is not None:
                self._reach = self.line.servers(self)
            for _ in range(self.line.pods):
                self.add_pod()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add_pod(self, change: Callable[[Path], None] | None = None, **settings: object) -> Pod:
        """One more, of sources that are changed."""
        number = len(self.relays) + 1
        relay = RedisProxy((LOOPBACK, self.server.port))
        self._stack.enter_context(relay)
        secrets = self.folder / f"secrets-{number}"
        secrets.mkdir()
        reach = self._reach or {"REDIS_HOST": LOOPBACK, "REDIS_PORT": relay.port}
        change = change or self.line.change
        of = {}
        if change is not None:
            of["folder"] = sources(self.folder / f"sources-{number}")
            change(of["folder"])
        pod = Pod(
            f"shop-{number}",
            {"SECRETS_DIR": secrets, **reach, **self.line.settings, **settings},
            visitors=self.line.visitors,
            every=self.line.every,
            through=self.line.through(self.folder),
            **of,
        )
        self._stack.callback(pod.close)
        if self._is_open:
            pod.open()
        self.relays.append(relay)
        self.secrets.append(secrets)
        self.pods.append(pod)
        self.look()
        return pod

    def open(self) -> None:
        """Let visitors come, also to later pods."""
        if self.line.before is not None:
            self.line.before(self)
        self._is_open = True
        for pod in self.pods:
            pod.open()
        for pod in self.pods:
            pod.await_answers(FIRST_VISITS)

    def remove(self, pod: Pod) -> None:
        """As the cluster does: nobody comes any more, it ends, and is not scraped."""
        self.pods.remove(pod)
        self.look()
        self.left += pod.visitors.visits
        pod.close()

    def look(self) -> None:
        """Let Prometheus scrape all pods."""
        self.prometheus.see({pod.name: pod.admin_port for pod in self.pods})

    @property
    def pod(self) -> Pod:
        return self.pods[0]

    @property
    def relay(self) -> RedisProxy:
        return self.relays[0]

    def lasts(self, seconds: float) -> None:
        """Let a short fault go on for so long."""
        time.sleep(seconds)

    def more_replica(self) -> Server:
        """A replica of the first Redis, in step with it."""
        arguments = ("--replicaof", LOOPBACK, str(self.server.port))
        replica = self._started(Server(self._next_folder(), valkey(), *arguments))
        wait_for("in step", replica.is_in_step)
        return replica

    def more_node(self) -> ClusterNode:
        """A node of a Cluster."""
        return self._started(ClusterNode(self._next_folder(), valkey()))

    def more_sentinel(self, *lines: str) -> SentinelServer:
        """One that watches the first Redis."""
        sentinel = SentinelServer(self.folder / "sentinel", self.server.port, *lines, binary=valkey().binary)
        sentinel.start()
        self._stack.callback(sentinel.stop)
        return sentinel

    def _started(self, server: AnyServer) -> AnyServer:
        server.start()
        self._stack.callback(server.stop)
        self.others.append(server)
        return server

    def _next_folder(self) -> Path:
        return self.folder / f"redis-{len(self.others) + 2}"


@contextmanager
def again_and_again(step: Callable[[], None], seconds: float) -> Iterator[None]:
    """Take a step every so many seconds until the block ends."""
    over = threading.Event()
    wrong: list[BaseException] = []

    def repeat() -> None:
        try:
            while True:
                step()
                if over.wait(seconds):
                    return
        except BaseException as error:
            wrong.append(error)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if wrong:
        raise wrong[0]
