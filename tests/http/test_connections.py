"""What a listener does with connections that clients leave open, do not read, or share."""

import asyncio
import contextlib
import re
import select
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager

import pytest
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from app.http.admission import FREE_REFUSALS_A_SECOND
from app.http.connections import SPARE_DESCRIPTORS, UNREAD, WRITE_BUFFER
from app.http.policy import make_policy
from app.http.server import make_server
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.telemetry.requests import RequestTelemetry
from dev.valkey import LOOPBACK, free_port
from tests.conftest import StartService, ValkeyServer
from tests.service import PATIENCE, Service, eventually

pytestmark = pytest.mark.usefixtures("each_transport")

STYLE = b"GET /static/style.css HTTP/1.1\r\nHost: localhost\r\n\r\n"
VISIT = b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"
LIMIT = 16 * 1024
PLACES = 3


def drops(service: Service) -> dict[str, int]:
    metrics = service.metrics()
    found = re.findall(r'\nhttp_connections_dropped_total\{reason="(.*)"\} (\d+)', metrics)
    return {reason: int(count) for reason, count in found}


@contextmanager
def small_client(service: Service) -> Iterator[socket.socket]:
    """A client whose system takes little that it does not read."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(PATIENCE)
        client.connect((LOOPBACK, service.port))
        yield client


def ask_without_reading(service: Service, *clients: socket.socket) -> None:
    """Send requests until none is answered any more, as there is no room for the answers."""
    many = STYLE * 200
    sent = dict.fromkeys(clients, 0)
    answered = -1
    while (now := answers(service)) != answered or service.in_flight() != len(clients):
        answered = now
        _, ready, _ = select.select([], clients, [], 0)
        for client in ready:
            sent[client] += client.send(many[sent[client] % len(STYLE) :])
        time.sleep(0.2)


def answers(service: Service) -> int:
    """How many style sheets were asked for."""
    found = re.search(r'_count\{.*route="/static/.*\} (\d+)', service.metrics())
    return int(found[1]) if found else 0


def was_reset(client: socket.socket) -> bool:
    """Read to the end; tell whether it was cut off."""
    try:
        while client.recv(65536):
            pass
    except ConnectionResetError:
        return True
    return False


@pytest.fixture
def service(valkey: ValkeyServer, start_service: StartService) -> Service:
    return start_service(valkey, ADMIN_PORT=free_port(), REQUEST_TIMEOUT=2).wait_until_ready()


def test_a_client_that_never_reads_holds_nothing_for_ever(service: Service) -> None:
    with small_client(service) as client:
        ask_without_reading(service, client)
        eventually(lambda: drops(service) == {UNREAD: 1}, "dropped")
        assert service.in_flight() == 0
        assert was_reset(client)


def test_probes_get_in_among_clients_that_never_read(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    through = ["prlimit", f"--nofile={64 + PLACES}"]
    settings = {"ADMIN_PORT": free_port(), "REQUEST_TIMEOUT": 60}
    service = start_service(valkey, through, **settings).wait_until_ready()
    with ExitStack() as stack:
        clients = [stack.enter_context(small_client(service)) for _ in range(PLACES)]
        ask_without_reading(service, *clients)
        # As each answer that nobody reads is some time old by now.
        time.sleep(1)
        assert [service.get("/readyz").status for _ in range(5)] == [200] * 5
        assert drops(service)[UNREAD] == 1


def test_a_crowd_at_a_full_service_takes_no_spare_descriptor(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    """They are for Redis, and for the log; whoever is closed for a new one has one for some turns more."""
    service = start_service(valkey, ["prlimit", f"--nofile={64 + PLACES}"]).wait_until_ready()
    with ExitStack() as stack:
        with service.frozen():
            crowd = [stack.enter_context(service.connect()) for _ in range(2 * SPARE_DESCRIPTORS)]
        for client in crowd[:-PLACES]:
            assert client.recv(1) == b""
    assert service.get("/readyz").status == 200
    assert not [line for line in service.lines if line["level"] in {"error", "warning"}]


class EndlessHandler(RequestHandler):
    """Writes on and on without a wait for its client."""

    written = 0

    async def get(self) -> None:
        while self.written < 64 * WRITE_BUFFER:
            self.write(b"." * 65536)
            type(self).written += 65536
            # The future that says when it is sent is not looked at.
            self.flush()
            await asyncio.sleep(0)


class LargeHandler(RequestHandler):
    """Writes all of it at once."""

    SIZE = 16 * WRITE_BUFFER

    def get(self) -> None:
        self.write(b"." * self.SIZE)


class SmallHandler(RequestHandler):
    """Answers at once."""

    def get(self) -> None:
        self.write("small")


class BrokenHandler(RequestHandler):
    """Raises before there is a handler that could answer."""

    def initialize(self) -> None:
        raise RuntimeError("broken")


class StreamingHandler(RequestHandler):
    """Does not know how much it will write when it begins."""

    async def get(self) -> None:
        for _ in range(2):
            self.write("part")
            await self.flush()


GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@asynccontextmanager
async def asking(
    handler: type[RequestHandler], dropped: list[str], asked: bytes = GET
) -> AsyncIterator[socket.socket]:
    """Yield a client that has asked a server in this loop, which has that handler and a small one."""
    settings = Settings(host=LOOPBACK, request_timeout=1.5)
    server = make_server(
        Application([("/", handler), ("/small", SmallHandler)], log_function=lambda _: None),
        make_policy(settings),
        RequestTelemetry(Metrics(settings)),
        dropped.append,
    )
    sockets = bind_sockets(0, LOOPBACK)
    server.add_sockets(sockets)
    with socket.create_connection(sockets[0].getsockname()) as client:
        client.sendall(asked)
        client.setblocking(False)
        yield client
        await server.aclose()


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_what_waits_for_a_client_is_bounded() -> None:
    dropped: list[str] = []
    EndlessHandler.written = 0
    async with asking(EndlessHandler, dropped):
        while EndlessHandler.written < 64 * WRITE_BUFFER:  # noqa: ASYNC110 - turns of the loop
            await asyncio.sleep(0)
        assert dropped == [UNREAD]


@pytest.mark.gen_test(timeout=2 * PATIENCE)
async def test_a_client_that_reads_slowly_gets_all_of_it() -> None:
    dropped: list[str] = []
    received = 0
    async with asking(LargeHandler, dropped) as client:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while received < LargeHandler.SIZE:
            piece = await loop.sock_recv(client, 65536)
            assert piece
            received += len(piece)
            await asyncio.sleep(0.015)
        # Several times as long as a client may take nothing.
        assert loop.time() - began > 3
        assert dropped == []


async def read_to_the_end(client: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := await loop.sock_recv(client, 65536):
            received += piece
    return received


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_what_raises_ends_its_connection_behind_another_request_too() -> None:
    """It would be in flight for ever, and hold up a drain."""
    raised: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context["exception"]))
    small = GET.replace(b"/", b"/small", 1)
    async with asking(BrokenHandler, [], small + GET + small) as client:
        received = await read_to_the_end(client)
    assert received.count(b"HTTP/1.1 ") == 1
    assert received.endswith(b"small")


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_a_request_that_rests_is_not_served_once_its_connection_is_closed() -> None:
    """As happens to one that is closed for a new one in the turn in which it gets a place."""
    settings = Settings(host=LOOPBACK, max_in_flight=1)
    policy = make_policy(settings)
    served: list[RequestHandler] = []
    server = make_server(
        Application([("/.*", SmallHandler)], log_function=served.append),
        policy,
        RequestTelemetry(Metrics(settings)),
    )
    sockets = bind_sockets(0, LOOPBACK)
    server.add_sockets(sockets)
    reader, writer = await asyncio.open_connection(*sockets[0].getsockname())
    writer.write(GET.replace(b"/", b"/small", 1))
    await reader.readuntil(b"small")
    (connection,) = server.connections._open
    assert policy.admission.enter(object())
    for _ in range(2 * FREE_REFUSALS_A_SECOND):
        assert not policy.admission.enter(connection)
    writer.write(GET)
    while not policy.admission.resting():  # noqa: ASYNC110 - turns of the loop
        await asyncio.sleep(0)
    policy.admission.leave()
    connection.wire.close()
    assert await reader.read() == b""
    assert len(served) == 1
    writer.close()
    await server.aclose()


@pytest.mark.parametrize("connection", [b"", b"Connection: keep-alive\r\n"])
@pytest.mark.gen_test(timeout=PATIENCE)
async def test_an_answer_of_unknown_length_ends_with_its_connection_for_http_1_0(connection: bytes) -> None:
    asked = b"GET / HTTP/1.0\r\n" + connection + b"\r\n"
    async with asking(StreamingHandler, [], asked) as client:
        received = await read_to_the_end(client)
    assert received.endswith(b"\r\n\r\npartpart")
    assert b"Keep-Alive" not in received


def test_a_request_on_a_refused_connection_waits_no_longer_than_for_a_place(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    """A proxy's connections carry other visitors' requests, too, who were not refused."""
    service = start_service(
        valkey, ADMIN_PORT=free_port(), MAX_IN_FLIGHT=1, REDIS_TIMEOUT=5, REQUEST_TIMEOUT=6
    ).wait_until_ready()
    valkey.pause()
    with ExitStack() as stack:
        visitor = stack.enter_context(service.connect())
        visitor.sendall(VISIT)
        eventually(lambda: service.in_flight() == 1, "no place is left")
        with service.frozen():
            # So many that the last one rests for as long as any does.
            crowd = [stack.enter_context(service.connect()) for _ in range(3 * FREE_REFUSALS_A_SECOND)]
            for connection in crowd:
                connection.sendall(VISIT)
        for connection in crowd:
            assert connection.recv(65536).startswith(b"HTTP/1.1 503 ")
        shared = crowd[-1]
        shared.sendall(VISIT)
        eventually(lambda: "\nhttp_requests_resting 1.0\n" in service.metrics(), "it rests")
        valkey.resume()
        freed = time.monotonic()
        assert visitor.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert shared.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert time.monotonic() - freed < 0.8
        assert "\nhttp_requests_resting 0.0\n" in service.metrics()


@pytest.mark.parametrize("path", ["/version", "/no-page"])
def test_headers_that_are_too_large_are_a_431_on_a_kept_connection_too(
    valkey: ValkeyServer, start_service: StartService, path: str
) -> None:
    service = start_service(valkey).wait_until_ready()
    with service.connect() as connection:
        for _ in range(2):
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert connection.recv(65536).startswith(b"HTTP/1.1 ")
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * LIMIT + b"\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 431 ")
