"""How soon Redis is asked again after it failed."""

import asyncio
import random

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 0.5
"""Seconds. Far below the time in which a process must be healthy again, and long enough that a Redis which
comes back meets a few attempts a second from each process, at moments of their own."""


class Pace:
    """No pause after success; after failures a growing one with jitter."""

    def __init__(self) -> None:
        self.pause = 0.0
        """The longest that an attempt has to wait after a failed one, in seconds."""
        self._failed_at = 0.0

    async def wait(self) -> None:
        """Return when the next attempt may start."""
        if self.pause:
            pause = self.pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing
            await asyncio.sleep(self._failed_at + pause - asyncio.get_running_loop().time())

    def failed(self) -> None:
        self.pause = min(max(self.pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
        self._failed_at = asyncio.get_running_loop().time()

    def succeeded(self) -> None:
        self.pause = 0.0
