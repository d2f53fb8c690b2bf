"""The counter against a real Valkey."""

import asyncio

import pytest

from app.counter import Counter, CounterUnavailable
from app.redis_client import RedisClient, make_redis
from app.settings import Settings
from dev.valkey import LOOPBACK
from tests.conftest import ValkeyServer


class Setup:
    def __init__(self, settings: Settings) -> None:
        self.failures: list[str] = []
        self.redis: RedisClient = make_redis(settings, 8)
        self.counter = Counter(self.redis, "counter", 0.3, self.failures.append)


@pytest.fixture
def setup(settings: Settings) -> Setup:
    return Setup(settings)


@pytest.mark.gen_test
async def test_many_at_once_each_get_their_own_value(setup: Setup) -> None:
    values = await asyncio.gather(*(setup.counter.increment() for _ in range(100)))
    assert sorted(values) == list(range(1, 101))
    assert await setup.counter.value() == 100
    await setup.redis.aclose()


@pytest.mark.gen_test
async def test_value_is_0_before_the_first_visit_and_creates_nothing(
    setup: Setup, valkey: ValkeyServer
) -> None:
    assert await setup.counter.value() == 0
    assert valkey.get("counter") is None
    await setup.redis.aclose()


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("held", "reason", "readable"),
    [("many", "not an integer", False), (str(2**63 - 1), "overflow", True), ("1.5", "not an integer", False)],
)
async def test_a_key_that_cannot_be_counted_is_left_alone(
    setup: Setup, valkey: ValkeyServer, held: str, reason: str, *, readable: bool
) -> None:
    valkey.set("counter", held)
    with pytest.raises(CounterUnavailable) as raised:
        await setup.counter.increment()
    assert raised.value.reason == reason
    assert setup.failures == [reason]
    if not readable:
        with pytest.raises(CounterUnavailable):
            await setup.counter.value()
    assert valkey.get("counter") == held
    await setup.redis.aclose()


@pytest.mark.gen_test
async def test_a_key_of_another_type(setup: Setup, valkey: ValkeyServer) -> None:
    with valkey.client as client:
        client.lpush("counter", "x")
    for command in (setup.counter.increment, setup.counter.value):
        with pytest.raises(CounterUnavailable, match="not an integer"):
            await command()
    await setup.redis.aclose()


@pytest.mark.gen_test
async def test_a_hung_redis_fails_in_time_and_is_never_asked_twice(
    setup: Setup, valkey: ValkeyServer
) -> None:
    await setup.counter.increment()
    valkey.pause()
    started = asyncio.get_running_loop().time()
    with pytest.raises(CounterUnavailable, match="timeout"):
        await setup.counter.increment()
    assert asyncio.get_running_loop().time() - started < 0.6
    valkey.resume()
    # The one that timed out was applied at most once.
    assert await setup.counter.increment() in {2, 3}
    with valkey.client as client:
        assert client.info("commandstats")["cmdstat_incrby"]["calls"] <= 3
    await setup.redis.aclose()


@pytest.mark.gen_test
async def test_an_increment_whose_reply_is_lost_is_not_sent_again(
    settings: Settings, valkey: ValkeyServer
) -> None:
    """A proxy passes the increment on, and breaks the connection instead of passing the reply back."""
    sent = 0

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        from_valkey, to_valkey = await asyncio.open_connection(LOOPBACK, valkey.port)
        while data := await reader.read(65536):
            to_valkey.write(data)
            reply = await from_valkey.read(65536)
            if b"INCRBY" in data:
                sent += 1
                break
            writer.write(reply)
        to_valkey.close()
        writer.close()

    proxy = await asyncio.start_server(forward, LOOPBACK, 0)
    port = proxy.sockets[0].getsockname()[1]
    through_proxy = make_redis(settings.model_copy(update={"redis_port": port}), 2)
    with pytest.raises(CounterUnavailable, match="connection"):
        await Counter(through_proxy, "counter", 0.5).increment()
    assert (sent, valkey.get("counter")) == (1, "1")
    await through_proxy.aclose()
    proxy.close()


@pytest.mark.gen_test
async def test_a_refused_connection_is_reported(setup: Setup, valkey: ValkeyServer) -> None:
    valkey.stop()
    with pytest.raises(CounterUnavailable, match="connection"):
        await setup.counter.increment()
    assert setup.failures == ["connection"]
    await setup.redis.aclose()
