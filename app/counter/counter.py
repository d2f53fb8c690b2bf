"""The counter: one integer key, which a start never resets and anyone can GET.

What is promised. A visit for which `increment` returned a number was counted exactly once, and no other
visit was given that number. A visit for which it raised, or whose caller was cancelled, was counted at most
once, then or moments later. That holds while requests and replies get lost, connections break, Redis restarts
or fails over and processes are killed, for as long as Redis keeps what it acknowledged.

What is not. A visit is one call: a client or a proxy that repeats a request makes another visit. A Redis that
loses acknowledged writes (asynchronous replication at a failover, `appendfsync everysec` at a power cut)
loses visits with them; `min-replicas-to-write` and `appendfsync always` narrow that. Numbers have gaps: a
visitor who gave up may have been counted. A key that somebody else sets counts on from there.
"""

import asyncio
import contextvars
from collections.abc import Callable

from prometheus_client import CollectorRegistry

from app.counter.batches import Batches
from app.counter.metrics import CounterMetrics
from app.counter.records import CounterRecords, NotAnInteger
from app.counter.traces import Traces
from app.counter.waiting import STOPPING, Patience, Waiter, turn_away
from app.redis.client import RedisClient
from app.redis.failures import ELSEWHERE, MENDS_ITSELF, NOT_AN_INTEGER, failure_reason
from app.redis.pace import Pace


class Counter:
    """Counts and reads, with at most one command of each kind under way, however many visitors wait."""

    def __init__(
        self,
        redis: RedisClient,
        reading_redis: RedisClient,
        key: str,
        timeout: float,
        patience: float,
        on_failure: Callable[[str], None] = lambda _: None,
        metrics: CounterMetrics | None = None,
        traces: Traces | None = None,
    ) -> None:
        """`redis` carries the batches, `reading_redis` the reads. `timeout` bounds one command, connecting
        included; `patience` how long a visitor is worth another attempt; both in seconds. `on_failure` hears
        the reason of every failed attempt, in the task that made it."""
        metrics = metrics or CounterMetrics(CollectorRegistry())
        self._records = CounterRecords(redis, reading_redis, key, patience, metrics.timed)
        self._read_pace = Pace()
        self._read_patience = Patience(self._read_pace, timeout, patience)
        self._timeout = timeout
        self._on_failure = on_failure
        self._batches = Batches(self._records, timeout, patience, on_failure, metrics, traces)
        self._readers: list[Waiter] = []
        self._read_for: list[Waiter] = []
        """Those whose read is under way."""
        self._reading: asyncio.Task[None] | None = None

    async def increment(self) -> int:
        """Count one visit and return its own number, the counter's value right after it.

        Raises CounterUnavailable when `patience` is over (within one `timeout` of it), at the first failure
        that does not mend itself, or at once where Redis has been failing for longer than `patience`; the
        visit may have been counted then, but at most once.
        """
        return await self._batches.count()

    async def value(self) -> int:
        """Return the value as of now or later, 0 before the first visit. Waits and raises as `increment`."""
        reader = self._read_patience.new_waiter()
        self._readers.append(reader)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read(), context=contextvars.Context())
        return await reader.number

    async def settle(self) -> None:
        """Return when no batch is under way, once no visitor comes any more."""
        await self._batches.settle()

    async def aclose(self) -> None:
        """Leave Redis; call it before Redis is closed."""
        if self._reading is not None and not self._reading.done():
            self._reading.cancel()
            await asyncio.wait([self._reading])
            turn_away((*self._read_for, *self._readers), STOPPING)
        await self._batches.aclose()

    async def _read(self) -> None:
        while any(reader.waits for reader in self._readers):
            await self._read_pace.wait()
            self._read_for, self._readers = self._readers, []
            await self._read_once()
            # Ahead of who came meanwhile, whose answer must not be older than they are.
            self._readers[:0] = (reader for reader in self._read_for if reader.waits)
            self._read_for = []

    async def _read_once(self) -> None:
        """Answer those whose read this is, unless it fails and is worth another attempt."""
        try:
            async with asyncio.timeout(self._timeout):
                value = await self._records.value()
        except Exception as error:
            reason = NOT_AN_INTEGER if isinstance(error, NotAnInteger) else failure_reason(error)
            self._read_pace.failed(reason)
            if reason in ELSEWHERE:
                self._records.look_up_value_again()
            self._on_failure(reason)
            self._read_patience.dismiss(self._read_for, everyone=reason not in MENDS_ITSELF)
            self._read_patience.dismiss(self._readers, everyone=False)
        else:
            self._read_pace.succeeded()
            for reader in self._read_for:
                if reader.waits:
                    reader.number.set_result(value)
