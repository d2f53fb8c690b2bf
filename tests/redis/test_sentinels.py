"""Redis behind Sentinels that are open, or ask for a password or a user: real servers all."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from app.counter.metrics import CounterMetrics
from app.counter.waiting import CounterUnavailable
from app.settings import Settings
from dev.valkey import LOOPBACK, free_port
from tests.conftest import SentinelServer, StartService, ValkeyServer
from tests.counter.counting import counting
from tests.redis.test_client import count
from tests.service import eventually

# What docs/redis.md says that a user needs at the Sentinels.
RIGHTS = ("-@all", "+client|setname", "+sentinel|masters")

StartSentinel = Callable[..., SentinelServer]


@pytest.fixture
def start_sentinel(valkey: ValkeyServer, tmp_path: Path) -> Iterator[StartSentinel]:
    """Start Sentinels that watch Valkey and end with the test; `password` is their requirepass."""
    sentinels: list[SentinelServer] = []

    def start(password: str | None = None) -> SentinelServer:
        lines = [f"requirepass {password}"] if password else []
        sentinel = SentinelServer(tmp_path / f"sentinel-{len(sentinels)}", valkey.port, *lines)
        sentinel.start()
        sentinel.password = password
        sentinels.append(sentinel)
        return sentinel

    yield start
    for sentinel in sentinels:
        sentinel.stop()


def set_user(sentinel: SentinelServer, name: str, *rules: str) -> None:
    with sentinel.client as client:
        client.execute_command("ACL", "SETUSER", name, *rules)


def behind(*ports: int, **settings: object) -> Settings:
    where = tuple((LOOPBACK, port) for port in ports)
    return Settings.model_validate(
        {"redis_sentinels": where, "redis_sentinel_master": "mymaster", "redis_timeout": 1.0, **settings}
    )


async def reason_of(settings: Settings) -> str:
    with pytest.raises(CounterUnavailable) as raised:
        await count(settings)
    return raised.value.reason


@pytest.mark.gen_test(timeout=10)
async def test_open_sentinels_are_sent_no_password(
    valkey: ValkeyServer, start_sentinel: StartSentinel, tmp_path: Path
) -> None:
    """Neither Redis' nor an empty one: they would refuse both."""
    sentinel = start_sentinel()
    assert await count(behind(sentinel.port)) == 1
    valkey.set_password("redis")
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "REDIS_PASSWORD").write_text("redis")
    assert await count(behind(sentinel.port, secrets_dir=secrets)) == 2


@pytest.mark.gen_test(timeout=10)
async def test_redis_and_the_sentinels_each_get_their_own_password(
    valkey: ValkeyServer, start_sentinel: StartSentinel
) -> None:
    sentinel = start_sentinel("watch")
    valkey.set_password("redis")
    both = {"redis_password": "redis", "redis_sentinel_password": "watch"}
    assert await count(behind(sentinel.port, **both)) == 1


@pytest.mark.gen_test(timeout=10)
async def test_a_user_of_the_sentinels_with_the_rights_that_the_docs_name(
    start_sentinel: StartSentinel,
) -> None:
    sentinel = start_sentinel("watch")
    set_user(sentinel, "visits", "on", ">visit", *RIGHTS)
    user = {"redis_sentinel_username": "visits", "redis_sentinel_password": "visit"}
    assert await count(behind(sentinel.port, **user)) == 1


@pytest.mark.parametrize(
    "refused",
    [
        {},
        {"redis_password": "right"},
        {"redis_sentinel_password": "wrong"},
        {"redis_sentinel_username": "nobody", "redis_sentinel_password": "right"},
        {"redis_sentinel_username": "poor", "redis_sentinel_password": "right"},
    ],
    ids=str,
)
@pytest.mark.gen_test(timeout=10)
async def test_what_the_sentinels_refuse_is_an_authentication_failure(
    start_sentinel: StartSentinel, refused: dict[str, str]
) -> None:
    sentinel = start_sentinel("right")
    set_user(sentinel, "poor", "on", ">right", "-@all", "+client|setname")
    assert await reason_of(behind(sentinel.port, **refused)) == "authentication"


@pytest.mark.gen_test(timeout=10)
async def test_sentinels_that_are_away_hide_no_refusal_and_make_none(start_sentinel: StartSentinel) -> None:
    refusing = start_sentinel("right").port
    assert await reason_of(behind(free_port(), refusing)) == "authentication"
    assert await reason_of(behind(free_port(), free_port())) == "connection"


@pytest.mark.gen_test(timeout=10)
async def test_one_sentinel_that_lets_us_in_is_enough(start_sentinel: StartSentinel) -> None:
    """Their password is changed on one after the other."""
    ports = [start_sentinel(password).port for password in ("first", "second")]
    for password in ("first", "second"):
        assert await count(behind(*ports, redis_sentinel_password=password))


