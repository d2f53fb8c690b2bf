"""No client holds the event loop for long."""

import asyncio
import time

import pytest
from tornado.netutil import bind_sockets
from tornado.web import Application

from app.http.policy import make_policy
from app.http.server import make_server
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.telemetry.requests import RequestTelemetry
from dev.valkey import LOOPBACK
from tests.service import PATIENCE

pytestmark = pytest.mark.usefixtures("each_transport")

EMPTY = b"\r\n\r\n" * 100_000
CHUNKED = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
VERSION = b"GET /version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
LONGEST_TURN = 0.15
"""Seconds of the processor; one by one, what is sent here would take several times as many."""


async def longest_turn(ends: asyncio.Future[bytes]) -> float:
    """Return the most processor time between two turns of the loop until something is done."""
    longest, began = 0.0, time.process_time()
    while not ends.done():
        await asyncio.sleep(0)
        now = time.process_time()
        longest, began = max(longest, now - began), now
    return longest


async def longest_turn_of(sent: bytes) -> float:
    """Return the longest turn of a server to which this is sent, until it answers."""
    settings = Settings(host=LOOPBACK, body_timeout=PATIENCE)
    server = make_server(Application(), make_policy(settings), RequestTelemetry(Metrics(settings)))
    sockets = bind_sockets(0, LOOPBACK)
    server.add_sockets(sockets)
    reader, writer = await asyncio.open_connection(*sockets[0].getsockname())
    writer.write(sent)
    answered = asyncio.ensure_future(reader.readline())
    longest = await longest_turn(answered)
    # Or 408, where the parser takes longer than a body may.
    assert answered.result()[9:13] in {b"404 ", b"413 ", b"408 "}
    writer.close()
    await server.aclose()
    return longest


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(EMPTY + VERSION, id="before a request"),
        pytest.param(CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(EMPTY), EMPTY) + VERSION, id="in a chunk"),
    ],
)
@pytest.mark.gen_test(timeout=3 * PATIENCE)
async def test_empty_lines_without_end_leave_turns_to_others(sent: bytes) -> None:
    assert await longest_turn_of(sent) < LONGEST_TURN


@pytest.mark.parametrize(
    "chunk", [pytest.param(b"4\r\n\r\n\r\n\r\n", id="empty lines"), pytest.param(b"1\r\na\r\n", id="a byte")]
)
def test_the_smallest_chunks_leave_turns_to_others(chunk: bytes) -> None:
    """On the service's own loop, which reads hundreds of kilobytes in one turn."""
    uvloop = pytest.importorskip("uvloop")
    sent = CHUNKED + chunk * (1_000_000 // len(chunk)) + b"0\r\n\r\n" + VERSION
    assert uvloop.run(longest_turn_of(sent)) < LONGEST_TURN
