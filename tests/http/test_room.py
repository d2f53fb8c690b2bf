"""Which connection makes room for a new one, as a transport tells it in the middle of a turn of the loop."""

import asyncio
import resource
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, closing

import pytest
from tornado.web import Application, RequestHandler

from app.http.connection import Connection
from app.http.connections import SPARE_DESCRIPTORS, Connections
from app.http.httptools_http1 import HttptoolsHTTP1
from app.http.policy import make_policy
from app.http.refusals import Refusals
from app.http.tornado_http1 import TornadoHTTP1
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.telemetry.requests import RequestTelemetry
from tests.http.sameness.exchange import MakeTransport

PLACES = 4
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Page(RequestHandler):
    def get(self) -> None:
        self.finish("page")


class Told(Connections):
    """Remembers who was quiet at once after its answer."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(make_policy(settings))
        self.quiet_when_flushed: list[bool] = []

    def flushed(self, connection: Connection, response: object) -> None:
        super().flushed(connection, response)
        self.quiet_when_flushed.append(connection.wire.is_quiet())


class Listener:
    """A transport of PLACES places, whose clients are the other ends of pairs of sockets."""

    def __init__(self, make_transport: MakeTransport, sockets: ExitStack) -> None:
        settings = Settings()
        self.connections = Told(settings)
        refusals = Refusals(self.connections.policy, RequestTelemetry(Metrics(settings)))
        application = Application([("/", Page)], log_function=lambda _: None)
        self._transport = make_transport(application, self.connections, refusals)
        self._sockets = sockets

    def connect(self) -> socket.socket:
        """Open a connection that nobody has looked at yet; return the client's end of it."""
        client, accepted = socket.socketpair()
        client.setblocking(False)
        accepted.setblocking(False)
        self._sockets.enter_context(closing(client))
        self._transport.open(accepted, "192.0.2.1")
        return client


def was_closed(client: socket.socket) -> bool:
    try:
        return client.recv(65536) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


@pytest.fixture(params=[TornadoHTTP1, HttptoolsHTTP1])
def with_listener(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[Listener], Awaitable[None]]], None]:
    """Run in a loop what is given a listener."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (SPARE_DESCRIPTORS + PLACES,) * 2)

    async def with_one(use: Callable[[Listener], Awaitable[None]]) -> None:
        with ExitStack() as sockets:
            listener = Listener(request.param, sockets)
            await use(listener)
            await listener.connections.close_all()

    return lambda use: asyncio.run(with_one(use))


WithListener = Callable[[Callable[[Listener], Awaitable[None]]], None]


def test_one_that_just_connected_asks_for_nothing(with_listener: WithListener) -> None:
    async def use(listener: Listener) -> None:
        listener.connect()
        assert listener.connections.arriving() == 0

    with_listener(use)


def test_one_that_asked_is_never_quiet_before_its_answer(with_listener: WithListener) -> None:
    async def use(listener: Listener) -> None:
        connections = listener.connections
        clients = [listener.connect() for _ in range(PLACES)]
        # Until they are read from: what comes later takes a turn more.
        for _ in range(10):
            await asyncio.sleep(0)
        for client in clients:
            client.send(REQUEST)
        async with asyncio.timeout(10):
            while (answered := len(connections.quiet_when_flushed)) < PLACES:
                assert answered + len(connections.policy.in_flight) + connections.arriving() == PLACES
                await asyncio.sleep(0)

    with_listener(use)


def test_one_that_was_just_answered_asks_for_nothing(with_listener: WithListener) -> None:
    async def use(listener: Listener) -> None:
        client = listener.connect()
        client.send(REQUEST)
        async with asyncio.timeout(10):
            await asyncio.get_running_loop().sock_recv(client, 65536)
        assert listener.connections.quiet_when_flushed == [True]

    with_listener(use)


def test_one_that_was_just_answered_and_asked_again_is_not_quiet(with_listener: WithListener) -> None:
    async def use(listener: Listener) -> None:
        client = listener.connect()
        client.send(2 * REQUEST)
        async with asyncio.timeout(10):
            while len(listener.connections.quiet_when_flushed) < 2:
                await asyncio.get_running_loop().sock_recv(client, 65536)
        assert listener.connections.quiet_when_flushed == [False, True]

    with_listener(use)


def test_a_probe_that_just_connected_is_not_closed_for_a_crowd_of_half_requests(
    with_listener: WithListener,
) -> None:
    async def use(listener: Listener) -> None:
        crowd = [listener.connect() for _ in range(PLACES - 1)]
        for client in crowd:
            client.send(REQUEST[:1])
        probe = listener.connect()
        crowd.append(listener.connect())
        assert [was_closed(client) for client in [*crowd, probe]] == [True] + [False] * PLACES

    with_listener(use)


def test_half_a_request_is_kept_before_those_who_ask_for_nothing(with_listener: WithListener) -> None:
    async def use(listener: Listener) -> None:
        asking, quiet, *others = [listener.connect() for _ in range(PLACES)]
        asking.send(REQUEST[:1])
        others.append(listener.connect())
        assert [was_closed(client) for client in [asking, quiet, *others]] == [False, True] + [False] * 3

    with_listener(use)