class Guarded:
    """A service with its credentials for one Sentinel in files."""

    def __init__(
        self, start_service: StartService, valkey: ValkeyServer, sentinel: SentinelServer, secrets: Path
    ) -> None:
        self.valkey = valkey
        self.secrets = secrets
        secrets.mkdir()
        self.write("sesame1")
        self.service = start_service(
            SECRETS_DIR=secrets,
            REDIS_SENTINELS=f"{LOOPBACK}:{sentinel.port}",
            REDIS_SENTINEL_MASTER="mymaster",
        )

    def write(self, password: str, username: str = "") -> None:
        (self.secrets / "REDIS_SENTINEL_USERNAME").write_text(username)
        (self.secrets / "REDIS_SENTINEL_PASSWORD").write_text(password)

    def lock_out(self) -> None:
        """End its connections to Redis, so that it has to ask the Sentinels, and wait until they refused."""
        with self.valkey.client as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        eventually(lambda: self.service.get("/readyz").body == b"redis: authentication\n", "locked out")

    def stop(self) -> None:
        """Look for a secret and a traceback in all that it wrote until its end."""
        self.service.signal(signal.SIGTERM)
        assert self.service.wait() == 0
        written = "".join(self.service.raw) + self.service.errors()
        assert [word for word in ("Traceback", "sesame") if word in written] == []


def test_a_password_of_the_sentinels_rotated_in_its_file_needs_no_restart(
    valkey: ValkeyServer, start_sentinel: StartSentinel, start_service: StartService, tmp_path: Path
) -> None:
    sentinel = start_sentinel("sesame2")
    guarded = Guarded(start_service, valkey, sentinel, tmp_path / "secrets")
    guarded.service.line("waiting for redis", reason="authentication")
    sentinel.set_password("sesame1")
    assert guarded.service.wait_until_ready().count() == 1
    sentinel.set_password("sesame2")
    guarded.lock_out()
    guarded.write("sesame2")
    assert guarded.service.wait_until_ready().count() == 2
    guarded.stop()


def test_another_user_at_the_sentinels_needs_no_restart(
    valkey: ValkeyServer, start_sentinel: StartSentinel, start_service: StartService, tmp_path: Path
) -> None:
    sentinel = start_sentinel("sesame1")
    guarded = Guarded(start_service, valkey, sentinel, tmp_path / "secrets")
    assert guarded.service.wait_until_ready().count() == 1
    # The connection stays, and its user may do nothing on it any more.
    set_user(sentinel, "visits", "on", ">sesame2", *RIGHTS)
    set_user(sentinel, "default", "-sentinel|masters")
    guarded.lock_out()
    guarded.write("sesame2", "visits")
    guarded.service.wait_until_ready()
    # The counter has a connection of its own, and finds out by the first visit.
    eventually(lambda: guarded.service.get("/").status == 200, "counting again")
    assert guarded.service.value() == 2
    guarded.stop()


@pytest.mark.gen_test(timeout=10)
async def test_the_database_is_that_of_the_settings(
    valkey: ValkeyServer, start_sentinel: StartSentinel
) -> None:
    assert await count(behind(start_sentinel().port, redis_db=3)) == 1
    assert valkey.get("counter") is None
    with valkey.client as client:
        client.select(3)
        assert client.get("counter") == "1"


@pytest.mark.gen_test(timeout=20)
async def test_a_sentinel_that_hangs_leaves_time_for_the_others(start_sentinel: StartSentinel) -> None:
    hanging, other = start_sentinel(), start_sentinel()
    hanging.pause()
    assert await count(behind(hanging.port, other.port)) == 1
    hanging.resume()


@pytest.mark.gen_test(timeout=20)
async def test_a_sentinel_that_nobody_reaches_leaves_time_for_the_others(
    start_sentinel: StartSentinel,
) -> None:
    """Its node is gone, and whatever is sent there is lost, as here where no connection is accepted."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind((LOOPBACK, 0))
        full.listen(0)
        for queued in (first, second):
            queued.setblocking(False)
            queued.connect_ex(full.getsockname())
        assert await count(behind(full.getsockname()[1], start_sentinel().port)) == 1


@pytest.mark.gen_test(timeout=20)
async def test_a_master_that_became_a_replica_leaves_no_doubt(
    valkey: ValkeyServer, start_sentinel: StartSentinel
) -> None:
    """It refused the batch. redis-py calls that a broken connection, of which nobody knows what arrived."""
    settings = behind(start_sentinel().port)
    failures: list[str] = []
    registry = CollectorRegistry()
    async with counting(settings, failures, 1.0, 5.0, CounterMetrics(registry)) as counter:
        assert await counter.increment() == 1
        valkey.run("REPLICAOF", LOOPBACK, free_port())
        visit = asyncio.create_task(counter.increment())
        while not failures:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        valkey.run("REPLICAOF", "NO", "ONE")
        assert await visit == 2
    assert set(failures) == {"read only"}
    assert registry.get_sample_value("visit_batches_in_doubt_total") == 0
