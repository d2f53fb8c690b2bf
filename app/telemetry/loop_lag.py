"""How late the event loop is: whatever holds it up, every visitor waits for."""

import asyncio
import time
from collections.abc import Callable

PERIOD = 0.5
"""Seconds between two looks. One that comes later says by how much."""


class LoopLag:
    """Sets a timer again and again, and tells how late each fired."""

    def __init__(self, observe: Callable[[float], None]) -> None:
        """`observe` is given seconds."""
        self._observe = observe
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        # Not the loop's clock, which some loops read once a turn only.
        self._due = time.monotonic() + PERIOD
        self._timer = asyncio.get_running_loop().call_later(PERIOD, self._fired)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _fired(self) -> None:
        # Timers are rounded, so it may be early, too.
        self._observe(max(0.0, time.monotonic() - self._due))
        self.start()
