"""Each request comes to its handler: by a look into a dictionary, or by Tornado's patterns."""

import asyncio
import re

import pytest
from tornado.netutil import bind_sockets
from tornado.routing import URLSpec
from tornado.web import RequestHandler, stream_request_body

from app.http.dispatch import ExactApplication
from app.http.policy import make_policy
from app.http.server import make_server
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.telemetry.requests import RequestTelemetry
from dev.valkey import LOOPBACK

pytestmark = pytest.mark.usefixtures("each_transport")


class Named(RequestHandler):
    """Says which route led to it, and with which argument."""

    def initialize(self, name: str) -> None:
        self.name = name

    def get(self, *arguments: str) -> None:
        self.write(" ".join((self.name, *arguments)))

    async def post(self) -> None:
        await asyncio.sleep(0)
        self.write(self.name.encode() + b" " + self.request.body)


@stream_request_body
class Streamed(RequestHandler):
    """Takes its body in parts."""

    size = 0

    def data_received(self, chunk: bytes) -> None:
        self.size += len(chunk)

    def post(self) -> None:
        self.write(str(self.size))


class Broken(RequestHandler):
    """Ends in a way that no handler may."""

    async def get(self) -> None:
        await asyncio.sleep(0)
        asyncio.current_task().cancel()  # type: ignore[union-attr]
        await asyncio.sleep(0)


ROUTES = [
    URLSpec(r"/(a.*)", Named, {"name": "pattern"}),
    URLSpec("/about", Named, {"name": "exact"}),
    URLSpec(re.escape("/a.b"), Named, {"name": "dotted"}),
    URLSpec(r"/\d+", Named, {"name": "digits"}),
    URLSpec("/about", Named, {"name": "second"}),
    URLSpec("/streamed", Streamed),
    URLSpec("/broken", Broken),
]


async def answers(*requests: bytes) -> list[tuple[int, str]]:
    """Send requests on one connection, all at once; return the status and the body of each answer."""
    settings = Settings(host=LOOPBACK)
    server = make_server(ExactApplication(ROUTES), make_policy(settings), RequestTelemetry(Metrics(settings)))
    sockets = bind_sockets(0, LOOPBACK)
    server.add_sockets(sockets)
    reader, writer = await asyncio.open_connection(*sockets[0].getsockname())
    writer.write(b"".join(requests))
    found = []
    for _ in requests:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        size = re.search(r"Content-Length: (\d+)", head)
        assert size is not None
        found.append((int(head.split()[1]), (await reader.readexactly(int(size[1]))).decode()))
    writer.close()
    await server.aclose()
    return found


def request(method: str, target: str, body: bytes = b"") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n".encode() + body


@pytest.mark.gen_test
async def test_a_plain_address_goes_before_a_pattern_and_the_rest_is_tornados() -> None:
    assert await answers(
        request("GET", "/about"),
        request("GET", "/about?more=1"),
        request("GET", "/abouts"),
        request("GET", "/a.b"),
        request("GET", "/axb"),
        request("GET", "/42"),
        request("POST", "/about", b"body"),
        request("POST", "/streamed", b"x" * 1000),
    ) == [
        (200, "exact"),
        (200, "exact"),
        (200, "pattern abouts"),
        (200, "dotted"),
        (200, "pattern axb"),
        (200, "digits"),
        (200, "exact body"),
        (200, "1000"),
    ]
    ((status, _),) = await answers(request("GET", "/nowhere"))
    assert status == 404


@pytest.mark.gen_test
async def test_a_handler_that_is_cancelled_leaves_nobody_without_an_answer() -> None:
    (status, _), after = await answers(request("GET", "/broken"), request("GET", "/about"))
    assert (status, after) == (500, (200, "exact"))
