"""Every way to reach Redis, each against a real server."""

import asyncio
import signal
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from app.counter.waiting import CounterUnavailable
from app.redis.client import make_redis
from app.settings import Settings
from dev.valkey import LOOPBACK
from tests.conftest import SentinelServer, StartService, ValkeyServer
from tests.counter.counting import counting
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


Certificates = dict[str, Path]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority, and a certificate for 127.0.0.1 that it signed and that server and client both use."""
    folder = tmp_path_factory.mktemp("tls")
    names = {
        name: folder / name for name in ("ca.crt", "ca.key", "one.crt", "one.key", "one.csr", "extensions")
    }
    # As RFC 5280 wants them: since Python 3.13 nothing less is verified.
    names["extensions"].write_text(f"subjectAltName=IP:{LOOPBACK}\nauthorityKeyIdentifier=keyid\n")
    of_authority = ["-addext", "keyUsage=critical,keyCertSign"]
    key = ["-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test"]
    for command in (
        [
            "req",
            "-x509",
            *key,
            *of_authority,
            "-days",
            "2",
            "-keyout",
            names["ca.key"],
            "-out",
            names["ca.crt"],
        ],
        ["req", *key, "-keyout", names["one.key"], "-out", names["one.csr"]],
        [
            *("x509", "-req", "-in", names["one.csr"], "-CA", names["ca.crt"], "-CAkey", names["ca.key"]),
            *("-days", "2", "-CAcreateserial", "-extfile", names["extensions"], "-out", names["one.crt"]),
        ],
    ):
        subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True)
    return names


async def with_tls_in_front(
    server_port: int, certificates: Certificates, use: Callable[[int], Awaitable[None]]
) -> None:
    """Run `use` with a port that speaks TLS, asks for a client certificate, and leads to the server's."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates["ca.crt"]))
    context.load_cert_chain(certificates["one.crt"], certificates["one.key"])
    context.verify_mode = ssl.CERT_REQUIRED

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
        except OSError:
            pass
        writer.close()

    forwarding: list[asyncio.Task[None] | None] = []

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        forwarding.append(asyncio.current_task())
        inner_reader, inner_writer = await asyncio.open_connection(LOOPBACK, server_port)
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))

    server = await asyncio.start_server(forward, LOOPBACK, 0, ssl=context)
    try:
        await use(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await asyncio.gather(*filter(None, forwarding), return_exceptions=True)


@pytest.mark.gen_test(timeout=20)
@pytest.mark.parametrize("as_url", [False, True])
async def test_tls_is_verified_both_ways(
    valkey: ValkeyServer, certificates: Certificates, *, as_url: bool
) -> None:
    async def use(port: int) -> None:
        def at(host: str) -> dict[str, Any]:
            url = SecretStr(f"rediss://{host}:{port}")
            return (
                {"redis_url": url} if as_url else {"redis_host": host, "redis_port": port, "redis_tls": True}
            )

        where = at(LOOPBACK)
        authority = {"redis_tls_ca_file": certificates["ca.crt"]}
        identity = {
            "redis_tls_cert_file": certificates["one.crt"],
            "redis_tls_key_file": certificates["one.key"],
        }
        assert await count(Settings.model_validate(where | authority | identity)) == 1
        # Without the authority, without an identity, and by a name that is not the certificate's.
        for wrong in (where | identity, where | authority, at("localhost") | authority | identity):
            with pytest.raises(CounterUnavailable) as raised:
                await count(Settings.model_validate(wrong))
            assert raised.value.reason == "connection"
        assert valkey.get("counter") == "1"

    await with_tls_in_front(valkey.port, certificates, use)


@pytest.mark.gen_test(timeout=20)
async def test_a_redis_that_hangs_behind_tls_does_not_spoil_the_end(
    valkey: ValkeyServer, certificates: Certificates, start_service: StartService
) -> None:
    async def use(port: int) -> None:
        service = start_service(
            REDIS_HOST=LOOPBACK,
            REDIS_PORT=port,
            REDIS_TLS="true",
            REDIS_TLS_CA_FILE=certificates["ca.crt"],
            REDIS_TLS_CERT_FILE=certificates["one.crt"],
            REDIS_TLS_KEY_FILE=certificates["one.key"],
        )
        await asyncio.to_thread(service.wait_until_ready)
        assert await asyncio.to_thread(service.count) == 1
        service.signal(signal.SIGTERM)
        # What speaks TLS lives in this loop, which does not run while it waits here.
        assert service.wait() == 0, service.errors()
        service.line("stopped")

    await with_tls_in_front(valkey.port, certificates, use)


@pytest.mark.gen_test(timeout=10)
async def test_tls_to_redis_is_tls_to_the_sentinels(
    valkey: ValkeyServer, certificates: Certificates, tmp_path: Path
) -> None:
    tls = {
        "redis_tls": True,
        "redis_tls_ca_file": certificates["ca.crt"],
        "redis_tls_cert_file": certificates["one.crt"],
        "redis_tls_key_file": certificates["one.key"],
    }

    async def use(master_port: int) -> None:
        sentinel = SentinelServer(tmp_path / "sentinel", master_port)
        sentinel.start()

        async def ask(port: int) -> None:
            where = {"redis_sentinels": ((LOOPBACK, port),), "redis_sentinel_master": "mymaster"}
            assert await count(Settings.model_validate(where | tls)) == 1

        try:
            await with_tls_in_front(sentinel.port, certificates, ask)
        finally:
            sentinel.stop()

    await with_tls_in_front(valkey.port, certificates, use)
