"""Who is told what, and when: patience, the end of the process, visitors who leave."""

import asyncio
import contextvars
import gc
import random
from collections.abc import Callable
from contextvars import ContextVar

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, BusyLoadingError, OutOfMemoryError

from app.counter.waiting import Waiter
from app.redis.pace import FORGOTTEN_AFTER, LONGEST_PAUSE
from tests.counter.held_network import PATIENCE, TIMEOUT, HeldCounter, reason, value_on

LONG = 60.0
"""Seconds; whatever is to happen has happened by then."""


def moments_of_ends(held: HeldCounter, tasks: list[asyncio.Task[int]]) -> list[float]:
    """The moments at which each of them ends, on the clock of the test, filled in as they do."""
    ended = [float("inf")] * len(tasks)

    def note(index: int) -> Callable[[object], None]:
        def end(_: object) -> None:
            ended[index] = held.loop.now

        return end

    for index, task in enumerate(tasks):
        task.add_done_callback(note(index))
    return ended


@pytest.mark.parametrize("registered", [False, True])
def test_patience_is_used_and_not_overdrawn(server: Redis, *, registered: bool) -> None:
    """Nobody waits for an attempt that may end too late, or is turned away while there is time for one.

    Whoever came while another batch was under way is no exception. Of many lengths of patience some leave
    just too little time at the end.
    """
    random.seed(0)
    for patience in [TIMEOUT + tenths / 20 for tenths in range(2, 60)]:
        server.flushall()
        held = HeldCounter(server, patience)
        try:
            if registered:
                held.registered()
            came = held.loop.now
            visits = held.come()
            held.loop.pass_time(0.04)
            visits += held.come()
            ended = moments_of_ends(held, visits)
            # No command is ever answered.
            held.loop.pass_time(LONG)
            for moment, until in zip(ended, (came + patience, came + 0.04 + patience), strict=True):
                assert until - LONGEST_PAUSE - 2 * TIMEOUT <= moment <= until, patience
            assert {reason(visit) for visit in visits} == {"timeout"}
        finally:
            held.loop.end()


@pytest.mark.parametrize("name", ["set", "evalsha", "eval", "get"])
def test_a_command_that_is_never_answered_is_noticed(held: HeldCounter, name: str) -> None:
    if name == "get":
        tasks = held.read()
    else:
        tasks = held.come()
        held.deliver_until(name)
    held.loop.pass_time(TIMEOUT)
    assert held.failures == ["timeout"]
    held.loop.pass_time(LONG)
    assert [reason(task) for task in tasks] == ["timeout"]


def test_one_failure_turns_nobody_away_who_has_time(held: HeldCounter) -> None:
    """Neither those in the batch nor those who came after it was sent."""
    held.registered()
    visits = held.come(2)
    held.loop.pass_time(0.01)
    visits += held.come(2)
    held.break_off(arrived=True)
    held.loop.pass_time(LONGEST_PAUSE)
    held.deliver()
    assert [visit.result() for visit in visits] == [2, 3, 4, 5]


