"""Whether a visit would be counted, asked without counting one."""

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import nullcontext

from redis.exceptions import ResponseError

from app.counter.records import Timed
from app.counter.waiting import CounterUnavailable
from app.redis.client import RedisClient, look_up_again
from app.redis.failures import ELSEWHERE, NOT_AN_INTEGER, failure_reason


class CounterCheck:
    """Asks Redis on a client of its own."""

    def __init__(
        self,
        redis: RedisClient,
        key: str,
        timeout: float,
        on_failure: Callable[[str], None] = lambda _: None,
        timed: Timed = nullcontext,
    ) -> None:
        """`timeout` bounds one command, in seconds; `on_failure` hears the reason of every failed check."""
        self._redis = redis
        self._key = key
        self._timeout = timeout
        self._on_failure = on_failure
        self._timed = timed

    async def ask(self) -> None:
        """Return if Redis would count, else raise CounterUnavailable; within twice the timeout."""
        deadline = asyncio.get_running_loop().time() + 2 * self._timeout
        try:
            # Not both in one time: a Redis that is slow, but in time for a visit's one command, is ready.
            async with asyncio.timeout(self._timeout):
                with self._timed("check"):
                    # Of a Cluster the node that holds the counter: see ClusterOfOneKey.
                    await self._redis.ping()
            async with asyncio.timeout(self._timeout):
                with self._timed("check"):
                    await self._could_write()
        except Exception as error:
            reason = failure_reason(error)
            self._on_failure(reason)
            if reason in ELSEWHERE:
                with contextlib.suppress(Exception):
                    async with asyncio.timeout_at(deadline):
                        await look_up_again(self._redis)
            raise CounterUnavailable(reason) from None

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
