"""How often Redis is asked while it is away, and that nobody waits once it is back."""

import asyncio
import itertools
from collections.abc import Callable, Iterator

import pytest
from redis.exceptions import BusyLoadingError, ConnectionError as RedisConnectionError

from app.redis.pace import LONGEST_PAUSE
from tests.counter.held_network import PATIENCE, Command, HeldCounter

OUTAGE = 20.0
STEP = 0.01
"""In seconds."""


def moments_of_attempts(
    held: HeldCounter, come: Callable[[], object], awaited: Callable[[], Command | None], error: Exception
) -> Iterator[float]:
    """Somebody comes whenever it is possible, and every command fails at once; yield when each was sent."""
    end = held.loop.now + OUTAGE
    while held.loop.now < end:
        come()
        while (command := awaited()) is not None:
            yield held.loop.now
            command.answer(error)
            held.loop.turn()
        held.loop.pass_time(STEP)


def gaps(moments: list[float]) -> list[float]:
    return [after - before for before, after in itertools.pairwise(moments)]


def check_pace(moments: list[float]) -> None:
    """Quick at first, then a few a second, at moments of their own."""
    first, *others = gaps(moments)
    assert 0 < first < LONGEST_PAUSE / 4
    settled = others[6:]
    assert len(settled) >= OUTAGE / LONGEST_PAUSE - 1
    assert min(settled) >= LONGEST_PAUSE / 2 - STEP
    assert max(settled) <= LONGEST_PAUSE + STEP
    assert max(settled) - min(settled) > LONGEST_PAUSE / 8, "every process would come at the same moment"


@pytest.mark.parametrize(
    ("registered", "error"),
    [
        (False, RedisConnectionError("refused")),
        # Each batch is in doubt then,
        (True, RedisConnectionError("lost")),
        # and here it is put together anew.
        (True, BusyLoadingError("LOADING")),
    ],
)
def test_a_redis_that_is_away_is_asked_a_few_times_a_second(
    held: HeldCounter, error: Exception, *, registered: bool
) -> None:
    if registered:
        held.registered()
    check_pace(list(moments_of_attempts(held, held.come, lambda: held.awaited, error)))


def test_a_redis_that_is_away_is_read_a_few_times_a_second(held: HeldCounter) -> None:
    error = RedisConnectionError("refused")
    check_pace(list(moments_of_attempts(held, held.read, lambda: held.awaited_read, error)))


def fail_for_long(held: HeldCounter) -> None:
    """Until the pauses are at their longest, and nobody waits."""
    error = RedisConnectionError("refused")
    for come, awaited in ((held.come, lambda: held.awaited), (held.read, lambda: held.awaited_read)):
        list(moments_of_attempts(held, come, awaited, error))
    held.loop.pass_time(PATIENCE)
    for command in (held.awaited, held.awaited_read):
        assert command is None


def test_nobody_waits_for_a_pause_that_is_over(held: HeldCounter) -> None:
    fail_for_long(held)
    held.loop.pass_time(LONGEST_PAUSE)
    (visit,), (reader,) = held.come(), held.read()
    held.answer_read()
    held.deliver()
    assert visit.done()
    assert reader.result() == 0


def results(tasks: list[asyncio.Task[int]]) -> list[int]:
    return [task.result() for task in tasks]


def test_a_redis_that_is_back_is_used_at_full_speed(held: HeldCounter) -> None:
    fail_for_long(held)
    held.loop.pass_time(LONGEST_PAUSE)
    # No time passes from here on.
    for number in range(1, 10):
        visits = held.come()
        held.deliver()
        assert results(visits) == [number]
        readers = held.read()
        held.answer_read()
        assert results(readers) == [number]
    # The next failure is a first one.
    held.come()
    held.break_off(arrived=False)
    held.read()
    held.answer_read(RedisConnectionError("lost"))
    held.read()
    held.loop.pass_time(LONGEST_PAUSE / 8)
    assert held.awaited is not None
    assert held.awaited_read is not None
