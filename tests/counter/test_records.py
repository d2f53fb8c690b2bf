"""The commands and the records that they keep, against a real Valkey."""

import asyncio
import secrets

import pytest
from redis.exceptions import ResponseError

from app.counter.records import (
    RECORD_SECONDS,
    UNUSED_RECORD_SECONDS,
    CounterRecords,
    NotAnInteger,
    Refused,
)
from app.redis.client import make_redis
from app.redis.pace import LONGEST_PAUSE
from app.settings import Settings
from tests.conftest import ValkeyServer
from tests.counter.counting import calls, counting, records_of, writers
from tests.counter.intercepted import Deliver, intercepted


@pytest.mark.gen_test
async def test_the_scripts_cache_may_be_emptied(settings: Settings, valkey: ValkeyServer) -> None:
    async with counting(settings) as counter:
        for expected in (1, 2, 3):
            with valkey.client as client:
                client.script_flush()
            assert await counter.increment() == expected


@pytest.mark.gen_test
async def test_one_small_record_for_each_process_that_expires(
    settings: Settings, valkey: ValkeyServer
) -> None:
    async with counting(settings) as one, counting(settings) as two:
        for _ in range(20):
            await one.increment()
            await two.increment()
        assert [RECORD_SECONDS - 5 < left <= RECORD_SECONDS for left in writers(valkey).values()] == [
            True
        ] * 2
        with valkey.client as client:
            assert all(client.memory_usage(key) < 200 for key in writers(valkey))
    # A process that ends in peace leaves nothing but the counter.
    with valkey.client as client:
        assert client.keys() == ["counter"]


@pytest.mark.gen_test
async def test_a_batch_is_applied_once_and_in_order(settings: Settings, valkey: ValkeyServer) -> None:
    async with records_of(settings) as records:
        writer = await records.register()
        assert 0 < writers(valkey)[records.record(writer)] <= UNUSED_RECORD_SECONDS
        assert await records.count(writer, 1, 5) == 5
        assert [await records.count(writer, 1, 5) for _ in range(3)] == [5, 5, 5]
        assert await records.count(writer, 2, 1) == 6
        for stale in (1, 4, 0, -1):
            with pytest.raises(Refused, match="after 2"):
                await records.count(writer, stale, 1)
        await records.retire(writer)
        for sequence in (1, 2, 3):
            with pytest.raises(Refused, match="unknown writer"):
                await records.count(writer, sequence, 1)
        with pytest.raises(Refused, match="unknown writer"):
            await records.count(secrets.token_hex(16), 1, 1)
        assert (valkey.get("counter"), writers(valkey)) == ("6", {})


@pytest.mark.gen_test
async def test_a_batch_that_cannot_be_counted_writes_nothing(
    settings: Settings, valkey: ValkeyServer
) -> None:
    """Otherwise sending it again would return a result that was never applied."""
    async with records_of(settings) as records:
        writer = await records.register()
        for held in ("many", str(2**63 - 1)):
            valkey.set("counter", held)
            for _ in range(2):
                with pytest.raises(ResponseError):
                    await records.count(writer, 1, 1)
        valkey.set("counter", "0")
        assert await records.count(writer, 1, 1) == 1


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("key", "record"),
    [
        ("counter", "{counter}:writer:"),
        ("{app}:counter", "{app}:counter:writer:"),
        ("a{b}c{d}", "a{b}c{d}:writer:"),
        ("a{b", "{a{b}:writer:"),
    ],
)
async def test_the_records_live_in_the_counters_slot(
    settings: Settings, valkey: ValkeyServer, key: str, record: str
) -> None:
    async with records_of(settings.model_copy(update={"counter_key": key})) as records:
        name = records.record("0f")
        assert name == f"{record}0f"
        with valkey.client as client:
            assert client.cluster("keyslot", key) == client.cluster("keyslot", name)


@pytest.mark.gen_test
async def test_a_negative_result_is_remembered(settings: Settings, valkey: ValkeyServer) -> None:
    valkey.set("counter", "-5")
    async with records_of(settings) as records:
        writer = await records.register()
        assert [await records.count(writer, 1, 1) for _ in range(2)] == [-4, -4]
        assert [await records.count(writer, 2, 2) for _ in range(2)] == [-2, -2]


