"""Tornado's parser of HTTP/1.1 as a transport; answers with a problem where Tornado sends a bare 400.

Tornado documents `HTTP1ServerConnection`, which reads the requests of one connection, the delegate that it
asks for each of them, and the `context` that it hands on. What its parser itself refuses never reaches a
delegate; it passes through `IOStream.write` and `IOStream.close`, so a subclass of the stream answers there.

Relied on here though Tornado does not document it, as of 6.6.1:
- `IOStream._read_buffer`: whether the next request has begun to arrive in it.
- The very bytes of its bare 400, and that `UnsatisfiableReadError` is what it closes a stream with after a
  header, or a line of a chunk, that is too long.
- A request's header, and nothing else, is read by `read_until_regex`.
- `HTTP1Connection` looks into the very headers that it gave the delegate: for `Expect: 100-continue`, and to
  promise HTTP/1.0 clients `Connection: Keep-Alive`.
- `HTTP1Connection._disconnect_on_finish` is decided before the delegate is given a header, and looked at when
  its answer is written. With `no_keep_alive` its own rule, which knows no lists, is not asked.
- Its callback on the last write of an answer runs before one that is added after `finish`; a stream that is
  closed then ends the loop of its connection without an error.
- After a stream is closed, it would go on with the requests that are in the stream's buffer.
Tornado 6.7 is to end the support of bare LF as a line's end, and to want `start_line` in HTTPServerRequest.

A client that closes its sending side has left: what it asked for may be done, and it may get no answer.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

from tornado.http1connection import HTTP1Connection, HTTP1ConnectionParameters, HTTP1ServerConnection
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import IOStream, StreamClosedError, UnsatisfiableReadError
from tornado.web import Application

from app.http.client_socket import end_answers, has_arrived, never_written, reset_on_close
from app.http.connection import Connection
from app.http.connections import UNREAD, WRITE_BUFFER, Connections
from app.http.gate import NO_LIMIT, Gate
from app.http.refusals import Refusals
from app.http.request_header import (
    EMPTY_LINES,
    HEADER_END,
    NO_REQUEST,
    InvalidRequest,
    parse_request_line,
    persists,
    too_large,
)
from app.http.response_header import BODILESS

BARE_REFUSAL = b"HTTP/1.1 400 Bad Request\r\n\r\n"
"""What Tornado writes for a request that it cannot parse."""


class TornadoHTTP1(HTTPServerConnectionDelegate):
    """Serves connections that a listener has accepted."""

    def __init__(self, application: Application, connections: Connections, refusals: Refusals) -> None:
        self._application = application
        self._connections = connections
        self._refusals = refusals
        # Idle connections and bodies have their deadlines elsewhere, see Connections and Gate.
        self._parameters = HTTP1ConnectionParameters(
            max_header_size=connections.policy.settings.max_header_size,
            max_body_size=NO_LIMIT,
            no_keep_alive=True,
        )

    def open(self, accepted: socket.socket, peer: str) -> None:
        stream = AnsweringStream(accepted, peer, self._connections, self._refusals)
        if self._connections.opened(stream.connection):
            HTTP1ServerConnection(stream, self._parameters, stream.connection).start_serving(self)
        else:
            stream.close()

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        assert isinstance(request_conn, HTTP1Connection)  # noqa: S101 - what HTTP1ServerConnection makes
        stream = request_conn.stream
        assert isinstance(stream, AnsweringStream)  # noqa: S101 - see open
        response = TornadoResponse(request_conn, stream, self._connections)
        application = self._application.start_request(server_conn, response)
        return _Request(self._connections, response, self._refusals, application)

    def on_close(self, server_conn: object) -> None:
        assert isinstance(server_conn, HTTP1ServerConnection)  # noqa: S101 - see open
        assert isinstance(server_conn.context, Connection)  # noqa: S101 - see open
        self._connections.closed(server_conn.context)


class AnsweringStream(IOStream):
    """The stream of one connection; answers with a problem where Tornado's parser refuses a request."""

    def __init__(
        self, accepted: socket.socket, peer: str, connections: Connections, refusals: Refusals
    ) -> None:
        super().__init__(accepted)
        self.connection = Connection(peer)
        self.connection.wire = self
        self.last_write: asyncio.Future[None] | None = None
        self._connections = connections
        self._refusals = refusals
        self._unsent = 0
        self._is_at_header = False
        """Whether a request's header is read, or was read and is yet to be parsed."""

    def read_until_regex(self, _: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        """Read a request's header."""
        # Or those who have left, or were dropped, would be served what else they asked for.
        if self.closed():
            raise StreamClosedError
        self._is_at_header = True
        return self._read_header(max_bytes)

    def header_parsed(self) -> None:
        """Hear that the header which was read is a request's."""
        self._is_at_header = False

    async def _read_header(self, max_bytes: int | None) -> bytes:
        # Tornado's own pattern takes longer to find than all else that is done with a header.
        while (header := await super().read_until_regex(HEADER_END.pattern, max_bytes)) == EMPTY_LINES:
            # What is in the buffer is there at once; but there are other clients.
            await asyncio.sleep(0)
            if self.closed():
                raise StreamClosedError
        admission = self._connections.policy.admission
        if admission.rests(self.connection):
            await admission.rest(self.connection)
        # In the turn in which it was read, too: somebody may have made room.
        if self.closed():
            raise StreamClosedError
        try:
            parse_request_line(header)
        except InvalidRequest as invalid:
            self._refuse(invalid.status, str(invalid))
            self.close()
            raise StreamClosedError from None
        return header

    def is_quiet(self) -> bool:
        # A stream that is at a header and does not read has one that is yet to be parsed.
        is_waiting = self.reading() or not self._is_at_header
        return self.closed() or (is_waiting and not self.has_unread())

    def has_unread(self) -> bool:
        return not self.closed() and has_arrived(self._read_buffer, self.socket)

    def has_unsent(self) -> bool:
        return self.writing()

    def abort(self) -> None:
        if not self.closed():
            reset_on_close(self.socket)
            self.close()

    def write(self, data: bytes | memoryview) -> asyncio.Future[None]:
        if data == BARE_REFUSAL:
            refused = self.connection.is_last
            data = b"" if refused else self._refusals.encoded(self.connection, 400, NO_REQUEST)
        if not self.writing():
            self._unsent = 0
            self.connection.taken_at = time.monotonic()
        elif self._unsent > WRITE_BUFFER:
            self._connections.drop(self.connection, UNREAD)
            return never_written()
        self._unsent += len(data)
        self.last_write = super().write(data)
        return self.last_write

    def write_to_fd(self, data: memoryview) -> int:
        taken = super().write_to_fd(data)
        self._unsent -= taken
        self.connection.taken_at = time.monotonic()
        return taken

    def close(self, exc_info: Any = False) -> None:  # noqa: ANN401 - Tornado's signature
        connection = self.connection
        if isinstance(exc_info, UnsatisfiableReadError) and not self.closed() and not connection.is_last:
            limit = self._connections.policy.settings.max_header_size
            if connection.response is not None:
                status, detail = 400, NO_REQUEST
            else:
                status, detail = too_large(bytes(self._read_buffer[:limit]), limit)
            self._refuse(status, detail)
        if not self.closed():
            end_answers(self.socket)
        super().close(exc_info)

    def _refuse(self, status: int, detail: str) -> None:
        with contextlib.suppress(OSError):
            self.socket.send(self._refusals.encoded(self.connection, status, detail))


class TornadoResponse(HTTPConnection):
    """What a response is written to: Tornado's connection, which a drain ends with the response.

    Tornado decides that when it reads a request's header. But the drain may begin later, and until there is a
    response to say so, the next request may arrive: it is answered, too.
    """

    def __init__(
        self, connection: HTTP1Connection, stream: AnsweringStream, connections: Connections
    ) -> None:
        self.context = stream.connection
        self._request_headers: HTTPHeaders | None = None
        self._persists = False
        self._is_of_http_1_0 = False
        self._is_of_head = False
        self._connection = connection
        self._stream = stream
        self._connections = connections

    def begin(self, line: RequestStartLine, headers: HTTPHeaders) -> None:
        """Hear which request is answered."""
        self._stream.header_parsed()
        self._request_headers = headers
        self._is_of_http_1_0 = line.version == "HTTP/1.0"
        self._is_of_head = line.method == "HEAD"
        self._persists = persists(line.version, headers)
        self._connection._disconnect_on_finish = not self._persists

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> asyncio.Future[None]:
        assert isinstance(start_line, ResponseStartLine)  # noqa: S101 - a server answers
        if not self._persists:
            self.context.is_last = True
        elif self._is_of_http_1_0 and "Content-Length" not in headers:
            # Its body ends where the connection does; Tornado would leave the client waiting for more.
            has_body = not self._is_of_head and start_line.code not in BODILESS
            self.context.is_last = self.context.is_last or has_body
        if self._connections.answers_last(self.context):
            headers["Connection"] = "close"
            if self._request_headers is not None:
                self._request_headers.pop("Connection", None)
        elif self._is_of_http_1_0:
            headers["Connection"] = "Keep-Alive"
        return self._connection.write_headers(start_line, headers, chunk)

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        return self._connection.write(chunk)

    def finish(self) -> None:
        self._connection.finish()
        written = self._stream.last_write
        if written is None or written.done():
            self._connections.flushed(self.context, self)
        else:
            written.add_done_callback(lambda _: self._connections.flushed(self.context, self))

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Call back when the client leaves; a part of the interface that Tornado's handlers rely on."""
        self._connection.set_close_callback(callback)


class _Request(Gate):
    """A gate that remembers what Tornado may look up later."""

    def __init__(
        self,
        connections: Connections,
        response: TornadoResponse,
        refusals: Refusals,
        application: HTTPMessageDelegate,
    ) -> None:
        super().__init__(connections, response.context, response, refusals, application)
        self._writer = response

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine)  # noqa: S101 - a server gets requests
        self._writer.begin(start_line, headers)
        return super().headers_received(start_line, headers)
