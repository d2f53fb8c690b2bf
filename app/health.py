"""Whether visitors may come: the state machine starting → ready → draining, and the bounded ping."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from enum import StrEnum

import structlog
from redis.exceptions import ResponseError

from app.redis.client import RedisClient, look_up_again
from app.redis.failures import ELSEWHERE, NOT_AN_INTEGER, failure_reason

REUSE_SECONDS = 0.1
"""A burst of probes shares one answer this long; far below any probe's period."""
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0

log = structlog.get_logger(__name__)


class State(StrEnum):
    """The life of a process, in order; it never goes back."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


class Health:
    """Answers the probes."""

    def __init__(
        self,
        redis: RedisClient,
        key: str,
        timeout: float,
        on_failure: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._redis = redis
        self._key = key
        self._timeout = timeout
        self._on_failure = on_failure
        self._ping: asyncio.Task[None] | None = None
        self._pinged_at = float("-inf")
        self._trouble: str | None = "not asked yet"
        self.state = State.STARTING

    @property
    def is_ready(self) -> bool:
        """What the last probe found; asks nothing."""
        return self.state is State.READY and self._trouble is None

    async def redis_trouble(self) -> str | None:
        """Ask Redis whether it answers and would count; return what is wrong within twice the timeout."""
        now = asyncio.get_running_loop().time()
        if self._ping is None or (self._ping.done() and now - self._pinged_at > REUSE_SECONDS):
            self._ping = asyncio.create_task(self._ask())
        # A probe that gives up must not end the ping that others wait for.
        await asyncio.shield(self._ping)
        return self._trouble

    async def not_ready_because(self) -> str | None:
        """Return why no visitor should come here, None if the service is ready."""
        if self.state is State.DRAINING:
            return "draining"
        trouble = await self.redis_trouble()
        # The state may have changed while the ping was away.
        if self.state is not State.READY:
            return str(self.state)
        return None if trouble is None else f"redis: {trouble}"

    async def become_ready(self) -> None:
        """Return once Redis answered for the first time, asking with growing, jittered pauses."""
        pause = FIRST_PAUSE
        while (trouble := await self.redis_trouble()) is not None and self.state is State.STARTING:
            log.warning("waiting for redis", reason=trouble, pause_seconds=round(pause, 2))
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, hides nothing
            pause = min(pause * 2, LONGEST_PAUSE)
        if self.state is State.STARTING:
            self.state = State.READY

    def drain(self) -> None:
        """From now on not ready, for good."""
        self.state = State.DRAINING

    async def _ask(self) -> None:
        deadline = asyncio.get_running_loop().time() + 2 * self._timeout
        try:
            # Each in a time of its own: where a visit's one command comes in time, the pod is ready.
            async with asyncio.timeout(self._timeout):
                await self._redis.ping()
            async with asyncio.timeout(self._timeout):
                await self._could_write()
        except Exception as error:
            # Whatever it is, it may pass: a probe that failed for good would have the pod killed in vain.
            self._trouble = failure_reason(error)
            self._on_failure(self._trouble)
            if self._trouble in ELSEWHERE:
                with contextlib.suppress(Exception):
                    async with asyncio.timeout_at(deadline):
                        await look_up_again(self._redis)
        else:
            self._trouble = None
        self._pinged_at = asyncio.get_running_loop().time()

    async def _could_write(self) -> None:
        """Raise what counting would, if the server is to blame.

        A read-only replica and a full server answer PING. This changes nothing, makes no key, and is refused
        there. A key of another type is looked at last and is not the server's fault: it concerns every pod
        alike, so that nobody is served better without this one.
        """
        try:
            await self._redis.setrange(self._key, 0, "")
        except ResponseError as error:
            if failure_reason(error) != NOT_AN_INTEGER:
                raise
