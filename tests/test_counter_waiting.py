"""Who is told what, and when: patience, failures that mend and those that do not, visitors who leave."""

import asyncio
import gc
import random
from collections.abc import Callable

import pytest
from redis import Redis
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)

from app.batches import Visit
from app.counter import CounterUnavailable
from app.pace import LONGEST_PAUSE
from tests.held_network import TIMEOUT, Command, HeldCounter

LONG = 60.0
"""Seconds; whatever is to happen has happened by then."""


def reason(task: asyncio.Task[int]) -> str:
    """Why a visitor or reader, who was told just now, was not served."""
    error = task.exception()
    assert isinstance(error, CounterUnavailable), repr(error)
    return error.reason


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


def test_what_was_given_up_is_not_sent_for_ever(held: HeldCounter) -> None:
    """Nobody waits for it any more; nobody hears of it either."""
    held.registered()
    visits = held.come(2)
    held.break_off(arrived=False)
    for visit in visits:
        visit.cancel()
    sent = len(held.commands)
    held.loop.pass_time(LONG)
    # A pause may have been under way.
    assert len(held.commands) <= sent + 1
    assert held.awaited is None
    assert held.loop.run_until_complete(held.counter.settle()) is None


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


@pytest.mark.parametrize("error", [ReadOnlyError("READONLY"), BusyLoadingError("LOADING")])
def test_visitors_of_a_batch_that_was_not_applied_stay_ahead(held: HeldCounter, error: RedisError) -> None:
    held.registered()
    visits = held.come(3)
    visits += held.come(2)
    held.answer(error)
    held.loop.pass_time(LONGEST_PAUSE)
    visits += held.come()
    held.deliver()
    assert [visit.result() for visit in visits] == [2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("error", "word"),
    [(AuthenticationError("WRONGPASS"), "authentication"), (OutOfMemoryError("OOM"), "out of memory")],
)
def test_what_does_not_mend_is_told_at_once_at_the_registration(
    held: HeldCounter, error: RedisError, word: str
) -> None:
    visits = held.come(3)
    held.answer(error)
    assert [reason(visit) for visit in visits] == [word] * 3
    assert (held.failures, held.loop.now) == ([word], 0.0)


def test_a_lost_batch_is_told_at_once(held: HeldCounter, server: Redis) -> None:
    """It may have been applied, and the record that would tell is gone: no later attempt can find out."""
    held.registered()
    visits = held.come(2)
    batch = held.awaited
    assert batch is not None
    held.break_off(arrived=True)
    server.delete(batch.record)
    held.loop.pass_time(LONGEST_PAUSE)
    assert not any(visit.done() for visit in visits)
    held.deliver()
    assert [reason(visit) for visit in visits] == ["refused"] * 2
    # Whoever comes next is not kept.
    held.loop.pass_time(LONGEST_PAUSE)
    (visit,) = held.come()
    held.deliver()
    assert visit.result() == 4


def test_a_writer_that_was_given_up_leaves_no_record(held: HeldCounter, server: Redis) -> None:
    held.registered()
    (visit,) = held.come()
    held.break_off(arrived=False)
    visit.cancel()
    held.loop.pass_time(LONG)
    (next_visit,) = held.come()
    held.deliver()
    assert next_visit.result() == 2
    assert len(server.keys("*:writer:*")) == 1


def test_visitors_who_are_gone_are_not_kept(held: HeldCounter) -> None:
    """While no registration succeeds, such as for a user without a right to the records."""

    def kept() -> int:
        gc.collect()
        return sum(type(one) is Visit and one.number.get_loop() is held.loop for one in gc.get_objects())

    for _ in range(20):
        held.loop.pass_time(LONGEST_PAUSE)
        (visit,) = held.come()
        held.answer(AuthenticationError("NOPERM"))
        assert reason(visit) == "authentication"
    # Its traceback holds on to it.
    del visit
    assert kept() == 0
    # Nor those who left while it may still mend.
    held.loop.pass_time(LONGEST_PAUSE)
    (patient,) = held.come()
    leaving = held.come(20)
    for visitor in leaving:
        visitor.cancel()
    held.break_off(arrived=False)
    del leaving, visitor
    assert not patient.done()
    assert kept() == 1


def test_a_visitor_may_leave_at_the_moment_of_the_failure(held: HeldCounter) -> None:
    (visit,) = held.come()

    def leave(reason: str) -> None:
        held.failures.append(reason)
        # Before the visitor's own turn, after they were told.
        held.loop.call_soon(visit.cancel)

    held.counter._batches._on_failure = leave
    held.answer(OutOfMemoryError("OOM"))
    assert visit.cancelled()
    gc.collect()
    assert held.complaints == []


def batches(held: HeldCounter) -> list[Command]:
    return [command for command in held.commands if command.name.startswith("eval")]


def test_a_batch_in_doubt_keeps_its_number_when_the_report_of_its_failure_breaks(
    held: HeldCounter, server: Redis
) -> None:
    held.registered()

    def breaks(reason: str) -> None:
        raise RuntimeError(reason)

    held.counter._batches._on_failure = breaks
    held.come(2)
    batch = held.awaited
    assert batch is not None
    held.break_off(arrived=True)
    held.counter._batches._on_failure = held.failures.append
    sent = len(batches(held))
    held.loop.pass_time(LONGEST_PAUSE)
    later = held.come(2)
    held.deliver()
    assert [visit.result() for visit in later] == [4, 5]
    assert batch.record not in {command.record for command in batches(held)[sent:]}
    assert len(server.keys("*:writer:*")) == 1


def test_a_look_up_that_breaks_hides_no_failure(
    held: HeldCounter, monkeypatch: pytest.MonkeyPatch, server: Redis
) -> None:
    held.registered()
    asked: list[bool] = []

    async def breaks(*, inuse_connections: bool) -> None:
        asked.append(inuse_connections)
        raise RuntimeError("unexpected")

    monkeypatch.setattr(held.network, "disconnect", breaks)
    visits = held.come(2)
    held.break_off(arrived=True)
    held.loop.pass_time(LONGEST_PAUSE)
    held.answer(ReadOnlyError("READONLY"))
    assert (asked, held.failures) == ([False, False], ["connection", "read only"])
    held.loop.pass_time(LONGEST_PAUSE)
    later = held.come(2)
    held.deliver()
    assert [visit.result() for visit in visits + later] == [2, 3, 4, 5]
    assert server.get("counter") == b"5"


def test_an_end_while_a_batch_is_under_way_sends_nothing_more(held: HeldCounter, server: Redis) -> None:
    """Its record must outlive it: without one, a copy that was sent again would be refused."""
    held.registered()
    held.come()
    sent = len(held.commands)
    held.loop.run_until_complete(held.counter.aclose())
    held.loop.turn()
    assert (held.awaited, len(held.commands)) == (None, sent)
    assert len(server.keys("*:writer:*")) == 1
