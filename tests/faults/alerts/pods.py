"""Processes of the service as a cluster runs them: visited while they say that they are ready."""

import shutil
import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPException
from pathlib import Path
from threading import Event

from dev.valkey import LOOPBACK, free_port
from tests.service import ROOT, Service
from tests.visitors import Visitors

PROBE_PERIOD = 0.5
STARTUP_SECONDS = 60.0
REDIS_TIMEOUT = 1.0
REQUEST_TIMEOUT = 6.0
"""Who waits for Redis is told sooner that it is away, as the windows are shorter, too."""
PROBE_TIMEOUT = 5.0


def sources(folder: Path) -> Path:
    """A copy of what a version is made of, to change it."""
    shutil.copytree(ROOT / "app", folder / "app")
    return folder


class Pod:
    """One process on ports that it keeps when it is started again, with its visitors.

    The entrance sends them to a pod that is ready, as its last probe said. Of one that is not, whoever is
    inside stays until they are answered.
    """

    def __init__(
        self,
        name: str,
        settings: Mapping[str, object],
        *,
        visitors: int,
        every: float,
        through: Sequence[str] = (),
        folder: Path = ROOT,
    ) -> None:
        self.name = name
        self.admin_port = free_port()
        self._folder = folder
        self._through = through
        self._settings = {
            "PORT": free_port(),
            "ADMIN_PORT": self.admin_port,
            "REDIS_TIMEOUT": REDIS_TIMEOUT,
            "REQUEST_TIMEOUT": REQUEST_TIMEOUT,
            "ENVIRONMENT": "TEST",
            **settings,
        }
        self._is_open = Event()
        self._is_over = Event()
        self._stack = ExitStack()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"probes of {name}")
        self._asked: Future[None] | None = None
        self.visitors = Visitors(
            f"{LOOPBACK}:{self._settings['PORT']}",
            count=visitors,
            every=every,
            let_in=self._is_open,
        )
        self.service = self._start()

    def _start(self) -> Service:
        service = Service(
            settings=self._settings,
            through=self._through,
            folder=self._folder,
            patience=STARTUP_SECONDS,
        )
        self._stack.callback(service.close)
        return service

    def open(self) -> None:
        """Let visitors come whenever it is ready."""
        self._asked = self._thread.submit(self._ask)
        self._stack.enter_context(self.visitors)

    def close(self) -> None:
        self._is_over.set()
        self._thread.shutdown()
        self._stack.close()
        if self._asked is not None:
            self._asked.result()

    def _ask(self) -> None:
        while not self._is_over.wait(PROBE_PERIOD):
            try:
                is_ready = self.service.request("GET", "/readyz", patience=PROBE_TIMEOUT).status == 200
            except (OSError, HTTPException):
                is_ready = False
            (self._is_open.set if is_ready else self._is_open.clear)()

    def kill(self) -> None:
        self.service.signal(signal.SIGKILL)
        self.service.wait()

    def start_again(self) -> None:
        self.service = self._start()

    def restart(self) -> None:
        """End it as the kernel does that has no memory left, and start it again."""
        self.kill()
        self.start_again()

    def await_answers(self, count: int) -> None:
        self.visitors.await_answers(count, 60)
