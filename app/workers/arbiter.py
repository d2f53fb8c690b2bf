"""Gunicorn's arbiter, with the service's own end: it starts workers, watches them, and ends when they have.

As of Gunicorn 27.0.1 its own ways differ where a drain would suffer. SIGINT ends workers at once; a second
SIGTERM does nothing; a worker that is one too many gets SIGTERM again at every turn, and none that is missing
is started before it has ended; a reload ends the old workers before the new ones serve, waits for them, and
hears no signal meanwhile; a worker that fails to start ends all the others at once.
"""

import os
import shutil
import signal
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from tempfile import mkdtemp
from types import FrameType
from typing import Any, NoReturn, TypeAlias

import structlog
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from gunicorn.glogging import Logger
from gunicorn.sock import close_sockets, create_sockets

from app.server import listen
from app.settings import Settings, SettingsError, load_settings
from app.telemetry.logs import configure_logs
from app.workers.metrics import forget
from app.workers.worker import RETIRE, LoopWorker

HUNG_SECONDS = 30
"""Without a sign of life a worker's event loop hangs; nothing that is waited for keeps one from it."""
GRACE_SECONDS = 10
"""Beyond the longest drain, for closing Redis and the end of Python; who lives longer is killed."""
STARTS_THAT_MAY_FAIL = 5
"""In a row, of all workers together."""
PAUSE_SECONDS = 1.0
"""After a start that failed."""
EXIT_FAILED = 1
MEMORY = Path("/dev/shm")  # noqa: S108 - not the file's name, which is made by mkstemp and mkdtemp
"""Where files are never written to a disk, which could stop a worker that gives a sign of life."""

InLoop: TypeAlias = Callable[[Coroutine[Any, Any, None]], None]

log = structlog.get_logger(__name__)


def run(settings: Settings, count: int, in_loop: InLoop) -> NoReturn:
    """Serve with so many workers; exits, in each process. Raises app.http.server.CannotListen."""
    listeners, admin_listeners = listen(settings)
    memory = str(MEMORY) if os.access(MEMORY, os.W_OK) else None
    folder = Path(mkdtemp(prefix="visits-", dir=memory))
    own = os.getpid()
    try:
        application = _Application(settings, count, in_loop, folder, len(listeners))
        arbiter = DrainingArbiter(application)
        descriptors = [listener.detach() for listener in (*listeners, *admin_listeners)]
        arbiter.LISTENERS = create_sockets(application.cfg, arbiter.log, descriptors)
        arbiter.run()
        # For mypy: it has exited.
        raise AssertionError
    finally:
        # A worker comes by here, too.
        if os.getpid() == own:
            shutil.rmtree(folder, ignore_errors=True)


class _Application(BaseApplication):
    """What the arbiter's workers are handed, and Gunicorn's settings, of which none comes from outside."""

    def __init__(self, settings: Settings, count: int, in_loop: InLoop, folder: Path, public: int) -> None:
        """Of the listeners, the first `public` ones are for visitors. Metrics are kept in `folder`."""
        self.settings = settings
        self.in_loop = in_loop
        self.folder = folder
        self.public = public
        self._count = count
        super().__init__()

    def load_config(self) -> None:
        longest = self.settings.drain_delay + self.settings.drain_timeout + self.settings.redis_timeout
        own = {
            "workers": self._count,
            "worker_class": LoopWorker,
            "logger_class": _Lines,
            "timeout": HUNG_SECONDS,
            "graceful_timeout": int(longest) + GRACE_SECONDS,
            "worker_tmp_dir": str(self.folder.parent),
            "proc_name": "visits",
            "control_socket_disable": True,
            "pre_fork": _give_place,
            "child_exit": lambda arbiter, worker: arbiter.has_ended(worker),
        }
        for name, value in own.items():
            self.cfg.set(name, value)


class _Lines(Logger):
    """Sends Gunicorn's lines where all others go."""

    def setup(self, cfg: Any) -> None:  # noqa: ANN401 - Gunicorn's own
        self.cfg = cfg
        self.error_log.propagate = True


def _give_place(arbiter: "DrainingArbiter", worker: LoopWorker) -> None:
    taken = {other.place for other in arbiter.WORKERS.values()}
    worker.place = next(place for place in range(len(taken) + 1) if place not in taken)


