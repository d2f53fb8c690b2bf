"""Fixtures: a real Valkey, the service as a process, the application inside the test's own loop."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest
from redis import Redis
from tornado.ioloop import IOLoop
from tornado.web import Application

from app.counting import counting
from app.feature import Feature
from app.health import Health
from app.http.policy import make_policy
from app.http.server import Server, make_server
from app.server import make_app
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.telemetry.requests import RequestTelemetry
from dev.valkey import LOOPBACK, Valkey
from tests.counter.held_network import HeldCounter
from tests.service import Service

TRANSPORTS: tuple[str, ...] = get_args(Settings.model_fields["http_server"].annotation)
"""What HTTP_SERVER may be."""


class ValkeyServer(Valkey):
    """A server that a test may lock, pause, stop and start again on the same port with the same data."""

    password: str | None = None

    @property
    def client(self) -> Redis:
        return Redis(port=self.port, password=self.password, decode_responses=True)

    def set_password(self, password: str) -> None:
        """Ask for this password from now on, and end the connections that know only the old one."""
        with self.client as client:
            # As requirepass does; a Sentinel has no CONFIG.
            client.execute_command("ACL", "SETUSER", "default", "resetpass", f">{password}")
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        self.password = password

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def run(self, *command: object) -> Any:  # noqa: ANN401 - what the server says
        with self.client as client:
            return client.execute_command(*command)

    def set(self, key: str, value: str) -> None:
        with self.client as client:
            client.set(key, value)

    def get(self, key: str) -> str | None:
        with self.client as client:
            value: str | None = client.get(key)
            return value


class SentinelServer(ValkeyServer):
    """The same binary or another one, watching a master under the name mymaster."""

    def __init__(self, folder: Path, master_port: int, *lines: str, binary: str | None = None) -> None:
        """`lines` are more of its configuration."""
        super().__init__(folder)
        self.binary = binary
        folder.mkdir()
        self.config = folder / "sentinel.conf"
        # Some masters here cannot be asked by a Sentinel: none is called down unless `lines` say so.
        watched = f"monitor mymaster {LOOPBACK} {master_port} 1", "down-after-milliseconds mymaster 600000"
        self.config.write_text("\n".join([*(f"sentinel {one}" for one in watched), *lines, ""]))

    def command(self) -> list[str]:
        valkey, *_ = super().command()
        place = ["--bind", LOOPBACK, "--port", str(self.port), "--dir", str(self.folder)]
        return [self.binary or valkey, str(self.config), "--sentinel", *place, "--logfile", "valkey.log"]


@pytest.fixture(scope="session", autouse=True)
def _no_loop_of_its_own() -> None:
    """Python 3.11 makes a loop when Tornado asks whether there is one, and nobody closes it."""
    asyncio.set_event_loop(None)


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path / "valkey")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A client of a server for the tests of one file, each of which empties it."""
    valkey = ValkeyServer(tmp_path_factory.mktemp("valkey"), "--appendonly", "no")
    valkey.start()
    with Redis(port=valkey.port) as client:
        yield client
    valkey.stop()


@pytest.fixture
def held(server: Redis) -> Iterator[HeldCounter]:
    """A counter whose commands are held."""
    server.flushall()
    server.script_flush()
    held = HeldCounter(server)
    yield held
    held.loop.end()


@pytest.fixture(scope="module", params=TRANSPORTS)
def each_transport(request: pytest.FixtureRequest) -> Iterator[None]:
    """The tests that use this run with each transport; a fixture of a module has to ask for it."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HTTP_SERVER", request.param)
        yield


StartService = Callable[..., Service]


@pytest.fixture
def start_service() -> Iterator[StartService]:
    """Start services that end with the test."""
    services: list[Service] = []

    def start(valkey: Valkey | None = None, through: Sequence[str] = (), **settings: object) -> Service:
        where = {"REDIS_HOST": LOOPBACK, "REDIS_PORT": valkey.port} if valkey is not None else {}
        service = Service(settings=where | settings, through=through)
        services.append(service)
        return service

    yield start
    for service in services:
        service.close()


@pytest.fixture
def settings(valkey: ValkeyServer) -> Settings:
    return Settings(redis_host=LOOPBACK, redis_port=valkey.port, environment="TEST")


class ServiceParts(NamedTuple):
    """What server.main puts together."""

    application: Application
    server: Server
    feature: Feature
    health: Health


@pytest.fixture
def service_parts(io_loop: IOLoop, settings: Settings) -> Iterator[ServiceParts]:
    """The application as server.main builds it, in the test's loop, without listeners."""
    policy = make_policy(settings)
    metrics = Metrics(settings)
    telemetry = RequestTelemetry(metrics)
    feature = counting(settings.model_copy(update={"request_timeout": 2.0}), metrics)
    health = Health(feature.needs, feature.check)
    io_loop.run_sync(health.become_ready)
    application = make_app(policy, feature, health, telemetry)
    yield ServiceParts(application, make_server(application, policy, telemetry), feature, health)
    io_loop.run_sync(feature.aclose)


@pytest.fixture
def app(service_parts: ServiceParts) -> Application:
    return service_parts.application


@pytest.fixture
def http_server(
    io_loop: IOLoop, app: Application, settings: Settings, _unused_port: tuple[socket.socket, int]
) -> Iterator[Server]:
    """What `http_client` asks: our server, where pytest-tornado would take Tornado's own."""
    server = make_server(app, app.settings["policy"], RequestTelemetry(Metrics(settings)))
    server.add_sockets([_unused_port[0]])
    yield server
    io_loop.run_sync(server.aclose)