@pytest.mark.gen_test
async def test_an_identity_is_given_once(
    settings: Settings, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should chance bring it up again, a batch of its first owner would be lost."""
    monkeypatch.setattr(secrets, "token_hex", lambda _: "0f")
    async with records_of(settings) as records:
        writer = await records.register()
        assert await records.count(writer, 1, 1) == 1
        with pytest.raises(Refused, match="taken"):
            await records.register()
        assert await records.count(writer, 1, 1) == 1
    assert valkey.get("counter") == "1"


@pytest.mark.gen_test
async def test_the_script_itself_is_sent_once(settings: Settings, valkey: ValkeyServer) -> None:
    async with counting(settings) as counter:
        for expected in range(1, 6):
            assert await counter.increment() == expected
    assert (calls(valkey, "eval"), calls(valkey, "incrby")) == (1, 5)


@pytest.mark.parametrize("patience", [1.0, 30.5, 899.0, 901.0, 86400.0])
def test_records_are_kept_as_long_as_they_are_needed(patience: float) -> None:
    redis = make_redis(Settings())
    records = CounterRecords(redis, redis, "counter", patience)
    for kept, least in (
        (records.record_seconds, RECORD_SECONDS),
        (records.unused_record_seconds, UNUSED_RECORD_SECONDS),
    ):
        assert kept >= least
        # Half may be over when a batch is first sent, as test_doubt.py has it; it is sent again for so long,
        # and the way takes time.
        assert kept / 2 + patience + patience <= kept


def test_records_are_kept_for_long_and_not_for_ever() -> None:
    request_timeout = Settings.model_fields["request_timeout"].default
    # Sent again by the last visitor who waits, and by a process that paused for a while.
    assert 100 * request_timeout <= RECORD_SECONDS
    # The first batch follows its registration at once, however slow the way is.
    assert 10 * request_timeout <= UNUSED_RECORD_SECONDS
    # An outage in which every registration arrives and no reply does: that many of each process at a time.
    assert UNUSED_RECORD_SECONDS / (LONGEST_PAUSE / 2) < 1000


@pytest.mark.parametrize("is_used", [True, False], ids=["used", "never used"])
@pytest.mark.gen_test(timeout=15)
async def test_a_record_is_kept_for_whoever_waits_longer_than_most(
    settings: Settings, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch, is_used: bool
) -> None:
    """Redis is away for longer than a record is kept at least, and no longer than visitors wait."""
    monkeypatch.setattr("app.counter.records.RECORD_SECONDS", 1)
    monkeypatch.setattr("app.counter.records.UNUSED_RECORD_SECONDS", 1)
    loop = asyncio.get_running_loop()
    strikes, back = not is_used, 0.0

    async def fate(command: bytes, deliver: Deliver) -> bytes | None:
        nonlocal strikes, back
        if strikes and b"EVALSHA" in command:
            strikes, back = False, loop.time() + 1.5
        return None if loop.time() < back else await deliver(command)

    async with (
        intercepted(valkey, fate) as port,
        counting(settings.model_copy(update={"redis_port": port}), patience=5) as counter,
    ):
        if is_used:
            assert await counter.increment() == 1
            strikes = True
        assert await counter.increment() == 1 + is_used
    assert valkey.get("counter") == str(1 + is_used)


NUMBERS = ("0", "7", "-5", "10", "9223372036854775807", "-9223372036854775808")
BEYOND = ("9223372036854775808", "-9223372036854775809", "9" * 19, "9" * 5000)
NONE = ("", " 7", "7 ", "7\n", "+5", "007", "00", "-0", "-", "1_000", "1.0", "1e3", "0x10", "\u0663", "many")


@pytest.mark.gen_test
async def test_a_value_is_what_the_server_can_count_on(settings: Settings, valkey: ValkeyServer) -> None:
    async with records_of(settings) as records:
        with valkey.client as client:
            for held in NUMBERS:
                client.set("counter", held)
                assert await records.value() == client.incrby("counter", 0) == int(held)
            for held in (*BEYOND, *NONE):
                client.set("counter", held)
                with pytest.raises(ResponseError, match="not an integer"):
                    client.incrby("counter", 0)
                with pytest.raises(NotAnInteger):
                    await records.value()
