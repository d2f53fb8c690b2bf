"""What a failure says: whether it may pass while visitors wait, and whether another server may be right."""

import pytest
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError as RedisConnectionError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from app.counter.waiting import REFUSED, STOPPING, CounterUnavailable
from app.redis.pace import LONGEST_PAUSE
from tests.counter.held_network import HeldCounter, reason

BUSY = ResponseError("BUSY Redis is busy running a script.")
TOO_FEW_REPLICAS = ResponseError("NOREPLICAS Not enough good replicas to write.")


@pytest.mark.parametrize(
    "error",
    [
        ReadOnlyError("READONLY"),
        BusyLoadingError("LOADING"),
        MasterDownError("MASTERDOWN"),
        ClusterDownError("CLUSTERDOWN"),
        TryAgainError("TRYAGAIN"),
        BUSY,
        TOO_FEW_REPLICAS,
    ],
    ids=str,
)
def test_visitors_of_a_batch_that_was_not_applied_stay_ahead(held: HeldCounter, error: RedisError) -> None:
    """As it may pass, it costs them time and no error."""
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


@pytest.mark.parametrize("word", [REFUSED, STOPPING])
def test_another_writer_or_another_process_may_count_soon(word: str) -> None:
    """So whoever is told so need not wait for a person to mend something."""
    assert CounterUnavailable(word).mends_itself


@pytest.mark.parametrize(
    ("error", "look_ups"),
    [
        (RedisConnectionError("lost"), 1),
        (ReadOnlyError("READONLY"), 1),
        (AuthenticationError("WRONGPASS"), 1),
        (MasterDownError("MASTERDOWN"), 1),
        (TOO_FEW_REPLICAS, 1),
        # The server is the right one.
        (BusyLoadingError("LOADING"), 0),
        (BUSY, 0),
    ],
    ids=str,
)
def test_where_another_server_may_be_right_by_now_it_is_looked_up(
    held: HeldCounter, error: RedisError, look_ups: int
) -> None:
    held.registered()
    held.come()
    held.answer(error)
    assert len(held.network.disconnected) == look_ups
