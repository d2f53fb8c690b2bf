"""The counter against a real Valkey."""

import asyncio

import pytest

from app.counter import batches
from app.counter.counter import Counter
from app.counter.waiting import CounterUnavailable
from app.settings import Settings
from dev.valkey import LOOPBACK, free_port
from tests.conftest import ValkeyServer
from tests.counter.counting import PATIENCE, TIMEOUT, calls, counting, writers
from tests.counter.intercepted import Deliver, intercepted


async def sent(counter: Counter, many: int) -> None:
    """Return when a batch of so many is under way."""
    while len(counter._batches._batch) != many:  # noqa: ASYNC110 - turns of the loop
        await asyncio.sleep(0)


@pytest.mark.gen_test
async def test_many_at_once_each_get_their_own_number(settings: Settings, valkey: ValkeyServer) -> None:
    async with counting(settings) as counter:
        numbers = await asyncio.gather(*(counter.increment() for _ in range(1000)))
        assert sorted(numbers) == list(range(1, 1001))
        assert await counter.value() == 1000
        assert valkey.get("counter") == "1000"
        # They came in one turn of the loop: one batch.
        assert calls(valkey, "incrby") == 1


@pytest.mark.gen_test
async def test_visits_that_come_one_by_one_without_a_break_share_a_batch(
    settings: Settings, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from connections that are read one after the other."""
    # However slow this machine is.
    monkeypatch.setattr(batches, "LONGEST_JOINING", 60.0)
    async with counting(settings) as counter:
        await counter.increment()
        visits = []
        for _ in range(30):
            visits.append(asyncio.create_task(counter.increment()))
            await asyncio.sleep(0)
        assert await asyncio.gather(*visits) == list(range(2, 32))
        assert calls(valkey, "incrby") == 2


@pytest.mark.gen_test
async def test_an_endless_stream_of_visits_does_not_hold_up_the_first(
    settings: Settings, valkey: ValkeyServer
) -> None:
    async with counting(settings) as counter:
        await counter.increment()
        visits = [asyncio.create_task(counter.increment())]
        loop = asyncio.get_running_loop()
        latest = loop.time() + PATIENCE
        while not visits[0].done():
            assert loop.time() < latest, "the first visit is held up"
            visits.append(asyncio.create_task(counter.increment()))
            await asyncio.sleep(0)
        await asyncio.gather(*visits)
        assert calls(valkey, "incrby") > 2


@pytest.mark.gen_test
async def test_visits_that_come_while_a_batch_is_away_share_the_next(
    settings: Settings, valkey: ValkeyServer
) -> None:
    async with counting(settings) as counter:
        await counter.increment()
        valkey.pause()
        first = asyncio.create_task(counter.increment())
        await sent(counter, 1)
        more = [asyncio.create_task(counter.increment()) for _ in range(50)]
        await asyncio.sleep(0)
        valkey.resume()
        assert await first == 2
        assert await asyncio.gather(*more) == list(range(3, 53))
        assert calls(valkey, "incrby") == 3


@pytest.mark.gen_test
async def test_value_is_0_before_the_first_visit_and_creates_nothing(
    settings: Settings, valkey: ValkeyServer
) -> None:
    async with counting(settings) as counter:
        assert await counter.value() == 0
    with valkey.client as client:
        assert client.dbsize() == 0


@pytest.mark.gen_test
async def test_readers_share_one_command(settings: Settings, valkey: ValkeyServer) -> None:
    async with counting(settings) as counter:
        await counter.increment()
        before = calls(valkey, "get")
        assert await asyncio.gather(*(counter.value() for _ in range(100))) == [1] * 100
        assert calls(valkey, "get") == before + 1


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("held", "reason", "readable"),
    [("many", "not an integer", False), (str(2**63 - 1), "overflow", True), ("1.5", "not an integer", False)],
)
async def test_a_key_that_cannot_be_counted_is_left_alone(
    settings: Settings, valkey: ValkeyServer, held: str, reason: str, *, readable: bool
) -> None:
    valkey.set("counter", held)
    failures: list[str] = []
    async with counting(settings, failures) as counter:
        started = asyncio.get_running_loop().time()
        with pytest.raises(CounterUnavailable) as raised:
            await counter.increment()
        assert raised.value.reason == reason
        assert failures == [reason]
        # Told at once, as waiting mends nothing.
        assert asyncio.get_running_loop().time() - started < TIMEOUT
        if not readable:
            with pytest.raises(CounterUnavailable):
                await counter.value()
        assert valkey.get("counter") == held
        # The sequence goes on once a person has mended it.
        valkey.set("counter", "7")
        assert await counter.increment() == 8


@pytest.mark.gen_test
async def test_a_key_of_another_type(settings: Settings, valkey: ValkeyServer) -> None:
    with valkey.client as client:
        client.lpush("counter", "x")
    async with counting(settings) as counter:
        for command in (counter.increment, counter.value):
            with pytest.raises(CounterUnavailable, match="not an integer"):
                await command()


@pytest.mark.gen_test
@pytest.mark.parametrize("held", [10**15, 2**53 - 2, 2**60, -(2**60), -5, 2**63 - 3])
async def test_numbers_are_exact_at_any_size(settings: Settings, valkey: ValkeyServer, held: int) -> None:
    valkey.set("counter", str(held))
    async with counting(settings) as counter:
        numbers = await asyncio.gather(*(counter.increment() for _ in range(2)))
        assert numbers == [held + 1, held + 2]
        assert await counter.value() == held + 2


@pytest.mark.gen_test
async def test_a_hung_redis_fails_in_time_and_counts_at_most_once(
    settings: Settings, valkey: ValkeyServer
) -> None:
    failures: list[str] = []
    async with counting(settings, failures) as counter:
        assert await counter.increment() == 1
        valkey.pause()
        started = asyncio.get_running_loop().time()
        with pytest.raises(CounterUnavailable, match="timeout"):
            await counter.increment()
        assert asyncio.get_running_loop().time() - started < PATIENCE + 0.2
        assert len(failures) > 1
        valkey.resume()
        # Its copies arrive now, all of them; the next batch has another writer.
        assert await counter.increment() in {2, 3}
        assert int(valkey.get("counter") or 0) <= 3


@pytest.mark.gen_test
async def test_a_batch_whose_reply_was_lost_is_sent_again_and_counted_once(
    settings: Settings, valkey: ValkeyServer
) -> None:
    lost: list[bytes] = []

    async def fate(command: bytes, deliver: Deliver) -> bytes | None:
        reply = await deliver(command)
        if b"EVAL" in command and len(lost) < 2:
            lost.append(command)
            return None
        return reply

    async with intercepted(valkey, fate) as port:
        failures: list[str] = []
        async with counting(settings.model_copy(update={"redis_port": port}), failures) as counter:
            assert await asyncio.gather(*(counter.increment() for _ in range(3))) == [1, 2, 3]
        # The first reply said NOSCRIPT, the second was the batch's.
        assert (valkey.get("counter"), failures) == ("3", ["connection", "connection"])


@pytest.mark.gen_test
async def test_a_visitor_who_leaves_does_not_take_the_batch_along(
    settings: Settings, valkey: ValkeyServer
) -> None:
    async with counting(settings) as counter:
        await counter.increment()
        valkey.pause()
        visits = [asyncio.create_task(counter.increment()) for _ in range(3)]
        await sent(counter, 3)
        visits[0].cancel()
        valkey.resume()
        assert await asyncio.gather(*visits[1:]) == [3, 4]
        assert valkey.get("counter") == "4"


@pytest.mark.gen_test
async def test_a_visitor_who_leaves_before_the_batch_is_made_is_not_counted(
    settings: Settings, valkey: ValkeyServer
) -> None:
    async with counting(settings) as counter:
        assert await counter.increment() == 1
        valkey.pause()
        first = asyncio.create_task(counter.increment())
        await sent(counter, 1)
        visits = [asyncio.create_task(counter.increment()) for _ in range(2)]
        await asyncio.sleep(0)
        visits[0].cancel()
        valkey.resume()
        assert [await first, await visits[1]] == [2, 3]


@pytest.mark.gen_test
async def test_a_lost_record_costs_no_visitor_an_answer(settings: Settings, valkey: ValkeyServer) -> None:
    """It was evicted, or Redis restarted without its data: the batch goes out once more, as another's."""
    failures: list[str] = []
    async with counting(settings, failures) as counter:
        await counter.increment()
        with valkey.client as client:
            client.delete(*writers(valkey))
        assert await counter.increment() == 2
        assert failures == ["refused"]


async def leave(visit: asyncio.Task[int]) -> None:
    visit.cancel()


@pytest.mark.parametrize("is_used", [True, False], ids=["used", "never used"])
@pytest.mark.gen_test
async def test_a_record_that_expired_while_the_process_was_idle_is_no_failure(
    settings: Settings, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch, is_used: bool
) -> None:
    failures: list[str] = []
    async with counting(settings, failures) as counter:
        setattr(counter._batches._records, "record_seconds" if is_used else "unused_record_seconds", 1)
        if is_used:
            await counter.increment()
        else:
            # The visitor leaves while others may join.
            visit = asyncio.create_task(counter.increment())
            with monkeypatch.context() as patch:
                patch.setattr(batches.Batches, "_let_others_join", lambda _: leave(visit))
                with pytest.raises(asyncio.CancelledError):
                    await visit
        assert len(writers(valkey)) == 1
        while writers(valkey):  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.01)
        assert await counter.increment() == 1 + is_used
    assert failures == []


