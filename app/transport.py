"""Tornado's HTTP/1.1 server with our limits; answers with a problem where stock Tornado sends a bare 400.

The seams: `HTTPServer.start_request` and `on_close` (see tornado.httputil.HTTPServerConnectionDelegate) see
every request between its header and its flushed response. What the parser itself refuses never reaches a
delegate; it passes through `IOStream.write` and `IOStream.close`, so a subclass of the stream answers there.

Used here though Tornado does not document it, as of 6.6.1: `TCPServer._sockets` and `_handle_connection`,
`HTTPServer._connections`, `IOStream._read_buffer`, `HTTP1Connection._disconnect_on_finish` and
`_request_headers`, and the very bytes of its bare 400.

A client that closes its sending side has left: what it asked for may be done, and it may get no answer.
"""

import asyncio
import contextlib
import re
import resource
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

from tornado.http1connection import HTTP1Connection, HTTP1ServerConnection
from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
    format_timestamp,
)
from tornado.iostream import IOStream, UnsatisfiableReadError
from tornado.web import Application

from app.problem import CONTENT_TYPE, problem_body, title_of
from app.request_policy import RequestPolicy, request_id_of
from app.telemetry.requests import RequestTelemetry

BARE_REFUSAL = b"HTTP/1.1 400 Bad Request\r\n\r\n"
"""What Tornado writes for a request that it cannot parse."""
DISCARDED_BODY = 1024 * 1024
"""Bytes of an oversized body that are read and thrown away, because a client that is still sending would not
see the answer. A larger body is answered at once all the same."""
NO_LIMIT = 2**62
"""The body limit that Tornado is given. At its own limit it closes the connection without an answer; at
MAX_BODY_SIZE LimitedRequest answers 413."""
ENOUGH_TO_PEEK = 16
"""Bytes that tell a request from a stray empty line."""
SPARE_DESCRIPTORS = 64
"""Not for visitors: what the process needs to listen, to log and to reach Redis again."""
REFUSED = "refused"
"""The route, in logs and metrics, of what was refused before any route was looked for."""


class Transport(HTTPServer):
    """One listener for one application."""

    def initialize(  # type: ignore[override] # Configurable hands on whatever the constructor gets
        self, application: Application, policy: RequestPolicy, telemetry: RequestTelemetry
    ) -> None:
        super().initialize(
            application,
            max_header_size=policy.settings.max_header_size,
            idle_connection_timeout=policy.settings.idle_timeout,
            max_body_size=NO_LIMIT,
        )
        self.policy = policy
        self.telemetry = telemetry
        self._held: dict[object, ResponseWriter] = {}
        self._idle: dict[object, AnsweringStream] = {}
        """Connections without a request, those that are so for longest first."""
        self.keep_alive_ended = asyncio.Event()
        """Set when connections are no longer kept, see end_keep_alive."""
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most_connections = max(1, descriptors - SPARE_DESCRIPTORS)

    def end_keep_alive(self) -> None:
        """From now on a response closes its connection, unless another request has arrived on it."""
        self.keep_alive_ended.set()

    def stop(self) -> None:
        """Take in who has connected already, then stop listening: closing resets whoever is queued."""
        for listener in self._sockets.values():
            with contextlib.suppress(OSError):
                while True:
                    self._handle_connection(*listener.accept())
        super().stop()

    def arriving(self) -> int:
        """Return on how many connections a request has begun to arrive that is not in flight yet."""
        return sum(not stream.is_quiet() for stream in self._idle.values())

    def close_when_quiet(self) -> bool:
        """Close all connections if nobody asks on any of them; tell whether they are closed."""
        if self.policy.in_flight or self.arriving():
            return False
        for stream in list(self._idle.values()):
            # Somebody may have asked while the others were closed.
            if not stream.is_quiet():
                return False
            stream.close()
        return True

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        # A connection that waits for no answer is closed for a new one, so that a probe gets in however many
        # connections clients hold open.
        if len(self._connections) >= self._most_connections:
            if not self._idle:
                stream.close()
                return
            self._idle.pop(next(iter(self._idle))).close()
        answering = AnsweringStream(stream.socket)
        answering.transport = self
        answering.peer = str(address[0]) if address else "unknown"
        super().handle_stream(answering, address)

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        assert isinstance(server_conn, HTTP1ServerConnection)  # noqa: S101 - what HTTPServer makes
        assert isinstance(server_conn.stream, AnsweringStream)  # noqa: S101 - see handle_stream
        if (last := self._held.get(server_conn)) is not None:
            server_conn.stream.rest = self.policy.admission.rest_after(last)
            self._release(server_conn)
        self._idle[server_conn] = server_conn.stream
        assert isinstance(request_conn, HTTP1Connection)  # noqa: S101 - what HTTP1ServerConnection makes
        response = ResponseWriter(request_conn, server_conn.stream, self.keep_alive_ended)
        return LimitedRequest(self, server_conn, response, super().start_request(server_conn, response))

    def on_close(self, server_conn: object) -> None:
        self._release(server_conn)
        self._idle.pop(server_conn, None)
        super().on_close(server_conn)

    def hold(self, server_conn: object, response: "ResponseWriter") -> None:
        """Count a request in until the next one starts on its connection, or the connection is closed."""
        self._idle.pop(server_conn, None)
        self._held[server_conn] = response
        self.policy.in_flight.hold(response)

    def _release(self, server_conn: object) -> None:
        response = self._held.pop(server_conn, None)
        if response is not None:
            self.policy.in_flight.release(response)

    def refusal(
        self,
        status: int,
        detail: str,
        start_line: RequestStartLine | None,
        headers: HTTPHeaders | None,
        peer: str,
    ) -> tuple[HTTPHeaders, bytes]:
        """Build the answer to a request that never reaches a handler, and report it."""
        request_id = request_id_of(headers)
        body = problem_body(status, detail, request_id)
        answer = HTTPHeaders(self.policy.headers)
        answer["X-Request-ID"] = request_id
        answer["Content-Type"] = CONTENT_TYPE
        answer["Content-Length"] = str(len(body))
        answer["Connection"] = "close"
        answer["Date"] = format_timestamp(time.time())
        client = self.policy.client_address(peer, headers if headers is not None else HTTPHeaders())
        method = start_line.method if start_line else "other"
        self.telemetry.record(
            request_id=request_id,
            method=method,
            route=REFUSED,
            target=start_line.path if start_line else "",
            status=status,
            seconds=0.0,
            client=client,
            user_agent=headers.get("User-Agent", "") if headers is not None else "",
        )
        return answer, b"" if method == "HEAD" else body


