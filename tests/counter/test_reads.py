"""Readers of the counter, who share commands and never see an older value than they came for."""

import pytest
from redis import Redis
from redis.exceptions import BusyLoadingError, ConnectionError as RedisConnectionError, OutOfMemoryError

from app.redis.pace import LONGEST_PAUSE
from tests.counter.held_network import HeldCounter, reason


def test_a_reader_who_leaves_does_not_take_the_others_along(held: HeldCounter) -> None:
    leaving, *staying = held.read(3)
    leaving.cancel()
    held.answer_read()
    assert leaving.cancelled()
    assert [reader.result() for reader in staying] == [0, 0]


def test_a_reader_gets_no_value_from_before_they_came(held: HeldCounter, server: Redis) -> None:
    (early,) = held.read()
    command = held.awaited_read
    assert command is not None
    reply = command.deliver()
    server.set("counter", 7)
    # The reply is still under way.
    (late,) = held.read()
    command.answer(reply)
    held.loop.turn()
    assert early.result() == 0
    assert not late.done()
    held.answer_read()
    assert late.result() == 7
    assert len(held.reads) == 2


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (OutOfMemoryError("OOM"), "out of memory"),
        (RuntimeError("a mistake somewhere"), "error"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "such a reply"), "error"),
    ],
)
def test_a_read_that_will_fail_again_is_told_and_reported_at_once(
    held: HeldCounter, error: Exception, word: str
) -> None:
    readers = held.read(2)
    held.answer_read(error)
    assert [reason(reader) for reader in readers] == [word] * 2
    assert (held.failures, held.loop.now) == ([word], 0.0)


@pytest.mark.parametrize("error", [RedisConnectionError("lost"), TimeoutError(), BusyLoadingError("LOADING")])
def test_a_read_that_may_mend_is_made_again(held: HeldCounter, server: Redis, error: Exception) -> None:
    """Also for whoever came while it was under way."""
    readers = held.read(2)
    held.loop.pass_time(0.01)
    readers += held.read()
    held.answer_read(error)
    server.set("counter", 5)
    held.loop.pass_time(LONGEST_PAUSE)
    held.answer_read()
    assert [reader.result() for reader in readers] == [5, 5, 5]
    assert len(held.failures) == 1
    assert len(held.reads) == 2


def test_a_value_that_is_none_is_reported(held: HeldCounter, server: Redis) -> None:
    server.set("counter", "many")
    (reader,) = held.read()
    held.answer_read()
    assert reason(reader) == "not an integer"
    assert held.failures == ["not an integer"]


def test_the_end_of_the_counter_ends_the_read(held: HeldCounter) -> None:
    held.read()
    assert held.awaited_read is not None
    held.loop.run_until_complete(held.counter.aclose())
    held.loop.turn()
    assert held.awaited_read is None


def test_a_batch_that_fails_ends_no_read_that_is_under_way(held: HeldCounter) -> None:
    """The client of a Cluster has no other way to look up anew than to close all its connections."""
    held.registered()
    readers = held.read()
    held.come()
    held.break_off(arrived=False)
    assert held.network.disconnected == [0]
    assert held.reading_network.disconnected == []
    held.answer_read()
    assert readers[0].result() == 1
    # The next one finds where the counter is by now.
    held.read()
    assert held.reading_network.disconnected == [0]