@pytest.mark.gen_test
async def test_a_refused_connection_is_reported(settings: Settings, valkey: ValkeyServer) -> None:
    valkey.stop()
    failures: list[str] = []
    async with counting(settings, failures) as counter:
        with pytest.raises(CounterUnavailable, match="connection"):
            await counter.increment()
        with pytest.raises(CounterUnavailable, match="connection"):
            await counter.value()
        assert set(failures) == {"connection"}


@pytest.mark.gen_test
async def test_visitors_wait_for_a_redis_that_comes_back(settings: Settings, valkey: ValkeyServer) -> None:
    failures: list[str] = []
    async with counting(settings, failures) as counter:
        assert await counter.increment() == 1
        valkey.stop()
        visits = [asyncio.create_task(counter.increment()) for _ in range(20)]
        while not failures:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        valkey.start()
        assert await asyncio.gather(*visits) == list(range(2, 22))


@pytest.mark.gen_test
async def test_a_replica_is_left_for_whatever_is_the_master_now(
    settings: Settings, valkey: ValkeyServer
) -> None:
    """Only a new connection finds it: those of batches and reads are both given up."""

    def connections() -> set[str]:
        with valkey.client as client:
            return {one["id"] for one in client.client_list() if one["name"] == "visits"}

    async with counting(settings) as counter:
        assert (await counter.increment(), await counter.value()) == (1, 1)
        before = connections()
        with valkey.client as client:
            client.replicaof(LOOPBACK, free_port())
            with pytest.raises(CounterUnavailable, match="read only"):
                await counter.increment()
            client.replicaof("NO", "ONE")
        assert (await counter.increment(), await counter.value()) == (2, 2)
        assert len(before) == 2
        assert not before & connections()
