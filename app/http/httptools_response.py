"""How a response is framed and encoded (RFC 9110, 9112) for a transport that does not leave it to Tornado."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPOutputError,
    RequestStartLine,
    ResponseStartLine,
)

from app.http.connection import Connection
from app.http.connections import Connections
from app.http.httptools_sending import behind
from app.http.response_header import BODILESS, encoded_header


class Stream(Protocol):
    """To the client who waits for the response."""

    connection: Connection
    connections: Connections

    def send(self, data: bytes) -> "asyncio.Future[None]":
        """Write; the future is done when the system has taken over all of it."""

    def is_closing(self) -> bool:
        """Tell whether nothing more can be written."""

    def abort(self) -> None:
        """Close at once."""

    def is_arriving(self, writer: "HttptoolsResponse") -> bool:
        """Tell whether a part of the request is yet to come."""

    def answered(self, writer: "HttptoolsResponse") -> None:
        """Hear that the system has all of the answer."""


class HttptoolsResponse(HTTPConnection):
    """Writes the answer to one request. Handlers have it as `request.connection`."""

    def __init__(self, stream: Stream, line: RequestStartLine, persists: bool) -> None:
        """`persists` says whether the client would go on with the connection."""
        self.context = stream.connection
        self.is_begun = False
        self._is_of_http_1_1 = line.version == "HTTP/1.1"
        self._is_of_head = line.method == "HEAD"
        self._persists = persists
        self._stream = stream
        self._on_leaving: Callable[[], None] | None = None
        self._left: int | None = None
        """Bytes of a body of known length that are yet to be written."""
        self._is_chunked = False
        self._written: asyncio.Future[None] | None = None

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> "asyncio.Future[None]":
        assert isinstance(start_line, ResponseStartLine)  # noqa: S101 - a server answers
        self.is_begun = True
        if not self._persists or self._stream.is_arriving(self):
            self.context.is_last = True
        self._choose_framing(start_line.code, headers)
        if self._stream.connections.answers_last(self.context):
            headers["Connection"] = "close"
        elif not self._is_of_http_1_1:
            headers["Connection"] = "Keep-Alive"
        head = encoded_header(start_line, headers)
        self._written = self._stream.send(head + self._framed(chunk) if chunk else head)
        return behind(self._written)

    def write(self, chunk: bytes) -> "asyncio.Future[None]":
        self._written = self._stream.send(self._framed(chunk))
        return behind(self._written)

    def finish(self) -> None:
        if self._left and not self._stream.is_closing():
            self._stream.close()
            raise HTTPOutputError(f"Tried to write {self._left} bytes less than Content-Length")
        if self._is_chunked:
            self._written = self._stream.send(b"0\r\n\r\n")
        if self._stream.is_arriving(self):
            self.context.is_last = True
        self._on_leaving = None
        if self._written is None or self._written.done():
            self._stream.answered(self)
        else:
            self._written.add_done_callback(lambda _: self._stream.answered(self))

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Call back when the client leaves; a part of the interface that Tornado's handlers rely on."""
        self._on_leaving = callback

    def is_to_continue(self, headers: HTTPHeaders) -> bool:
        """Tell whether the client waits for 100 Continue before it sends the body; see Gate."""
        return "Expect" in headers and not self.is_begun

    def left(self) -> None:
        """Say that the client has left."""
        callback, self._on_leaving = self._on_leaving, None
        if callback is not None:
            callback()

    def _choose_framing(self, status: int, headers: HTTPHeaders) -> None:
        """Decide how the client learns where the body ends (RFC 9112, section 6.3)."""
        if self._is_of_head or status in BODILESS:
            self._left = 0
        elif "Content-Length" in headers:
            self._left = int(headers["Content-Length"])
        elif "Transfer-Encoding" in headers:
            pass
        elif self._is_of_http_1_1:
            self._is_chunked = True
            headers["Transfer-Encoding"] = "chunked"
        else:
            self.context.is_last = True

    def _framed(self, chunk: bytes) -> bytes:
        if self._left is not None:
            self._left -= len(chunk)
            if self._left < 0:
                self._stream.close()
                raise HTTPOutputError("Tried to write more data than Content-Length")
        if self._is_chunked and chunk:
            return b"%x\r\n%b\r\n" % (len(chunk), chunk)
        return chunk
