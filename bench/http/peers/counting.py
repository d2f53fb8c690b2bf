"""The visits in Redis: one INCR a visit, awaited.

REDIS_CLIENT=redis-py is what these frameworks' users have: redis-py's asyncio client with hiredis' parser.
REDIS_CLIENT=pipelined is the fastest that hiredis allows: all requests share one connection, no pool, no
retries, no timeouts. It shows what redis-py costs a peer.
"""

import asyncio
import os
from collections import deque
from collections.abc import Awaitable
from typing import Protocol, cast

import hiredis
from redis.asyncio import Redis

HOST = "127.0.0.1"
PORT = int(os.environ["REDIS_PORT"])
KEY = "counter"


class Visits(Protocol):
    """The counter."""

    def count(self) -> Awaitable[int]:
        """Count one visit; return the number of all."""

    def read(self) -> Awaitable[int]:
        """Return the number of all visits."""


class RedisPyVisits:
    """A pool of connections, each with one command under way."""

    def __init__(self) -> None:
        # Without timeouts a command costs a quarter less.
        self._redis = Redis(host=HOST, port=PORT, socket_timeout=None)

    async def count(self) -> int:
        return int(await self._redis.incr(KEY))

    async def read(self) -> int:
        return int(await self._redis.get(KEY) or 0)


class PipelinedVisits:
    """One connection, opened by the first command, with as many commands under way as there are requests."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._opening = asyncio.Lock()

    async def count(self) -> int:
        return await (self._connection or await self._open()).ask(b"*2\r\n$4\r\nINCR\r\n$7\r\ncounter\r\n")

    async def read(self) -> int:
        answer = await (self._connection or await self._open()).ask(b"*2\r\n$3\r\nGET\r\n$7\r\ncounter\r\n")
        return int(answer or 0)

    async def _open(self) -> "Connection":
        async with self._opening:
            if self._connection is None:
                loop = asyncio.get_running_loop()
                _, self._connection = await loop.create_connection(Connection, HOST, PORT)
            return self._connection


class Connection(asyncio.Protocol):
    """Commands go out as they come; answers come back in their order."""

    transport: asyncio.WriteTransport

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.reader = hiredis.Reader()
        self.waiting: deque[asyncio.Future[int]] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.WriteTransport", transport)

    def ask(self, command: bytes) -> asyncio.Future[int]:
        answer = self.loop.create_future()
        self.waiting.append(answer)
        self.transport.write(command)
        return answer

    def data_received(self, data: bytes) -> None:
        self.reader.feed(data)
        while (answer := self.reader.gets()) is not False:
            waiting = self.waiting.popleft()
            # Whoever asked may be gone.
            if waiting.done():
                continue
            if isinstance(answer, Exception):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        for waiting in self.waiting:
            if not waiting.done():
                waiting.set_exception(error or ConnectionError("Redis closed the connection"))


def open_visits() -> Visits:
    """Return the client that REDIS_CLIENT names."""
    clients: dict[str, type[Visits]] = {"redis-py": RedisPyVisits, "pipelined": PipelinedVisits}
    return clients[os.environ["REDIS_CLIENT"]]()