class AnsweringStream(IOStream):
    """The stream of one connection; answers with a problem where Tornado's parser refuses a request."""

    transport: Transport
    peer = "unknown"
    in_request = False
    refused = False
    rest = 0.0
    """Seconds until the next request is read, see Admission."""

    def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        """Begin to read a request: its header is all that Tornado reads so."""
        if self.rest:
            return self._read_after_rest(regex, max_bytes)
        return super().read_until_regex(regex, max_bytes)

    async def _read_after_rest(self, regex: bytes, max_bytes: int | None) -> bytes:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.rest):
                await self.transport.keep_alive_ended.wait()
        return await super().read_until_regex(regex, max_bytes)

    def is_quiet(self) -> bool:
        """Tell whether the next request is waited for, and nothing of it has arrived."""
        # A stream that does not read has just read a header, which is yet to be parsed.
        return self.closed() or (self.reading() and not self.has_unread())

    def has_unread(self) -> bool:
        """Tell whether anything has arrived beyond the requests that were read."""
        if self.closed():
            return False
        # Some clients send an empty line after a body.
        if self._read_buffer.strip(b"\r\n"):
            return True
        try:
            return bool(self.socket.recv(ENOUGH_TO_PEEK, socket.MSG_PEEK).strip(b"\r\n"))
        except OSError:
            return False

    def write(self, data: bytes | memoryview) -> asyncio.Future[None]:
        if data == BARE_REFUSAL:
            data = b"" if self.refused else self._refuse(400, "The request is not valid HTTP/1.1.")
        return super().write(data)

    def close(self, exc_info: Any = False) -> None:  # noqa: ANN401 - Tornado's signature
        if isinstance(exc_info, UnsatisfiableReadError) and not self.closed() and not self.refused:
            limit = self.transport.policy.settings.max_header_size
            answer = (
                self._refuse(400, "The request is not valid HTTP/1.1.")
                if self.in_request
                else self._refuse(431, f"The request's headers are larger than {limit} bytes.")
            )
            with contextlib.suppress(OSError):
                self.socket.send(answer)
        super().close(exc_info)

    def _refuse(self, status: int, detail: str) -> bytes:
        self.refused = True
        headers, body = self.transport.refusal(status, detail, None, None, self.peer)
        lines = [
            f"HTTP/1.1 {status} {title_of(status)}",
            *(f"{name}: {value}" for name, value in headers.get_all()),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class ResponseWriter(HTTPConnection):
    """What a response is written to: Tornado's connection, which a drain ends with the response.

    Tornado decides that when it reads a request's header. But the drain may begin later, and until there is a
    response to say so, the next request may arrive: it is answered, too.
    """

    is_last = False
    """Set for a response that closes its connection whatever else has arrived."""

    def __init__(
        self, connection: HTTP1Connection, stream: AnsweringStream, keep_alive_ended: asyncio.Event
    ) -> None:
        self.context = connection.context
        self._connection = connection
        self._stream = stream
        self._keep_alive_ended = keep_alive_ended

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> asyncio.Future[None]:
        if self.is_last or (self._keep_alive_ended.is_set() and not self._stream.has_unread()):
            self._connection._disconnect_on_finish = True
            headers["Connection"] = "close"
            # To an HTTP/1.0 client that asked to keep it, Tornado would promise that.
            if self._connection._request_headers is not None:
                self._connection._request_headers.pop("Connection", None)
        return self._connection.write_headers(start_line, headers, chunk)

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        return self._connection.write(chunk)

    def finish(self) -> None:
        self._connection.finish()

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Call back when the client leaves; a part of the interface that Tornado's handlers rely on."""
        self._connection.set_close_callback(callback)


class LimitedRequest(HTTPMessageDelegate):
    """Passes one request on to the application, unless its framing, size or pace is refused."""

    def __init__(
        self,
        transport: Transport,
        server_conn: object,
        response: ResponseWriter,
        application: HTTPMessageDelegate,
    ) -> None:
        self._transport = transport
        self._server_conn = server_conn
        self._response = response
        self._application = application
        self._start_line: RequestStartLine | None = None
        self._headers: HTTPHeaders | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._body_size = 0
        self._oversized = False
        self._answered = False

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine)  # noqa: S101 - a server gets requests
        self._start_line, self._headers = start_line, headers
        self._stream.in_request = True
        self._transport.hold(self._server_conn, self._response)
        complaint = framing_complaint(start_line.version, headers)
        if complaint is not None:
            self._refuse(400, complaint)
            return None
        seconds = self._transport.policy.settings.body_timeout
        self._deadline = asyncio.get_running_loop().call_later(
            seconds, self._refuse, 408, f"The request's body did not arrive within {seconds:g} seconds."
        )
        declared = headers.get("Content-Length", "0").partition(",")[0]
        if len(declared) > len(str(NO_LIMIT)) or int(declared) > self._limit:
            self._oversized = True
            if "Expect" in headers or len(declared) > len(str(NO_LIMIT)) or int(declared) > DISCARDED_BODY:
                self._refuse_oversized()
            return None
        try:
            return self._application.headers_received(start_line, headers)
        except HTTPInputError:
            self._refuse(400, "The request's target or its Host header is not valid.")
            return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._body_size += len(chunk)
        if self._answered:
            return None
        if self._body_size > self._limit:
            self._oversized = True
        if self._oversized:
            if self._body_size > DISCARDED_BODY:
                self._refuse_oversized()
            return None
        return self._application.data_received(chunk)

    def finish(self) -> None:
        self._end_deadline()
        if self._oversized:
            self._refuse_oversized()
        elif not self._answered:
            self._application.finish()

    def on_connection_close(self) -> None:
        self._end_deadline()
        if not self._answered and not self._oversized:
            self._application.on_connection_close()

    @property
    def _limit(self) -> int:
        return self._transport.policy.settings.max_body_size

    @property
    def _stream(self) -> AnsweringStream:
        assert isinstance(self._server_conn, HTTP1ServerConnection)  # noqa: S101 - what HTTPServer makes
        stream = self._server_conn.stream
        assert isinstance(stream, AnsweringStream)  # noqa: S101 - see handle_stream
        return stream

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()

    def _refuse_oversized(self) -> None:
        self._refuse(413, f"The request's body is larger than {self._limit} bytes.")

    def _refuse(self, status: int, detail: str) -> None:
        if self._answered:
            return
        self._answered = True
        self._end_deadline()
        stream = self._stream
        stream.refused = True
        headers, body = self._transport.refusal(status, detail, self._start_line, self._headers, stream.peer)
        self._response.is_last = True
        self._response.write_headers(ResponseStartLine("", status, title_of(status)), headers, body)
        self._response.finish()


def framing_complaint(version: str, headers: HTTPHeaders) -> str | None:
    """Return what is wrong with how a request frames its body (RFC 9112, section 6), None if nothing is."""
    lengths = [part.strip() for value in headers.get_list("Content-Length") for part in value.split(",")]
    if len(set(lengths)) > 1 or not all(re.fullmatch(r"[0-9]+", length) for length in lengths):
        return "The request's Content-Length is not one whole number."
    encodings = headers.get_list("Transfer-Encoding")
    if encodings and lengths:
        return "The request has both Content-Length and Transfer-Encoding."
    if encodings and version == "HTTP/1.0":
        return "The request is HTTP/1.0, which has no Transfer-Encoding."
    if encodings and [encoding.lower() for encoding in encodings] != ["chunked"]:
        return "The request's Transfer-Encoding is not chunked."
    return None
