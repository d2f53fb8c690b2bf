"""What a transport does with the answers of handlers: long ones, slow clients, errors."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from app.http.admission import FREE_REFUSALS_A_SECOND
from app.http.connections import UNREAD, WRITE_BUFFER
from app.http.policy import make_policy
from app.http.server import make_server
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.telemetry.requests import RequestTelemetry
from dev.valkey import LOOPBACK
from tests.service import PATIENCE

pytestmark = pytest.mark.usefixtures("each_transport")


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
