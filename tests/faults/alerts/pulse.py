"""Whether the machine kept pace: seconds decide here, and one that stood still proves nothing."""

import threading
import time
from types import TracebackType
from typing import Self

BEAT = 0.1
TOO_LATE = 1.0
"""Seconds; a probe, a scrape or a visit that is as late could ring an alert by itself."""


class Pulse:
    """Wakes ten times a second, and remembers how late it was at worst."""

    def __init__(self) -> None:
        self.latest = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    @property
    def is_late(self) -> bool:
        return self.latest > TOO_LATE

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        due = time.monotonic() + BEAT
        while not self._over.wait(BEAT):
            now = time.monotonic()
            self.latest = max(self.latest, now - due)
            due = now + BEAT
