"""One of several processes that serve: what Gunicorn's arbiter calls a worker."""

import asyncio
import logging
import mmap
import os
import signal
import traceback
from types import FrameType
from typing import Any, NoReturn

import structlog
from gunicorn.workers.base import Worker

from app.server import Stop, Surroundings, main
from app.telemetry.exceptions import MOST_FRAMES
from app.workers.lines import name_worker
from app.workers.metrics import SharedMetrics, leave

BEAT_SECONDS = 1.0
"""Between two signs of life; the gauges that other workers show are as old at most."""
RETIRE = signal.SIGUSR1
"""From the arbiter: drain, though the others stay. Visitors find them at once: there is no DRAIN_DELAY."""
FAILED = 1
HUNG = 70
"""Exit codes; none of them is one of Gunicorn's own, at which it would end all workers."""
ARBITERS_OWN = {
    *(signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR2),
    *(signal.SIGTTIN, signal.SIGTTOU, signal.SIGWINCH),
}
"""A terminal sends some of them to all processes at once; only the arbiter does something about it."""

log = structlog.get_logger(__name__)


class LoopWorker(Worker):
    """Runs main on an event loop of its own."""

    place: int
    """Its number, the lowest that no living worker has; given by the arbiter before the fork."""
    is_retired = False
    """Whether it is to end while others stay; only the arbiter's copy knows."""

    def __init__(self, *arguments: Any) -> None:  # noqa: ANN401 - Gunicorn's own
        super().__init__(*arguments)
        # Seen by the arbiter, too.
        self._is_up = mmap.mmap(-1, 1)

    @property
    def is_up(self) -> bool:
        """Whether it has ever served."""
        return self._is_up[0] == 1

    def init_process(self) -> None:
        # The first sign of life: without one the arbiter would wait for ever.
        self.notify()
        self.booted = True
        # SIGTERM and RETIRE have no effect before the loop runs: the arbiter sends them again.
        for number in ARBITERS_OWN:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGABRT, _tell_where_it_hangs)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        name_worker(self.place)
        self.run()

    def run(self) -> NoReturn:
        code = 0
        try:
            self.app.in_loop(self._serve())
        except Exception:
            log.critical("uncaught exception", exc_info=True)
            code = FAILED
        if self._is_alone():
            leave(self.app.folder, self.place)
        logging.shutdown()
        # Python would now take everything apart, and copy every page shared with the arbiter for that.
        os._exit(code)

    async def _serve(self) -> None:
        settings = self.app.settings
        stop = Stop()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, RETIRE):
            loop.add_signal_handler(number, _end, stop, number)
        metrics = SharedMetrics(settings, self.app.folder, self.place)
        beating = asyncio.create_task(self._beat(stop, metrics))
        sockets = [listener.sock for listener in self.sockets]
        public, admin = sockets[: self.app.public], sockets[self.app.public :]
        await main(settings, surroundings=Surroundings(public, admin, metrics, stop, self._listens))
        beating.cancel()

    def _listens(self) -> None:
        self._is_up[0] = 1

    async def _beat(self, stop: Stop, metrics: SharedMetrics) -> None:
        while True:
            self.notify()
            metrics.publish()
            if self._is_alone() and not stop.is_set():
                log.error("stopping, as the arbiter is gone")
                stop.set()
            await asyncio.sleep(BEAT_SECONDS)

    def _is_alone(self) -> bool:
        """Whether the arbiter was killed."""
        gone: bool = os.getppid() != self.ppid
        return gone


def _end(stop: Stop, number: signal.Signals) -> None:
    """Drain once, however often the arbiter says so."""
    if stop.is_set():
        return
    log.info("stopping", signal="SIGTERM" if number == signal.SIGTERM else "retired")
    stop.others_stay = number == RETIRE
    stop.set()


def _tell_where_it_hangs(_: int, frame: FrameType | None) -> NoReturn:
    """Log what keeps the event loop from turning; without an answer to this signal, the arbiter kills."""
    at = [
        f"{one.filename}:{one.lineno} in {one.name}" for one in traceback.extract_stack(frame)[-MOST_FRAMES:]
    ]
    log.critical("the event loop hangs", at=at)
    os._exit(HUNG)
