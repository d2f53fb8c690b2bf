"""Who waits for Redis, and for how long another attempt is worth their while."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from app.redis.failures import MENDS_ITSELF
from app.redis.pace import Pace
from app.unavailable import Unavailable

REFUSED = "refused"
"""The reason when Redis no longer knows the writer: the next batch has another one."""
STOPPING = "stopping"
"""The reason when the process ends: another one, or the next, counts."""


class CounterUnavailable(Unavailable):
    """The counter could not be read or moved. A visit that was to be counted may have been counted, once."""

    what = "counter"

    @property
    def mends_itself(self) -> bool:
        return self.reason in MENDS_ITSELF or self.reason in {REFUSED, STOPPING}


class Waiter(NamedTuple):
    """Somebody who waits for a number, since a moment of the loop's clock."""

    number: asyncio.Future[int]
    since: float
    trace: object | None = None
    """What it is known by to whoever follows it."""

    @property
    def waits(self) -> bool:
        return not self.number.done()


def turn_away(waiters: Iterable[Waiter], reason: str) -> None:
    """Tell those who still wait that they are not served."""
    for waiter in waiters:
        if waiter.waits:
            waiter.number.set_exception(CounterUnavailable(reason))


class Patience:
    """How long whoever waits is worth another attempt: so many seconds after they came, and no longer than
    so many after Redis began to fail.

    An absence that is shorter costs them time and no error. One that lasts is told at once to whoever comes
    between two attempts, and to the others when the attempt that they came for has failed: a crowd that waits
    for nothing would only take up places.
    """

    def __init__(self, pace: Pace, timeout: float, seconds: float) -> None:
        """`timeout` bounds one attempt, in seconds."""
        self._pace = pace
        self._timeout = timeout
        self._seconds = seconds

    def dismiss(self, waiters: Iterable[Waiter], *, everyone: bool) -> None:
        """Turn everyone away after a failure, or those for whom another attempt may come too late."""
        latest_answer = asyncio.get_running_loop().time() + self._pace.pause + self._timeout
        turn_away(
            (one for one in waiters if everyone or self._ends_for(one) < latest_answer), self._pace.reason
        )

    def _ends_for(self, waiter: Waiter) -> float:
        began = self._pace.failing_since
        return self._seconds + (waiter.since if began is None else min(waiter.since, began))

    def new_waiter(self) -> Waiter:
        """Let somebody in who comes now. Raises CounterUnavailable if they would wait for nothing."""
        loop = asyncio.get_running_loop()
        began = self._pace.failing_since
        if self._pace.is_pausing and began is not None and began + self._seconds < loop.time():
            raise CounterUnavailable(self._pace.reason)
        return Waiter(loop.create_future(), loop.time())
