"""Visits that wait at the same moment go out as one batch, and none before the last one's end is known.

A batch leaves when the loop has no further visit at hand: a busy process sends few large ones.

A batch is *in doubt* while a copy of it is out whose answer was lost: Redis may have counted it, or may yet.
Then it may only be sent again unchanged, under the same writer and sequence number. If nobody waits for it
any more, its writer is given up with it: under the same number another batch would be taken for that copy.
A drawing of a visit's way: docs/architecture.md.
"""

import asyncio
import contextlib
import contextvars
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import structlog

from app.counter.metrics import CounterMetrics
from app.counter.records import CounterRecords, Refused
from app.counter.traces import Traces
from app.counter.waiting import REFUSED, STOPPING, Patience, Waiter, turn_away
from app.redis.failures import ELSEWHERE, MENDS_ITSELF, NOTHING_APPLIED, REDIS_TROUBLE, failure_reason
from app.redis.pace import Pace

QUIET_TURNS = 4
"""Turns of the loop without a new visit, after which a batch leaves. Between the answers of the last batch
and those visitors' next requests lie the turns that write, read and parse."""
LONGEST_JOINING = 0.02
"""Seconds for which a batch waits for more, however many come."""

log = structlog.get_logger(__name__)


class Failure(NamedTuple):
    """What became of one command."""

    reason: str
    nothing_applied: bool
    """Redis did not count it, and no copy of it is left that Redis could count later."""
    may_mend: bool
    """Another attempt may succeed while the visitors wait."""
    refused: bool = False
    """Redis does not know the writer any more."""


