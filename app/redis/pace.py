"""How soon Redis is asked again after it failed, and since when it fails."""

import asyncio
import random

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 0.5
"""Seconds. Far below the time in which a process must be healthy again, and long enough that a Redis which
comes back meets a few attempts a second from each process, at moments of their own."""
FORGOTTEN_AFTER = 5.0
"""Seconds without an attempt, after which earlier failures say nothing of now. Longer than any pause between
two attempts that somebody waits for."""


class Pace:
    """No pause after success; after failures a growing one with jitter."""

    def __init__(self) -> None:
        self.pause = 0.0
        """The longest that an attempt has to wait after a failed one, in seconds."""
        self.failing_since: float | None = None
        """The moment, on the loop's clock, of the first of the failures in a row; None after a success."""
        self.reason = ""
        """Of the last failure."""
        self.is_pausing = False
        """Whether the next attempt has to wait."""
        self._failed_at = 0.0

    async def wait(self) -> None:
        """Return when the next attempt may start."""
        now = asyncio.get_running_loop().time()
        if now - self._failed_at > FORGOTTEN_AFTER:
            self.succeeded()
        if self.pause:
            pause = self.pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing
            self.is_pausing = True
            try:
                await asyncio.sleep(self._failed_at + pause - now)
            finally:
                self.is_pausing = False

    def failed(self, reason: str) -> None:
        self.pause = min(max(self.pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
        self.reason = reason
        self._failed_at = asyncio.get_running_loop().time()
        if self.failing_since is None:
            self.failing_since = self._failed_at

    def succeeded(self) -> None:
        self.pause = 0.0
        self.failing_since = None
