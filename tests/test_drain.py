"""The last moments of a drain, with the application and its listener in the test's own loop."""

import asyncio
from typing import cast

import pytest
from tornado.netutil import bind_sockets
from tornado.web import Application

from app.counter import Counter
from app.health import Health
from app.server import drain
from app.settings import Settings
from app.transport import Transport
from dev.valkey import LOOPBACK

READ = b"GET /api/v1/counter HTTP/1.1\r\nHost: localhost\r\n\r\n"


class LateVisitor:
    """Stands where the counter does: while its last batch settles, somebody asks on a kept connection."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.settled = 0

    async def settle(self) -> None:
        self.settled += 1
        if self.settled == 1:
            self._writer.write(READ)
            await self._writer.drain()


class Draining:
    """Stands where the health does."""

    def drain(self) -> None:
        """Nobody asks."""


@pytest.mark.gen_test
async def test_a_request_that_comes_while_the_last_batch_settles_is_answered(
    service_parts: tuple[Application, Transport], settings: Settings
) -> None:
    _, transport = service_parts
    sockets = bind_sockets(0, LOOPBACK)
    transport.add_sockets(sockets)
    reader, writer = await asyncio.open_connection(*sockets[0].getsockname())
    writer.write(READ)
    assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
    counter = LateVisitor(writer)
    await drain(settings, cast("Health", Draining()), transport, transport.policy, cast("Counter", counter))
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"Connection: close" in answer
    # What came late was settled, too.
    assert counter.settled >= 2
    writer.close()
    await writer.wait_closed()
