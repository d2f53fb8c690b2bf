"""What only this transport has to take care of."""

import asyncio
import socket

import pytest

from app.http.httptools_http1 import READ_AHEAD
from app.settings import Settings
from tests.http.listener import Listener, turns
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
