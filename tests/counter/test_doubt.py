"""A batch whose fate is not known, the writer that it belongs to, and what comes after them."""

import asyncio

import pytest
from redis import Redis
from redis.exceptions import BusyLoadingError, ReadOnlyError

from app.counter.records import RECORD_SECONDS
from app.redis.pace import LONGEST_PAUSE
from tests.counter.held_network import TIMEOUT, Command, HeldCounter, reason, value_on

LONG = 60.0
"""Seconds; whatever is to happen has happened by then."""


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
    settling = held.loop.create_task(held.counter.settle())
    held.loop.turn()
    assert settling.done()


def test_a_copy_that_is_refused_says_nothing_of_the_copy_before(held: HeldCounter) -> None:
    """The batch stays as it is, whoever else has come: the first copy may have been applied, and was."""
    held.registered()
    visits = held.come(2)
    held.break_off(arrived=True)
    visits += held.come(3)
    held.loop.pass_time(LONGEST_PAUSE)
    held.answer(BusyLoadingError("LOADING"))
    held.loop.pass_time(LONGEST_PAUSE)
    held.deliver()
    assert [visit.result() for visit in visits] == [2, 3, 4, 5, 6]


@pytest.mark.parametrize("name", ["set", "evalsha"])
def test_an_error_that_nobody_expects_is_told_at_once(held: HeldCounter, name: str) -> None:
    held.registered()
    if name == "set":
        held.server.flushall()
    visits = held.come(2)
    held.deliver_until("evalsha")
    if name == "set":
        # It is refused, as its record is gone.
        held.deliver()
        held.loop.pass_time(LONGEST_PAUSE)
        held.deliver_until(name)
    held.answer(RuntimeError("a mistake somewhere"), arrived=True)
    assert [reason(visit) for visit in visits] == ["error"] * 2
    before = value_on(held.server)
    held.loop.pass_time(LONGEST_PAUSE)
    visits = held.come(2)
    held.deliver()
    assert [visit.result() for visit in visits] == [before + 1, before + 2]


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
    held.deliver_until("set")
    held.break_off(arrived=False)
    held.loop.pass_time(LONGEST_PAUSE)
    held.deliver()
    assert next_visit.result() == 2
    assert len(server.keys("*:writer:*")) == 1
    # Once is enough, however often the next registration has to be tried.
    assert [command.name for command in held.commands].count("delete") == 1


def test_a_writer_is_left_when_half_of_its_records_life_is_over(held: HeldCounter) -> None:
    """The other half is for sending a batch again, and for clocks that differ."""
    held.registered()
    held.loop.pass_time(RECORD_SECONDS / 2 - 1)
    held.come()
    assert [command.name for command in held.commands if command.is_awaited] == ["evalsha"]
    held.deliver()
    held.loop.pass_time(RECORD_SECONDS / 2)
    held.come()
    assert held.deliver_until("set")


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


def test_a_look_up_that_hangs_keeps_no_visitor(held: HeldCounter, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*, inuse_connections: bool) -> None:
        assert not inuse_connections
        await asyncio.Event().wait()

    monkeypatch.setattr(held.network, "disconnect", hang)
    held.registered()
    (visit,) = held.come()
    held.break_off(arrived=True)
    held.loop.pass_time(TIMEOUT)
    held.deliver()
    assert visit.result() == 2


def test_an_end_while_a_batch_is_under_way_sends_nothing_more(held: HeldCounter, server: Redis) -> None:
    """Its record must outlive it: without one, a copy that was sent again would be refused."""
    held.registered()
    held.come()
    sent = len(held.commands)
    held.loop.run_until_complete(held.counter.aclose())
    held.loop.turn()
    assert (held.awaited, len(held.commands)) == (None, sent)
    assert len(server.keys("*:writer:*")) == 1
