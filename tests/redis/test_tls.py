"""TLS to Redis: who is believed, on every way to it, and files that are rotated while the service runs."""

import asyncio
import shutil
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from app.counter.waiting import CounterUnavailable
from app.settings import Settings
from dev.valkey import LOOPBACK, free_port
from tests.conftest import SentinelServer, StartService, ValkeyServer
from tests.counter.counting import counting
from tests.redis.test_client import count
from tests.redis.test_cluster import until_counted

AUTHORITY, CERTIFICATE, KEY = "ca.crt", "one.crt", "one.key"


def make_certificates(folder: Path) -> Path:
    """Make an authority, and a certificate for 127.0.0.1 that it signed, for server and client."""
    # As RFC 5280 wants them: since Python 3.13 nothing less is verified.
    (folder / "extensions").write_text(f"subjectAltName=IP:{LOOPBACK}\nauthorityKeyIdentifier=keyid\n")
    new_key = "req -newkey rsa:2048 -nodes -subj /CN=test"
    for command in (
        f"{new_key} -x509 -days 2 -addext keyUsage=critical,keyCertSign -keyout ca.key -out {AUTHORITY}",
        f"{new_key} -keyout {KEY} -out one.csr",
        f"x509 -req -in one.csr -CA {AUTHORITY} -CAkey ca.key -CAcreateserial -days 2 -extfile extensions"
        f" -out {CERTIFICATE}",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("tls"))


def trusting(folder: Path) -> dict[str, Any]:
    """Settings of a client that believes this folder's authority, and has an identity of it."""
    return {
        "redis_tls": True,
        "redis_tls_ca_file": folder / AUTHORITY,
        "redis_tls_cert_file": folder / CERTIFICATE,
        "redis_tls_key_file": folder / KEY,
    }


@asynccontextmanager
async def tls_in_front(server_port: int, certificates: Path, port: int = 0) -> AsyncIterator[int]:
    """A port that speaks TLS, asks for a client certificate, and leads to the server's."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / AUTHORITY))
    context.load_cert_chain(certificates / CERTIFICATE, certificates / KEY)
    context.verify_mode = ssl.CERT_REQUIRED

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
        except OSError:
            pass
        finally:
            writer.close()

    forwarding: set[asyncio.Task[None]] = set()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        forwarding.add(task)
        inner_reader, inner_writer = await asyncio.open_connection(LOOPBACK, server_port)
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))

    server = await asyncio.start_server(forward, LOOPBACK, port, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in forwarding:
            task.cancel()
        await asyncio.gather(*forwarding, return_exceptions=True)


@pytest.mark.gen_test(timeout=20)
@pytest.mark.parametrize("as_url", [False, True])
async def test_it_is_verified_both_ways(valkey: ValkeyServer, certificates: Path, *, as_url: bool) -> None:
    async with tls_in_front(valkey.port, certificates) as port:

        def at(host: str) -> dict[str, Any]:
            if as_url:
                return {"redis_url": SecretStr(f"rediss://{host}:{port}")}
            return {"redis_host": host, "redis_port": port, "redis_tls": True}

        both = trusting(certificates)
        del both["redis_tls"]
        authority = {"redis_tls_ca_file": both["redis_tls_ca_file"]}
        identity = {name: both[name] for name in both.keys() - authority.keys()}
        assert await count(Settings.model_validate(at(LOOPBACK) | both)) == 1
        # Without the authority, without an identity, and by a name that is not the certificate's.
        for wrong in (at(LOOPBACK) | identity, at(LOOPBACK) | authority, at("localhost") | both):
            with pytest.raises(CounterUnavailable) as raised:
                await count(Settings.model_validate(wrong))
            assert raised.value.reason == "connection"
        assert valkey.get("counter") == "1"


@pytest.mark.gen_test(timeout=20)
async def test_a_redis_that_hangs_does_not_spoil_the_end(
    valkey: ValkeyServer, certificates: Path, start_service: StartService
) -> None:
    async with tls_in_front(valkey.port, certificates) as port:
        files = {name.upper(): value for name, value in trusting(certificates).items()}
        service = start_service(REDIS_HOST=LOOPBACK, REDIS_PORT=port, **files)
        await asyncio.to_thread(service.wait_until_ready)
        assert await asyncio.to_thread(service.count) == 1
        service.signal(signal.SIGTERM)
        # What speaks TLS lives in this loop, which does not run while it waits here.
        assert service.wait() == 0, service.errors()
        service.line("stopped")


class Reached:
    """A server and what leads to it, each behind a port of its own that speaks TLS."""

    def __init__(self, way: str, folder: Path) -> None:
        self.port = free_port()
        of_a_cluster = ["--cluster-enabled", "yes", "--cluster-port", free_port()]
        announced = [*of_a_cluster, "--cluster-announce-port", self.port] if way == "in a cluster" else []
        self.server = ValkeyServer(folder / "server", *map(str, announced))
        self.server.start()
        self.servers = {self.port: self.server}
        self.settings: dict[str, Any] = {"redis_host": LOOPBACK, "redis_port": self.port}
        if announced:
            self.server.run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            self.settings["redis_cluster"] = True
        if way == "behind a sentinel":
            sentinel, sentinel_port = SentinelServer(folder / "sentinel", self.port), free_port()
            sentinel.start()
            self.servers[sentinel_port] = sentinel
            self.settings = {
                "redis_sentinels": ((LOOPBACK, sentinel_port),),
                "redis_sentinel_master": "mymaster",
            }

    @asynccontextmanager
    async def with_tls(self, certificates: Path) -> AsyncIterator[None]:
        async with AsyncExitStack() as fronts:
            for port, server in self.servers.items():
                await fronts.enter_async_context(tls_in_front(server.port, certificates, port))
            yield


@pytest.fixture(params=["alone", "behind a sentinel", "in a cluster"])
def reached(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reached]:
    reached = Reached(request.param, tmp_path)
    yield reached
    for server in reached.servers.values():
        server.stop()


@pytest.mark.gen_test(timeout=20)
async def test_files_that_were_rotated_need_no_restart(
    reached: Reached, certificates: Path, tmp_path: Path
) -> None:
    """Another authority and another identity, as cert-manager and the kubelet put them in the same place."""
    now = shutil.copytree(certificates, tmp_path / "now")
    settings = Settings.model_validate(reached.settings | trusting(now))
    async with counting(settings, patience=2.0) as counter:
        async with reached.with_tls(certificates):
            await until_counted(counter)
        (tmp_path / "next").mkdir()
        rotated = make_certificates(tmp_path / "next")
        async with reached.with_tls(rotated):
            # They are what the server no longer takes until the kubelet has written them.
            with pytest.raises(CounterUnavailable):
                await counter.increment()
            shutil.copytree(rotated, now, dirs_exist_ok=True)
            assert await counter.increment() == 2
            assert await counter.value() == 2
