"""A registry or an entrance with a bad moment: a relay to a real HTTP server that may answer in its place."""

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, NamedTuple


class Asked(NamedTuple):
    """A request that has come in."""

    method: str
    path: str
    headers: Message


class Said(NamedTuple):
    """An answer in the server's place."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = {}


class HttpRelay(ThreadingHTTPServer):
    """Listens on 127.0.0.1. `answer` is asked first; where it has nothing to say, the server is."""

    daemon_threads = True

    def __init__(
        self, target: str, answer: Callable[[Asked], Said | None], tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(("127.0.0.1", 0), Relayed)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.target = target
        self.answer = answer
        self.struck: list[Asked] = []
        """What it answered in the server's place."""
        self.passed = 0
        """How many it passed on."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """A client that left in the middle is none of a test's concern."""


class Relayed(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: HttpRelay
    hop_by_hop: ClassVar = {"transfer-encoding", "connection", "content-length"}

    def relayed(self) -> None:
        content = self._content()
        asked = Asked(self.command, self.path, self.headers)
        said = self.server.answer(asked)
        if said is not None:
            self.server.struck.append(asked)
            self._send(said.status, dict(said.headers), said.body.encode())
            return
        self.server.passed += 1
        connection = HTTPConnection(self.server.target, timeout=30)
        connection.request(self.command, self.path, content, self._end_to_end(self.headers))
        response = connection.getresponse()
        headers = self._end_to_end(response.headers)
        if self.command == "HEAD" and (length := response.headers["Content-Length"]):
            headers["Content-Length"] = length
        self._send(response.status, headers, response.read())
        connection.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = relayed  # noqa: N815 - http.server's names

    def _end_to_end(self, headers: Message) -> dict[str, str]:
        # A list may come in several lines, as docker's Accept does.
        return {
            name: ", ".join(headers.get_all(name, []))
            for name in headers
            if name.lower() not in self.hop_by_hop
        }

    def _content(self) -> bytes | None:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            length = self.headers.get("Content-Length")
            return None if length is None else self.rfile.read(int(length))
        content = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        if "Content-Length" not in headers and status != 204:
            headers["Content-Length"] = str(len(content))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        pass


@contextmanager
def http_relay(
    target: str, answer: Callable[[Asked], Said | None], tls: ssl.SSLContext | None = None
) -> Iterator[HttpRelay]:
    """A relay while the block runs, with TLS if a context is given."""
    with HttpRelay(target, answer, tls) as relay:
        threading.Thread(target=relay.serve_forever, daemon=True).start()
        try:
            yield relay
        finally:
            relay.shutdown()
