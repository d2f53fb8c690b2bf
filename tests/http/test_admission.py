"""Places, and the pace of those who are refused."""

import asyncio

import pytest

from app.http.admission import (
    FREE_REFUSALS_A_SECOND,
    LONGEST_REST,
    RETRY_AFTER_SECONDS,
    Admission,
)


class Connection:
    """Something on which requests come."""


def test_a_place_is_free_again_when_it_is_left() -> None:
    admission = Admission(1)
    assert admission.enter(Connection())
    assert not admission.enter(Connection())
    admission.leave()
    assert admission.enter(Connection())


def test_refusals_within_their_pace_make_no_connection_rest() -> None:
    now = 1000.0
    admission = Admission(0, clock=lambda: now)
    for _ in range(100):
        connection = Connection()
        assert not admission.enter(connection)
        assert admission.rest_of(connection) == 0
        now += 1 / FREE_REFUSALS_A_SECOND


def test_refusals_beyond_it_rest_in_turn_but_no_longer_than_asked_for() -> None:
    now = 1000.0
    admission = Admission(0, clock=lambda: now)
    crowd = [Connection() for _ in range(3 * FREE_REFUSALS_A_SECOND)]
    assert not any(admission.enter(connection) for connection in crowd)
    rests = [admission.rest_of(connection) for connection in crowd]
    assert rests[:3] == pytest.approx([0, 1 / FREE_REFUSALS_A_SECOND, 2 / FREE_REFUSALS_A_SECOND])
    assert rests == sorted(rests)
    assert rests[-1] == LONGEST_REST
    assert admission.retry_after(crowd[0]) == RETRY_AFTER_SECONDS
    assert admission.retry_after(crowd[-1]) == LONGEST_REST
    assert all(admission.retry_after(connection) >= admission.rest_of(connection) for connection in crowd)
    # A crowd that has gone is forgotten.
    now += LONGEST_REST + 1 / FREE_REFUSALS_A_SECOND
    late = Connection()
    admission.enter(late)
    assert admission.rest_of(late) == 0


def test_whoever_was_let_in_never_rests() -> None:
    admission = Admission(1)
    connection = Connection()
    admission.enter(connection)
    for _ in range(100):
        admission.enter(Connection())
    assert admission.rest_of(connection) == 0


def resting(admission: Admission, count: int) -> list[Connection]:
    """Connections of which each rests, as the places and the free refusals are used up."""
    for _ in range(2 * FREE_REFUSALS_A_SECOND):
        admission.enter(Connection())
    connections = [Connection() for _ in range(count)]
    assert not any(admission.enter(connection) for connection in connections)
    assert all(admission.rest_of(connection) > 1 for connection in connections)
    return connections


def test_each_place_that_is_left_ends_the_longest_rest() -> None:
    async def scenario() -> None:
        admission = Admission(2)
        first, second, third = resting(admission, 3)
        rests = [asyncio.create_task(admission.rest(one)) for one in (first, second, third)]
        await asyncio.sleep(0)
        assert admission.resting() == 3
        admission.leave()
        await asyncio.wait_for(rests[0], 0.5)
        assert admission.enter(first)
        assert (admission.resting(), [rest.done() for rest in rests[1:]]) == (2, [False, False])
        admission.leave()
        await asyncio.wait_for(rests[1], 0.5)
        assert not rests[2].done()
        admission.end_rests()
        await asyncio.wait_for(rests[2], 0.5)
        assert admission.resting() == 0

    asyncio.run(scenario())


def test_nobody_rests_while_there_is_a_place() -> None:
    async def scenario() -> None:
        admission = Admission(1)
        (one,) = resting(admission, 1)
        admission.leave()
        assert admission.rests(one)
        await asyncio.wait_for(admission.rest(one), 0.5)
        # It is over for good: what comes next on this connection came from somebody else, as likely as not.
        assert not admission.rests(one)

    asyncio.run(scenario())


def test_a_place_goes_to_who_still_waits_for_it() -> None:
    async def scenario() -> None:
        admission = Admission(1)
        rests = [asyncio.create_task(admission.rest(one)) for one in resting(admission, 2)]
        await asyncio.sleep(0)
        # As when it has rested for long enough, but has not run since.
        rests[0].cancel()
        admission.leave()
        await asyncio.wait_for(rests[1], 0.5)

    asyncio.run(scenario())
