"""The counter: knows Redis commands, knows nothing of HTTP."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from app.redis_client import REDIS_TROUBLE, RedisClient, failure_reason


class CounterUnavailable(Exception):
    """The counter could not be read or moved. An increment may or may not have been applied."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the counter is unavailable: {reason}")
        self.reason = reason


class Counter:
    """Counts visits in one integer key, which a start never resets and anyone can GET."""

    def __init__(
        self, redis: RedisClient, key: str, timeout: float, on_failure: Callable[[str], None] = lambda _: None
    ) -> None:
        self._redis = redis
        self._key = key
        self._timeout = timeout
        self._on_failure = on_failure

    async def increment(self) -> int:
        """Count one visit and return the new value. Raises CounterUnavailable; is never sent twice."""
        return int(await self._bounded(self._redis.incr(self._key)))

    async def value(self) -> int:
        """Return the value, 0 before the first visit. Raises CounterUnavailable."""
        raw = await self._bounded(self._redis.get(self._key))
        try:
            return int(raw or 0)
        except ValueError:
            raise self._failed("not an integer") from None

    async def _bounded(self, command: Awaitable[Any]) -> Any:  # noqa: ANN401 - what redis-py returns
        """Await a command for at most the timeout (seconds), waiting for a connection included."""
        try:
            async with asyncio.timeout(self._timeout):
                return await command
        except REDIS_TROUBLE as error:
            raise self._failed(failure_reason(error)) from error

    def _failed(self, reason: str) -> CounterUnavailable:
        self._on_failure(reason)
        return CounterUnavailable(reason)