class Batches:
    """Counts the visits of one process."""

    def __init__(
        self,
        records: CounterRecords,
        timeout: float,
        patience: float,
        on_failure: Callable[[str], None],
        metrics: CounterMetrics,
        traces: Traces | None = None,
    ) -> None:
        """`timeout` bounds one command, `patience` a visitor's wait for more attempts; both in seconds."""
        self._records = records
        self._pace = Pace()
        self._patience = Patience(self._pace, timeout, patience)
        self._timeout = timeout
        self._on_failure = on_failure
        self._metrics = metrics
        self._traces = traces
        self._waiting: deque[Waiter] = deque()
        self._batch: Sequence[Waiter] = ()
        """Those whose batch is under way."""
        self._work: asyncio.Task[None] | None = None
        self._writer: str | None = None
        self._writer_until = 0.0
        """By the loop's clock: until then its record is surely kept."""
        self._given_up: str | None = None
        self._sequence = 0
        """Of the last batch that is known to be counted; the next one has the next number."""

    async def count(self) -> int:
        """Count one visit; return its own number. Raises CounterUnavailable."""
        visit = self._patience.new_waiter()
        if self._traces is not None:
            visit = visit._replace(trace=self._traces.visit())
        self._waiting.append(visit)
        if self._work is None or self._work.done():
            # In a context of its own: a batch belongs to no single request, neither do its log lines.
            self._work = asyncio.create_task(self._work_off(), context=contextvars.Context())
        return await visit.number

    async def settle(self) -> None:
        """Return when the last batch is settled."""
        if self._work is not None:
            await asyncio.wait([self._work])

    async def aclose(self) -> None:
        """End what is under way and turn away who waits; if nothing is, delete this process' record."""
        if self._work is not None and not self._work.done():
            self._work.cancel()
            await asyncio.wait([self._work])
            turn_away((*self._batch, *self._waiting), STOPPING)
        elif self._writer is not None:
            # Left alone, it expires.
            with contextlib.suppress(*REDIS_TROUBLE):
                async with asyncio.timeout(self._timeout):
                    await self._records.retire(self._writer)

    async def _work_off(self) -> None:
        while any(visit.waits for visit in self._waiting):
            await self._pace.wait()
            self._leave_writer_that_may_have_expired()
            if self._writer is None and not await self._register():
                continue
            await self._let_others_join()
            self._batch = [visit for visit in self._waiting if visit.waits]
            self._waiting.clear()
            if self._traces is None:
                await self._send(self._batch)
            else:
                await self._send_followed(self._batch, self._traces)
            self._batch = ()

    async def _let_others_join(self) -> None:
        """Return when the loop has no further visit at hand."""
        loop = asyncio.get_running_loop()
        latest = loop.time() + LONGEST_JOINING
        quiet_turns = 0
        while quiet_turns < QUIET_TURNS and loop.time() < latest:
            waiting = len(self._waiting)
            await asyncio.sleep(0)
            quiet_turns = quiet_turns + 1 if len(self._waiting) == waiting else 0

    async def _register(self) -> bool:
        """Get a writer; tell whether that succeeded."""
        try:
            async with asyncio.timeout(self._timeout):
                if self._given_up is not None:
                    await self._records.retire(self._given_up)
                    self._given_up = None
                self._writer = await self._records.register()
        except Exception as error:
            failure = await self._failure(error)
            self._patience.dismiss(self._waiting, everyone=not failure.may_mend)
            # While no batch takes them along, those who are gone would pile up.
            self._waiting = deque(visit for visit in self._waiting if visit.waits)
            return False
        self._sequence = 0
        self._keep_writer(self._records.unused_record_seconds)
        return True

    async def _send_followed(self, batch: Sequence[Waiter], traces: Traces) -> None:
        counted = self._sequence
        followed = [visit.trace for visit in batch if visit.trace is not None]
        with traces.batch(len(batch), followed) as trace:
            await self._send(batch)
            trace.end(counted=self._sequence > counted)

    async def _send(self, batch: Sequence[Waiter]) -> None:
        """Send the batch until it is counted, refused, or nobody waits for it."""
        in_doubt = False
        try:
            while any(visit.waits for visit in batch):
                if in_doubt:
                    await self._pace.wait()
                    self._metrics.resends.inc()
                was_in_doubt, in_doubt = in_doubt, True
                try:
                    async with asyncio.timeout(self._timeout):
                        value = await self._records.count(str(self._writer), self._sequence + 1, len(batch))
                except Exception as error:
                    failure = await self._failure(error)
                    lost = was_in_doubt and failure.refused
                    in_doubt = was_in_doubt or not failure.nothing_applied
                    if in_doubt and not was_in_doubt:
                        self._metrics.in_doubt.inc()
                    self._patience.dismiss(batch, everyone=lost or not failure.may_mend)
                    self._patience.dismiss(self._waiting, everyone=False)
                    if failure.refused:
                        self._give_up_writer()
                    if not in_doubt:
                        # Not counted: those who still wait join the next batch, ahead.
                        self._waiting.extendleft(reversed(batch))
                        return
                else:
                    in_doubt = False
                    self._sequence += 1
                    self._keep_writer(self._records.record_seconds)
                    self._pace.succeeded()
                    self._answer(batch, value)
                    return
        finally:
            # Also if it is cancelled: no other batch may go out under the number of one in doubt.
            if in_doubt:
                self._give_up_writer()

    def _answer(self, batch: Sequence[Waiter], value: int) -> None:
        """Give everyone who still waits their number; `value` is the counter's after the batch."""
        answered = 0
        for number, visit in enumerate(batch, value - len(batch) + 1):
            if visit.waits:
                visit.number.set_result(number)
                answered += 1
        self._metrics.counted(len(batch), answered)

    async def _failure(self, error: Exception) -> Failure:
        """Understand why a command failed, and prepare for the next one."""
        if isinstance(error, Refused):
            log.warning("refused as a writer", reason=str(error))
            if self._pace.reason != REFUSED:
                # Redis is back, without the record. Only that is still to be waited for.
                self._pace.succeeded()
            failure = Failure(REFUSED, nothing_applied=True, may_mend=True, refused=True)
        else:
            reason = failure_reason(error)
            failure = Failure(reason, reason in NOTHING_APPLIED, reason in MENDS_ITSELF)
        self._pace.failed(failure.reason)
        if failure.reason in ELSEWHERE:
            # Whatever happens here, the failure must reach the visitors.
            with contextlib.suppress(Exception):
                async with asyncio.timeout(self._timeout):
                    await self._records.look_up_again()
        self._on_failure(failure.reason)
        return failure

    def _keep_writer(self, seconds: int) -> None:
        # Half of it: Redis' clock is another one, and began earlier.
        self._writer_until = asyncio.get_running_loop().time() + seconds / 2

    def _leave_writer_that_may_have_expired(self) -> None:
        """A process that was idle for long is no failure of Redis', so it does not wait to be refused."""
        if self._writer is not None and asyncio.get_running_loop().time() >= self._writer_until:
            self._given_up, self._writer = self._writer, None

    def _give_up_writer(self) -> None:
        if self._writer is not None:
            self._given_up, self._writer = self._writer, None
            self._metrics.given_up.inc()
