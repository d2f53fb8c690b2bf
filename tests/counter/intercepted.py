"""A network between a client and a real server on which a test decides what becomes of each command."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from dev.valkey import LOOPBACK, Valkey

Deliver = Callable[[bytes], Awaitable[bytes]]
Fate = Callable[[bytes, Deliver], Awaitable[bytes | None]]
"""Gets a command and the way to the server; returns what the client hears, None to end the connection."""


@asynccontextmanager
async def intercepted(valkey: Valkey, fate: Fate) -> AsyncIterator[int]:
    """Yield the port of a proxy on which every command meets its fate."""
    tasks: set[asyncio.Task[None]] = set()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        from_valkey, to_valkey = await asyncio.open_connection(LOOPBACK, valkey.port)

        async def deliver(command: bytes) -> bytes:
            to_valkey.write(command)
            return await from_valkey.read(65536)

        try:
            while command := await reader.read(65536):
                heard = await fate(command, deliver)
                if heard is None:
                    break
                writer.write(heard)
        finally:
            to_valkey.close()
            writer.close()

    proxy = await asyncio.start_server(forward, LOOPBACK, 0)
    try:
        yield proxy.sockets[0].getsockname()[1]
    finally:
        proxy.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
