"""Every way to reach Redis, each against a real server."""

import signal
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from app.counter.waiting import CounterUnavailable
from app.redis.client import make_redis
from app.settings import Settings
from dev.valkey import LOOPBACK
from tests.conftest import StartService, ValkeyServer
from tests.counter.counting import counting
from tests.counter.intercepted import Deliver, intercepted
from tests.service import eventually


async def count(settings: Settings) -> int:
    async with counting(settings, command_timeout=settings.redis_timeout, patience=2.0) as counter:
        return await counter.increment()


@pytest.mark.gen_test
async def test_host_and_database(valkey: ValkeyServer) -> None:
    assert await count(Settings(redis_host=LOOPBACK, redis_port=valkey.port, redis_db=3)) == 1
    assert valkey.get("counter") is None
    with valkey.client as client:
        client.select(3)
        assert client.get("counter") == "1"


@pytest.mark.gen_test
async def test_url_with_user_password_and_database(valkey: ValkeyServer) -> None:
    with valkey.client as client:
        client.execute_command("ACL", "SETUSER", "visits", "on", ">p@ss/1", "~*", "+@all")
    url = f"redis://visits:p%40ss%2F1@{LOOPBACK}:{valkey.port}/2"
    settings = Settings(redis_url=SecretStr(url))
    assert await count(settings) == 1
    with valkey.client as client:
        client.select(2)
        assert client.get("counter") == "1"
    redis = make_redis(settings)
    assert isinstance(redis, Redis)
    assert redis.connection_pool.connection_kwargs["socket_timeout"] == settings.redis_timeout


@pytest.mark.gen_test
async def test_no_hello_is_sent(settings: Settings, valkey: ValkeyServer) -> None:
    """Some managed proxies refuse it."""
    heard: list[bytes] = []

    async def fate(command: bytes, deliver: Deliver) -> bytes:
        heard.append(command.upper())
        return await deliver(command)

    async with intercepted(valkey, fate) as port:
        assert await count(settings.model_copy(update={"redis_port": port})) == 1
    assert any(b"EVAL" in command for command in heard)
    assert not any(b"HELLO" in command for command in heard)


@pytest.mark.gen_test
async def test_a_wrong_password_is_an_authentication_failure(valkey: ValkeyServer) -> None:
    valkey.set_password("right")
    for password in (None, SecretStr("wrong")):
        settings = Settings(redis_host=LOOPBACK, redis_port=valkey.port, redis_password=password)
        with pytest.raises(CounterUnavailable) as raised:
            await count(settings)
        assert raised.value.reason == "authentication"
    right = SecretStr("right")
    assert await count(Settings(redis_host=LOOPBACK, redis_port=valkey.port, redis_password=right)) == 1


@pytest.mark.parametrize("in_url", [False, True])
def test_a_password_rotated_in_its_file_needs_no_restart(
    valkey: ValkeyServer, start_service: StartService, tmp_path: Path, *, in_url: bool
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()

    def write(password: str) -> None:
        if in_url:
            (secrets / "REDIS_URL").write_text(f"redis://:{password}@{LOOPBACK}:{valkey.port}")
        else:
            (secrets / "REDIS_PASSWORD").write_text(password)

    valkey.set_password("first")
    write("first")
    service = start_service(None if in_url else valkey, SECRETS_DIR=secrets).wait_until_ready()
    assert service.count() == 1
    valkey.set_password("second")
    eventually(lambda: service.get("/readyz").body == b"redis: authentication\n", "locked out")
    write("second")
    service.wait_until_ready()
    assert service.count() == 2
    assert not any("first" in line or "second" in line for line in service.raw)


def test_a_file_that_is_no_setting_is_survived_until_it_is_mended(
    valkey: ValkeyServer, start_service: StartService, tmp_path: Path
) -> None:
    """What a restart would not mend must not make liveness fail."""
    service = start_service(valkey, SECRETS_DIR=tmp_path).wait_until_ready()
    flag = tmp_path / "REDIS_TLS"
    flag.write_text("maybe")
    with valkey.client as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    eventually(lambda: service.get("/readyz").body == b"redis: authentication\n", "not ready")
    assert service.get("/healthz").body == b"degraded\n"
    assert service.get("/").status == 503
    assert service.get("/api/v1/counter").status == 503
    service.line("the credentials cannot be read", reason="REDIS_TLS is 'maybe', allowed: true or false")
    flag.unlink()
    service.wait_until_ready()
    assert service.count() == 1


@pytest.mark.parametrize("in_url", [False, True])
def test_a_password_file_that_is_not_utf_8_is_survived_and_not_shown(
    valkey: ValkeyServer, start_service: StartService, tmp_path: Path, *, in_url: bool
) -> None:
    """Neither as it stands nor quoted by the error of whoever reads it."""
    around = f"redis://:%s@{LOOPBACK}:{valkey.port}" if in_url else "%s"
    file = tmp_path / ("REDIS_URL" if in_url else "REDIS_PASSWORD")
    valkey.set_password("swordfish")
    file.write_text(around % "swordfish")
    service = start_service(None if in_url else valkey, SECRETS_DIR=tmp_path).wait_until_ready()
    file.write_bytes((around % "swordfish").encode() + b"\xff")
    with valkey.client as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    eventually(lambda: service.get("/readyz").body == b"redis: authentication\n", "not ready")
    assert service.get("/").status == 503
    file.write_text(around % "swordfish")
    service.wait_until_ready()
    assert service.count() == 1
    service.signal(signal.SIGTERM)
    service.wait()
    output = "".join(service.raw) + service.errors()
    assert "the credentials cannot be read" in output
    for form in ("swordfish", "c3dvcmRmaXNo", "Traceback"):
        assert form not in output


def test_such_a_file_at_the_start_is_waited_out(
    valkey: ValkeyServer, start_service: StartService, tmp_path: Path
) -> None:
    valkey.stop()
    service = start_service(valkey, SECRETS_DIR=tmp_path)
    service.line("waiting for redis", reason="connection")
    flag = tmp_path / "REDIS_TLS"
    flag.write_text("maybe")
    valkey.start()
    service.line("waiting for redis", reason="authentication")
    flag.unlink()
    service.wait_until_ready()


@pytest.mark.gen_test
async def test_secrets_without_a_password_suit_a_redis_without_one(
    valkey: ValkeyServer, tmp_path: Path
) -> None:
    """The chart mounts a Secret always; Redis refuses an AUTH that it did not ask for."""
    settings = Settings(redis_host=LOOPBACK, redis_port=valkey.port, secrets_dir=tmp_path)
    assert await count(settings) == 1