class DrainingArbiter(Arbiter):
    """Starts, watches and ends workers."""

    def __init__(self, application: _Application) -> None:
        super().__init__(application)
        self.LISTENERS: list[Any] = []
        self._asked_to_end: list[int] = []
        self._is_stopping = False
        self._failed_starts = 0
        self._next_start = float("-inf")
        self._outdated_age = 0
        """The age of the youngest worker that is to be replaced; ages count up."""
        self._settings_that_serve = application.settings
        """With which enough workers served last."""

    # Signals

    def signal(self, sig: int, frame: FrameType | None) -> None:
        if sig in {signal.SIGTERM, signal.SIGINT}:
            self._asked_to_end.append(sig)
        super().signal(sig, frame)

    def handle_int(self) -> None:
        self.handle_term()

    def handle_quit(self) -> None:
        self._end_at_once("ended at once by a signal", signal.SIGQUIT)

    def handle_hup(self) -> None:
        """Replace all workers, by ones that have read the settings anew."""
        try:
            self.app.settings = load_settings()
        except SettingsError as error:
            log.error("not reloaded", complaint=str(error))  # noqa: TRY400 - that is all there is to say
            return
        configure_logs(self.app.settings)
        super().handle_hup()

    def handle_usr1(self) -> None:
        log.warning("signal refused", signal="SIGUSR1", reason="there are no log files to open again")

    def handle_usr2(self) -> None:
        log.warning("signal refused", signal="SIGUSR2", reason="another version is another start")

    # Workers

    def reload(self) -> None:
        self.app.reload()
        self.setup(self.app)
        self._outdated_age = self.worker_age
        self._failed_starts, self._next_start = 0, float("-inf")
        self.manage_workers()

    def manage_workers(self) -> None:
        """Start who is missing; who is too many or outdated retires once enough younger ones serve."""
        current, outdated = self._staying()
        if time.monotonic() >= self._next_start:
            for _ in range(self.num_workers - len(current)):
                self.spawn_worker()
        serving = 0
        for worker in current:
            worker.is_retired = serving >= self.num_workers
            serving += worker.is_up
        if serving >= self.num_workers:
            self._failed_starts, self._settings_that_serve = 0, self.app.settings
            for worker in outdated:
                worker.is_retired = True
        for pid, worker in list(self.WORKERS.items()):
            if worker.is_retired:
                # Again and again: one that was just starting may have missed it.
                self.kill_worker(pid, RETIRE)

    def _staying(self) -> tuple[list[LoopWorker], list[LoopWorker]]:
        """Return the workers that are not to end, the youngest first: current ones, and outdated ones."""
        staying = [worker for worker in self.WORKERS.values() if not worker.is_retired]
        staying.sort(key=lambda worker: worker.age, reverse=True)
        current = [worker for worker in staying if worker.age > self._outdated_age]
        return current, staying[len(current) :]

    def has_ended(self, worker: LoopWorker) -> None:
        """Hear of the end of a worker. Raises HaltServer when none could be started for several times."""
        forget(self.app.folder, worker.place)
        is_outdated = worker.age <= self._outdated_age
        if worker.is_up or worker.is_retired or is_outdated or self._is_stopping:
            return
        self._failed_starts += 1
        self._next_start = time.monotonic() + PAUSE_SECONDS
        if self._failed_starts < STARTS_THAT_MAY_FAIL:
            return
        complaint = f"{self._failed_starts} workers in a row ended before they served"
        current, outdated = self._staying()
        if not any(other.is_up for other in outdated):
            raise HaltServer(complaint, EXIT_FAILED)
        log.error("not reloaded", complaint=complaint)
        for other in current:
            other.is_retired = True
        self.app.settings = self._settings_that_serve
        configure_logs(self.app.settings)
        self._outdated_age = self._failed_starts = 0

    def stop(self, graceful: bool = True) -> None:
        """Let all workers drain; return when they have ended."""
        self._is_stopping = True
        close_sockets(self.LISTENERS)
        self.LISTENERS = []
        ends = time.monotonic() + (self.cfg.graceful_timeout if graceful else 0)
        while self.WORKERS and time.monotonic() < ends:
            if len(self._asked_to_end) > 1:
                self._end_at_once("ended by a second signal", self._asked_to_end[1])
            # Again and again: one that was just starting may have missed it.
            self.kill_workers(signal.SIGTERM)
            if signal.SIGQUIT in self.wait_for_signals(timeout=0.5):
                self.handle_quit()
            self.reap_workers()
        self.kill_workers(signal.SIGKILL)
        self.reap_workers()

    def _end_at_once(self, event: str, number: int) -> NoReturn:
        log.warning(event, signal=signal.Signals(number).name)
        self.kill_workers(signal.SIGKILL)
        shutil.rmtree(self.app.folder, ignore_errors=True)
        os._exit(128 + number)
