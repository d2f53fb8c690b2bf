"""What becomes of a batch whose reply nobody understands."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from app.counter.batches import Batches
from app.counter.metrics import CounterMetrics
from app.counter.records import CounterRecords
from app.counter.waiting import CounterUnavailable
from app.redis.client import make_redis
from app.settings import Settings
from tests.conftest import ValkeyServer
from tests.counter.intercepted import Deliver, intercepted

TIMEOUT = 0.5
PATIENCE = 2.0
WRITER = re.compile(rb":writer:\w+")


@asynccontextmanager
async def counting(
    settings: Settings, port: int, failures: list[str]
) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    redis = make_redis(settings.model_copy(update={"redis_port": port}))
    records = CounterRecords(redis, redis, "counter")
    # So that the first batch goes out once, not again as a script.
    await redis.script_load(records.script)
    batches = Batches(records, TIMEOUT, PATIENCE, failures.append, CounterMetrics(CollectorRegistry()))
    try:
        yield batches.count
    finally:
        await batches.aclose()
        await redis.aclose()


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("heard", "reason"),
    [
        (b"-ERR what no version of Redis says\r\n", "refused command"),
        (b"-SOMETHING new\r\n", "refused command"),
        (b":7\r\n", "error"),
        (b"*2\r\n$7\r\ncounted\r\n$4\r\nmany\r\n", "error"),
    ],
)
@pytest.mark.parametrize("applied", [True, False], ids=["applied", "late"])
async def test_a_reply_that_is_in_no_list_leaves_the_batch_in_doubt(
    settings: Settings, valkey: ValkeyServer, heard: bytes, reason: str, *, applied: bool
) -> None:
    """Its visitors are told at once, and its writer and sequence number never stand for another batch.

    It is applied, or its copy arrives right before the next batch. Under the same number that one would be
    answered with the result of the other.
    """
    batches: list[bytes] = []

    async def fate(command: bytes, deliver: Deliver) -> bytes:
        if b"EVALSHA" not in command:
            return await deliver(command)
        batches.append(command)
        if len(batches) == 1:
            if applied:
                await deliver(command)
            return heard
        if not applied:
            await deliver(batches[0])
        return await deliver(command)

    failures: list[str] = []
    async with intercepted(valkey, fate) as port, counting(settings, port, failures) as count:
        started = asyncio.get_running_loop().time()
        results = await asyncio.gather(*(count() for _ in range(3)), return_exceptions=True)
        assert asyncio.get_running_loop().time() - started < TIMEOUT
        assert [str(result) for result in results] == [str(CounterUnavailable(reason))] * 3
        assert failures == [reason]

        before = 3 if applied else 0
        assert [*await asyncio.gather(count(), count())] == [before + 1, before + 2]
        assert valkey.get("counter") == str(before + 2)
        assert len({WRITER.findall(batch)[0] for batch in batches}) == len(batches) == 2
        with valkey.client as client:
            assert len(client.keys("*:writer:*")) == 1


@pytest.mark.gen_test
@pytest.mark.parametrize("applied", [True, False], ids=["applied", "lost"])
async def test_what_is_no_reply_at_all_is_a_broken_connection(
    settings: Settings, valkey: ValkeyServer, *, applied: bool
) -> None:
    """Seen while Redis' pod was replaced. The batch is sent again, on a new connection."""
    garbled = 0

    async def fate(command: bytes, deliver: Deliver) -> bytes:
        nonlocal garbled
        if b"EVALSHA" not in command or garbled == 2:
            return await deliver(command)
        garbled += 1
        if applied:
            await deliver(command)
        return b"HTTP/1.1 400 Bad Request\r\n\r\n"

    failures: list[str] = []
    async with intercepted(valkey, fate) as port, counting(settings, port, failures) as count:
        assert sorted(await asyncio.gather(*(count() for _ in range(3)))) == [1, 2, 3]
    assert failures == ["protocol"] * 2
    assert valkey.get("counter") == "3"
