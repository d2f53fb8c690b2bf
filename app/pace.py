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
        """The longest that the next attempt may have to wait, in seconds."""

    async def wait(self) -> None:
        """Return when the next attempt may start."""
        if self.pause:
            await asyncio.sleep(self.pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, hides nothing

    def failed(self) -> None:
        self.pause = min(max(self.pause * 2, FIRST_PAUSE), LONGEST_PAUSE)

    def succeeded(self) -> None:
        self.pause = 0.0
