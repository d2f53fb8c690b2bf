"""The state machine, and what Redis is asked for it."""

import asyncio

import pytest

from app.health import MOST_WAITING, REUSE_SECONDS, Health, State
from app.redis.client import make_redis
from app.settings import Settings
from tests.conftest import ValkeyServer
from tests.counter.counting import health_over
from tests.faults.service.redis_proxy import RedisProxy


def pings(valkey: ValkeyServer) -> int:
    with valkey.client as client:
        stats = client.info("commandstats")
        return int(stats.get("cmdstat_ping", {"calls": 0})["calls"])


@pytest.mark.gen_test
async def test_the_life_of_a_process(settings: Settings) -> None:
    redis = make_redis(settings)
    health = health_over(redis, 0.3)
    assert health.found() is not None
    assert await health.not_ready_because() == "starting"
    await health.become_ready()
    assert await health.not_ready_because() is None
    assert health.found() is None
    health.drain()
    assert await health.not_ready_because() == "draining"
    assert health.found() is not None
    await health.become_ready()
    assert health.state is State.DRAINING
    await redis.aclose()


@pytest.mark.gen_test
async def test_a_drain_that_begins_while_a_probe_is_answered_is_told() -> None:
    """Or a pod that ends would be found ready once more."""
    asked, answer = asyncio.Event(), asyncio.Event()
    answer.set()

    async def check() -> None:
        asked.set()
        await answer.wait()

    health = Health("disk", check)
    await health.become_ready()
    await asyncio.sleep(REUSE_SECONDS)
    asked.clear()
    answer.clear()
    probe = asyncio.create_task(health.not_ready_because())
    await asked.wait()
    health.drain()
    answer.set()
    assert await probe == "draining"


@pytest.mark.gen_test
async def test_concurrent_probes_share_one_ping(settings: Settings, valkey: ValkeyServer) -> None:
    redis = make_redis(settings)
    health = health_over(redis, 0.3)
    before = pings(valkey)
    assert await asyncio.gather(*(health.trouble() for _ in range(MOST_WAITING))) == [None] * MOST_WAITING
    assert pings(valkey) == before + 1
    await redis.aclose()


@pytest.mark.gen_test
async def test_a_crowd_of_probes_does_not_wait_for_a_check_that_hangs() -> None:
    """Else whoever sends probes without end holds every connection, and keeps the kubelet's out."""
    answer = asyncio.get_running_loop().create_future()

    async def check() -> None:
        await answer

    health = Health("disk", check)
    crowd = [asyncio.create_task(health.trouble()) for _ in range(MOST_WAITING + 10)]
    done, waiting = await asyncio.wait(crowd, timeout=0.1)
    assert [probe.result() for probe in done] == ["not asked yet"] * 10
    answer.set_result(None)
    assert await asyncio.gather(*waiting) == [None] * MOST_WAITING
    # Their places are free again.
    assert await health.trouble() is None


@pytest.mark.gen_test
async def test_an_answer_is_reused_only_for_a_moment(settings: Settings, valkey: ValkeyServer) -> None:
    redis = make_redis(settings)
    health = health_over(redis, 0.3)
    assert await health.trouble() is None
    valkey.stop()
    loop = asyncio.get_running_loop()
    stopped = loop.time()
    while await health.trouble() is None:
        assert loop.time() - stopped < 0.5
        await asyncio.sleep(0.01)
    assert await health.trouble() == "connection"
    await redis.aclose()


@pytest.mark.gen_test
async def test_a_probe_that_gives_up_does_not_end_the_ping_of_others(
    settings: Settings, valkey: ValkeyServer
) -> None:
    redis = make_redis(settings)
    health = health_over(redis, 0.4)
    valkey.pause()
    first = asyncio.create_task(health.trouble())
    second = asyncio.create_task(health.trouble())
    await asyncio.sleep(0)
    first.cancel()
    valkey.resume()
    assert await second is None
    await redis.aclose()


@pytest.mark.gen_test
async def test_a_hung_redis_is_a_timeout_in_time(settings: Settings, valkey: ValkeyServer) -> None:
    redis = make_redis(settings)
    failures: list[str] = []
    health = health_over(redis, 0.3, on_failure=failures.append)
    valkey.pause()
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert await health.trouble() == "timeout"
    assert loop.time() - started < 0.6
    assert failures == ["timeout"]
    valkey.resume()
    await redis.aclose()


@pytest.mark.gen_test
async def test_a_look_up_that_hangs_keeps_no_probe(
    settings: Settings, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time that the kubelet waits for one is checked against twice REDIS_TIMEOUT (.helm/)."""

    async def hang(_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("app.counter.check.look_up_again", hang)
    redis = make_redis(settings)
    valkey.stop()
    async with asyncio.timeout(3):
        assert await health_over(redis, 0.3).trouble() == "connection"
    await redis.aclose()


@pytest.mark.gen_test
async def test_a_redis_that_is_slow_but_in_time_is_ready(settings: Settings, valkey: ValkeyServer) -> None:
    proxy = RedisProxy(("127.0.0.1", valkey.port))
    with proxy:
        redis = make_redis(settings.model_copy(update={"redis_port": proxy.port}))
        health = health_over(redis, 0.5)
        assert await health.trouble() is None
        await asyncio.sleep(REUSE_SECONDS)
        proxy.delay = 0.3
        assert await health.trouble() is None
        await redis.aclose()


@pytest.mark.gen_test
@pytest.mark.parametrize("command", [("RPUSH", "counter", "x"), ("SET", "counter", "many")])
async def test_a_key_that_holds_no_number_is_no_trouble_of_the_server(
    settings: Settings, valkey: ValkeyServer, command: tuple[str, ...]
) -> None:
    """It concerns every pod alike: without any of them visitors would not even be told."""
    with valkey.client as client:
        client.execute_command(*command)
    redis = make_redis(settings)
    assert await health_over(redis, 0.3).trouble() is None
    await redis.aclose()


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("command", "trouble"),
    [
        (("REPLICAOF", "127.0.0.1", "1"), "read only"),
        (("CONFIG", "SET", "maxmemory", "1"), "out of memory"),
        (("ACL", "SETUSER", "default", "-setrange"), "authentication"),
    ],
)
async def test_a_server_that_answers_a_ping_and_counts_nothing_is_in_trouble(
    settings: Settings, valkey: ValkeyServer, command: tuple[str, ...], trouble: str
) -> None:
    redis = make_redis(settings)
    health = health_over(redis, 0.3)
    assert await health.trouble() is None
    await asyncio.sleep(REUSE_SECONDS)
    with valkey.client as client:
        client.execute_command(*command)
    assert await health.trouble() == trouble
    await redis.aclose()


@pytest.mark.gen_test
async def test_a_check_that_fails_as_nobody_expects_is_trouble_and_no_error() -> None:
    """A probe that failed for good would have the pod killed in vain."""

    async def broken() -> None:
        raise KeyError("flag")

    health = Health("disk", broken)
    assert await health.trouble() == "error"
    assert await health.not_ready_because() == "starting"
