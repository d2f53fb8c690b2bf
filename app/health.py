"""Whether visitors may come: the state machine starting → ready → draining, and the check it is handed."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TypeAlias

import structlog

from app.unavailable import Unavailable

Check: TypeAlias = Callable[[], Awaitable[None]]
"""Returns if a visitor would be served, else raises Unavailable. Must not hang: probes wait for it."""
UNEXPECTED = "error"
"""What is said of an error of the check's own."""
REUSE_SECONDS = 0.1
"""A burst of probes shares one answer this long; far below any probe's period."""
MOST_WAITING = 16
"""Probes that wait for the check at a time; more are told what the last one found. Or clients who ask for
probes without end would hold all connections while the check hangs, and keep the kubelet out."""
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0

log = structlog.get_logger(__name__)


class State(StrEnum):
    """The life of a process, in order; it never goes back."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


NOT_READY = (str(State.STARTING), str(State.DRAINING), UNEXPECTED)
"""Why visitors should not come, whatever the check may find."""


class Health:
    """Answers the probes."""

    def __init__(self, needs: str, check: Check) -> None:
        """`needs` says in a word what it is that `check` asks for."""
        self._needs = needs
        self._check = check
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = float("-inf")
        self._waiting = 0
        self._trouble: str | None = "not asked yet"
        self.state = State.STARTING

    def found(self) -> str | None:
        """Return why no visitor should come here, as of the last probe; asks nothing. One of NOT_READY, or of
        the check's own reasons."""
        return self._trouble if self.state is State.READY else str(self.state)

    async def trouble(self) -> str | None:
        """Check; return what is wrong, None if nothing is; where MOST_WAITING wait, what was found last."""
        now = asyncio.get_running_loop().time()
        if self._asking is None or (self._asking.done() and now - self._asked_at > REUSE_SECONDS):
            self._asking = asyncio.create_task(self._ask())
        if self._waiting < MOST_WAITING:
            self._waiting += 1
            try:
                # A probe that gives up must not end the check that others wait for.
                await asyncio.shield(self._asking)
            finally:
                self._waiting -= 1
        return self._trouble

    async def not_ready_because(self) -> str | None:
        """Return why no visitor should come here, None if the service is ready."""
        if self.state is State.DRAINING:
            return "draining"
        trouble = await self.trouble()
        # The state may have changed while the check was away.
        if self.state is not State.READY:
            return str(self.state)
        return None if trouble is None else f"{self._needs}: {trouble}"

    async def become_ready(self) -> None:
        """Return once a check succeeded for the first time, asking with growing, jittered pauses."""
        pause = FIRST_PAUSE
        while (trouble := await self.trouble()) is not None and self.state is State.STARTING:
            log.warning(f"waiting for {self._needs}", reason=trouble, pause_seconds=round(pause, 2))
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, hides nothing
            pause = min(pause * 2, LONGEST_PAUSE)
        if self.state is State.STARTING:
            self.state = State.READY

    async def keep_asking(self) -> None:
        """Check for ever: of several processes, a probe asks any one, and says nothing of the others."""
        while True:
            await asyncio.sleep(LONGEST_PAUSE)
            await self.trouble()

    def drain(self) -> None:
        """From now on not ready, for good."""
        self.state = State.DRAINING

    async def _ask(self) -> None:
        try:
            await self._check()
        except Unavailable as error:
            self._trouble = error.reason
        except Exception:
            # Whatever it is, it may pass: a probe that failed for good would have the pod killed in vain.
            log.exception("unexpected error")
            self._trouble = UNEXPECTED
        else:
            self._trouble = None
        self._asked_at = asyncio.get_running_loop().time()
