"""Every way to reach Redis, each against a real server."""

import asyncio
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from app.counter import Counter, CounterUnavailable
from app.redis_client import make_redis
from app.settings import Settings
from dev.valkey import LOOPBACK, Valkey, free_port
from tests.conftest import StartService, ValkeyServer
from tests.service import eventually


async def count(settings: Settings) -> int:
    redis = make_redis(settings, 2)
    counter = Counter(redis, settings.counter_key, 2.0, 2.0)
    try:
        return await counter.increment()
    finally:
        await counter.aclose()
        await redis.aclose()


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
    url = f"redis://visits:p%40ss%2F1@{LOOPBACK}:{valkey.port}/2?socket_timeout=99"
    settings = Settings(redis_url=SecretStr(url))
    assert await count(settings) == 1
    with valkey.client as client:
        client.select(2)
        assert client.get("counter") == "1"
    redis = make_redis(settings, 1)
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


@pytest.mark.gen_test
async def test_cluster(tmp_path: Path) -> None:
    node = ValkeyServer(tmp_path, "--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    node.start()
    try:
        with node.client as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        settings = Settings(redis_host=LOOPBACK, redis_port=node.port, redis_cluster=True)
        redis = make_redis(settings, 2)
        counter = Counter(redis, settings.counter_key, 2.0, 2.0)
        await until_counted(counter)
        assert await redis.ping()
        await counter.aclose()
        await redis.aclose()
    finally:
        node.stop()


@pytest.mark.gen_test(timeout=20)
@pytest.mark.parametrize("hangs", [False, True], ids=["stops", "hangs"])
async def test_a_slot_is_found_again_when_its_node_is_lost(tmp_path: Path, *, hangs: bool) -> None:
    """Also when the last command was the DEL of a writer that was given up."""
    nodes = [
        ValkeyServer(tmp_path / name, "--cluster-enabled", "yes", "--cluster-port", str(free_port()))
        for name in ("lost", "left")
    ]
    for node in nodes:
        node.start()
    lost, left = nodes
    settings = Settings(redis_host=LOOPBACK, redis_port=lost.port, redis_cluster=True)
    redis = make_redis(settings, 2)
    counter = Counter(redis, settings.counter_key, settings.redis_timeout, 1.0)
    try:
        with lost.client as one, left.client as other:
            slot = int(one.execute_command("CLUSTER", "KEYSLOT", settings.counter_key))
            one.execute_command("CLUSTER", "ADDSLOTS", slot)
            other.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, slot - 1, slot + 1, 16383)
            one.execute_command("CLUSTER", "MEET", LOOPBACK, left.port, left.arguments[-1])
            await until_counted(counter)
            if hangs:
                lost.pause()
            else:
                lost.stop()
            for _ in range(2):
                with pytest.raises(CounterUnavailable):
                    await counter.increment()
            other.execute_command(
                "CLUSTER", "SETSLOT", slot, "NODE", other.execute_command("CLUSTER", "MYID")
            )
        # It never held the key.
        await until_counted(counter)
    finally:
        await counter.aclose()
        await redis.aclose()
        for node in nodes:
            node.stop()


async def until_counted(counter: Counter) -> None:
    """The cluster takes a moment to see that it is whole."""
    async with asyncio.timeout(10):
        while True:
            try:
                assert await counter.increment() == 1
            except CounterUnavailable:
                await asyncio.sleep(0.02)
            else:
                return


@pytest.mark.gen_test(timeout=10)
async def test_sentinel(valkey: ValkeyServer, tmp_path: Path) -> None:
    config = tmp_path / "sentinel.conf"
    config.write_text(f"sentinel monitor mymaster {LOOPBACK} {valkey.port} 1\n")
    sentinel = SentinelServer(tmp_path / "sentinel", config)
    sentinel.start()
    try:
        settings = Settings(
            redis_sentinels=((LOOPBACK, sentinel.port),), redis_sentinel_master="mymaster", redis_timeout=1.0
        )
        assert await count(settings) == 1
        assert valkey.get("counter") == "1"
    finally:
        sentinel.stop()


class SentinelServer(Valkey):
    """The same binary watches a master."""

    def __init__(self, folder: Path, config: Path) -> None:
        super().__init__(folder, "--sentinel")
        self.config = config

    def command(self) -> list[str]:
        binary, *_ = super().command()
        return [binary, str(self.config), "--sentinel", "--bind", LOOPBACK, "--port", str(self.port)]


Certificates = dict[str, Path]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority, and a certificate for 127.0.0.1 that it signed and that server and client both use."""
    folder = tmp_path_factory.mktemp("tls")
    names = {
        name: folder / name for name in ("ca.crt", "ca.key", "one.crt", "one.key", "one.csr", "extensions")
    }
    names["extensions"].write_text(f"subjectAltName=IP:{LOOPBACK}\n")
    key = ["-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test"]
    for command in (
        ["req", "-x509", *key, "-days", "2", "-keyout", names["ca.key"], "-out", names["ca.crt"]],
        ["req", *key, "-keyout", names["one.key"], "-out", names["one.csr"]],
        [
            *("x509", "-req", "-in", names["one.csr"], "-CA", names["ca.crt"], "-CAkey", names["ca.key"]),
            *("-days", "2", "-CAcreateserial", "-extfile", names["extensions"], "-out", names["one.crt"]),
        ],
    ):
        subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True)
    return names


async def with_tls_in_front(
    valkey: ValkeyServer, certificates: Certificates, use: Callable[[int], Awaitable[None]]
) -> None:
    """Run `use` with a port that speaks TLS, asks for a client certificate, and leads to Valkey."""
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

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(LOOPBACK, valkey.port)
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))

    server = await asyncio.start_server(forward, LOOPBACK, 0, ssl=context)
    try:
        await use(server.sockets[0].getsockname()[1])
    finally:
        server.close()


@pytest.mark.gen_test(timeout=10)
@pytest.mark.parametrize("as_url", [False, True])
async def test_tls_is_verified_both_ways(
    valkey: ValkeyServer, certificates: Certificates, *, as_url: bool
) -> None:
    async def use(port: int) -> None:
        url = SecretStr(f"rediss://{LOOPBACK}:{port}")
        where = (
            {"redis_url": url} if as_url else {"redis_host": LOOPBACK, "redis_port": port, "redis_tls": True}
        )
        authority = {"redis_tls_ca_file": certificates["ca.crt"]}
        identity = {
            "redis_tls_cert_file": certificates["one.crt"],
            "redis_tls_key_file": certificates["one.key"],
        }
        assert await count(Settings.model_validate(where | authority | identity)) == 1
        for lacking in (identity, authority):
            with pytest.raises(CounterUnavailable) as raised:
                await count(Settings.model_validate(where | lacking))
            assert raised.value.reason == "connection"
        assert valkey.get("counter") == "1"

    await with_tls_in_front(valkey, certificates, use)