def test_an_absence_shorter_than_the_patience_costs_time_and_no_error(held: HeldCounter) -> None:
    """Visitors and readers come all the while, until the moment before Redis is back."""
    held.registered()
    tasks: list[asyncio.Task[int]] = []
    back = held.loop.now + PATIENCE - TIMEOUT - 2 * LONGEST_PAUSE
    while held.loop.now < back:
        tasks += held.come() + held.read()
        held.refuse()
        held.loop.pass_time(0.05)
    assert not any(task.done() for task in tasks)
    held.recover()
    assert sorted(task.result() for task in tasks[::2]) == list(range(2, len(tasks) // 2 + 2))
    assert all(task.exception() is None for task in tasks)


def test_in_an_absence_that_lasts_nobody_waits_for_nothing(held: HeldCounter) -> None:
    """At most for one attempt, whoever comes with it; between two attempts not at all."""
    held.registered()
    came: list[tuple[float, asyncio.Task[int]]] = []
    ended: dict[asyncio.Task[int], float] = {}
    while held.loop.now < 20:
        for task in held.come(3) + held.read(3):
            came.append((held.loop.now, task))
            task.add_done_callback(lambda task: ended.setdefault(task, held.loop.now))
        held.refuse()
        held.loop.pass_time(0.05)
    late = [(moment, task) for moment, task in came if moment > PATIENCE]
    waits = [ended[task] - moment for moment, task in late if task in ended]
    # The last attempt may still be ahead.
    assert len(waits) >= len(late) - 6
    assert max(waits) <= LONGEST_PAUSE
    assert sum(wait == 0 for wait in waits) > 0.8 * len(waits)
    assert {reason(task) for task in ended} == {"connection"}


def test_redis_comes_back_without_the_writers_record(held: HeldCounter) -> None:
    """After longer than anybody waits: the first to come is counted, and not told of what is over."""
    held.registered()
    while held.loop.now < 2 * PATIENCE:
        held.come()
        if held.awaited:
            held.answer(BusyLoadingError("LOADING"))
        held.loop.pass_time(0.05)
    held.loop.pass_time(LONGEST_PAUSE)
    held.server.flushall()
    (visit,) = held.come()
    held.recover()
    assert visit.exception() is None


def test_a_redis_that_keeps_no_record_is_told_at_once(held: HeldCounter) -> None:
    """As one that evicts whatever it is given: after a while nobody waits for that either."""
    came: list[float] = []
    visits: list[asyncio.Task[int]] = []
    ended: dict[asyncio.Task[int], float] = {}
    while held.loop.now < 20:
        came.append(held.loop.now)
        visits += held.come()
        visits[-1].add_done_callback(lambda task: ended.setdefault(task, held.loop.now))
        if command := held.awaited:
            refused = [b"refused", b"unknown writer"] if command.name == "evalsha" else command.deliver()
            command.answer(refused)
        held.loop.pass_time(0.05)
    # Those who came first waited for as long as it might have mended; the last are still waiting.
    assert all(
        ended[visit] - moment < PATIENCE / 2
        for moment, visit in zip(came, visits, strict=True)
        if 5 < moment < 19
    )


def test_a_failure_of_long_ago_says_nothing_of_now(held: HeldCounter) -> None:
    """Redis failed until everybody was gone, and is back; now a connection is cut, and that is all."""
    held.registered()
    while held.loop.now < 3 * PATIENCE:
        tasks = held.come() + held.read()
        held.refuse()
        held.loop.pass_time(0.05)
    held.loop.pass_time(2 * FORGOTTEN_AFTER)
    tasks = held.come() + held.read()
    held.refuse()
    held.recover()
    assert [task.exception() for task in tasks] == [None, None]


def test_the_end_of_the_process_turns_away_who_waits(held: HeldCounter) -> None:
    """Those whose batch or read is under way, and those who came after it was sent."""
    held.registered()
    tasks = held.come() + held.read()
    held.loop.pass_time(0.01)
    tasks += held.come() + held.read()

    async def end() -> int:
        await held.counter.aclose()
        return held.network.under_way + held.reading_network.under_way

    # Their clients are closed next.
    assert held.loop.run_until_complete(end()) == 0
    held.loop.turn()
    assert [reason(task) for task in tasks] == ["stopping"] * 4
    assert held.awaited is held.awaited_read is None


def test_the_end_waits_for_no_redis_that_hangs(held: HeldCounter) -> None:
    """No longer than for one command: the record that it would delete expires."""
    held.registered()
    ending = held.loop.create_task(held.counter.aclose())
    held.loop.turn()
    command = held.awaited
    assert command is not None
    assert command.name == "delete"
    held.loop.pass_time(TIMEOUT)
    assert ending.done()
    assert ending.exception() is None


def test_settled_is_when_the_last_batch_is(held: HeldCounter) -> None:
    held.registered()
    held.come()
    held.come()
    settling = held.loop.create_task(held.counter.settle())
    held.loop.pass_time(TIMEOUT / 2)
    assert not settling.done()
    held.deliver()
    assert settling.done()
    assert value_on(held.server) == 3


def test_a_batch_belongs_to_no_request(held: HeldCounter) -> None:
    """Nor do its log lines, nor those of a read: others share them."""
    request: ContextVar[str] = ContextVar("request", default="none")
    seen: list[str] = []

    def see(_: str) -> None:
        seen.append(request.get())

    held.counter._on_failure = held.counter._batches._on_failure = see
    context = contextvars.copy_context()
    context.run(request.set, "of one visitor")
    tasks = context.run(held.come) + context.run(held.read)
    held.answer(OutOfMemoryError("OOM"))
    held.answer_read(OutOfMemoryError("OOM"))
    assert [reason(task) for task in tasks] == ["out of memory"] * 2
    assert seen == ["none"] * 2


def test_visitors_who_are_gone_are_not_kept(held: HeldCounter) -> None:
    """While no registration succeeds, such as for a user without a right to the records."""

    def kept() -> int:
        gc.collect()
        return sum(type(one) is Waiter and one.number.get_loop() is held.loop for one in gc.get_objects())

    for _ in range(20):
        held.loop.pass_time(LONGEST_PAUSE)
        (visit,) = held.come()
        held.answer(AuthenticationError("NOPERM"))
        assert reason(visit) == "authentication"
    # Its traceback holds on to it.
    del visit
    assert kept() == 0
    # Nor those who left while it may still mend.
    held.loop.pass_time(2 * FORGOTTEN_AFTER)
    (patient,) = held.come()
    leaving = held.come(20)
    for visitor in leaving:
        visitor.cancel()
    held.break_off(arrived=False)
    del leaving, visitor
    assert not patient.done()
    assert kept() == 1


def test_a_visitor_may_leave_at_the_moment_of_the_failure(held: HeldCounter) -> None:
    visits = held.come()

    def leave(_: str) -> None:
        # The visitor is told next, and leaves before their own turn comes.
        held.loop.call_soon(visits[0].cancel)

    held.counter._batches._on_failure = leave
    held.answer(OutOfMemoryError("OOM"))
    assert visits.pop().cancelled()
    gc.collect()
    assert held.complaints == []
