"""A limit, no peer: a protocol on uvloop that parses with httptools and answers a fixed page, no duties."""

import asyncio
import os
from typing import cast

import httptools
import uvloop

from bench.http.peers.headers import SECURITY_HEADERS
from bench.http.peers.page import page

BODY = page(1_000_000).encode()
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Length": str(len(BODY)),
    "X-Request-ID": "0" * 32,
    **SECURITY_HEADERS,
}
ANSWER = b"HTTP/1.1 200 OK\r\n%s\r\n%s" % (
    "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items()).encode(),
    BODY,
)


class Bare(asyncio.Protocol):
    """Answers when a request is read."""

    transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.WriteTransport", transport)
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.transport.write(ANSWER)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Bare, "127.0.0.1", int(os.environ["PORT"]), backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
