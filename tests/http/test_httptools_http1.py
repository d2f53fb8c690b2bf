"""What only this transport has to take care of."""

import asyncio
import select
import socket

import pytest
from tornado.web import Application, RequestHandler

from app.http.httptools_http1 import READ_AHEAD
from app.settings import Settings
from tests.http.listener import REQUEST, Listener, turns
from tests.service import PATIENCE


@pytest.mark.gen_test
async def test_a_connection_that_the_loop_does_not_take_is_struck_off() -> None:
    listener = Listener(Settings(http_server="httptools"))
    no_stream = socket.socket(type=socket.SOCK_DGRAM)
    listener.open(no_stream)
    await listener.server.aclose()
    assert no_stream.fileno() == -1


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_a_header_longer_than_what_is_read_ahead_arrives() -> None:
    """However it is cut."""
    listener = Listener(Settings(http_server="httptools", max_header_size=4 * READ_AHEAD))
    fields = b"".join(b"Field-%d: %b\r\n" % (number, b"a" * 1000) for number in range(2 * READ_AHEAD // 1000))
    header = b"GET / HTTP/1.1\r\nHost: localhost\r\n" + fields + b"\r\n"
    loop = asyncio.get_running_loop()
    with listener.client() as client:
        for start in range(0, len(header), READ_AHEAD // 4):
            await loop.sock_sendall(client, header[start : start + READ_AHEAD // 4])
            await turns(10)
        assert (await loop.sock_recv(client, 65536)).startswith(b"HTTP/1.1 200 ")
        await listener.server.aclose()


class Taken(RequestHandler):
    def post(self) -> None:
        self.finish("taken")


@pytest.mark.parametrize(("size", "status"), [(500, b"200"), (2000, b"400")])
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"1;a=%b\r\na\r\n0\r\n\r\n", id="an extension"),
        pytest.param(b"1\r\na\r\n0\r\nX: %b\r\n\r\n", id="a trailer"),
    ],
)
@pytest.mark.gen_test(timeout=PATIENCE)
async def test_what_stands_beside_the_content_of_chunks_is_bounded(
    body: bytes, size: int, status: bytes
) -> None:
    """By MAX_HEADER_SIZE bytes in all, see docs/http.md."""
    settings = Settings(http_server="httptools", max_header_size=1024)
    listener = Listener(settings, Application([("/", Taken)], log_function=lambda _: None))
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with listener.client() as client:
        client.send(head + body % (b"b" * size))
        answer = await asyncio.get_running_loop().sock_recv(client, 65536)
        assert answer.startswith(b"HTTP/1.1 " + status)
        await listener.server.aclose()


class NeverAnswers(RequestHandler):
    async def get(self) -> None:
        await asyncio.Event().wait()


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_a_client_who_awaits_no_answers_is_not_read_from_for_ever() -> None:
    """Or whatever it sends would be kept."""
    application = Application([("/", NeverAnswers)], log_function=lambda _: None)
    listener = Listener(Settings(http_server="httptools"), application)
    many = REQUEST * (READ_AHEAD // len(REQUEST))
    sent = 0
    with listener.client() as client:
        while select.select([], [client], [], 0)[1]:
            sent += client.send(many)
            # What the system holds comes on top.
            assert sent < 64 * READ_AHEAD
            await turns(20)
        await listener.server.aclose()
