"""A counter against a real Valkey, and what one sees of it there."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from app.counter.check import CounterCheck
from app.counter.counter import Counter
from app.counter.metrics import CounterMetrics
from app.counter.records import CounterRecords
from app.health import Health
from app.redis.client import RedisClient, make_redis
from app.settings import Settings
from tests.conftest import ValkeyServer

TIMEOUT = 0.3
PATIENCE = 1.0


@asynccontextmanager
async def counting(
    settings: Settings,
    failures: list[str] | None = None,
    command_timeout: float = TIMEOUT,
    patience: float = PATIENCE,
    metrics: CounterMetrics | None = None,
) -> AsyncIterator[Counter]:
    redis, reading_redis = clients = [make_redis(settings) for _ in range(2)]
    on_failure = failures.append if failures is not None else lambda _: None
    counter = Counter(
        redis, reading_redis, settings.counter_key, command_timeout, patience, on_failure, metrics
    )
    try:
        yield counter
    finally:
        await counter.aclose()
        for client in clients:
            await client.aclose()


@asynccontextmanager
async def records_of(settings: Settings) -> AsyncIterator[CounterRecords]:
    redis = make_redis(settings)
    yield CounterRecords(redis, redis, settings.counter_key)
    await redis.aclose()


def health_over(
    redis: RedisClient,
    timeout: float,
    key: str = "counter",
    on_failure: Callable[[str], None] = lambda _: None,
) -> Health:
    return Health("redis", CounterCheck(redis, key, timeout, on_failure).ask)


def calls(valkey: ValkeyServer, command: str) -> int:
    with valkey.client as client:
        return int(client.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"])


def writers(valkey: ValkeyServer) -> dict[str, int]:
    """Names of the writers' records, with the seconds that each has left."""
    with valkey.client as client:
        return {key: client.ttl(key) for key in client.keys("*:writer:*")}
