"""Tornado's HTTP/1.1 server with our limits; answers with a problem where stock Tornado sends a bare 400.

The seams: `HTTPServer.start_request` and `on_close` (see tornado.httputil.HTTPServerConnectionDelegate) see
every request between its header and its flushed response. What the parser itself refuses never reaches a
delegate; it passes through `IOStream.write` and `IOStream.close`, so a subclass of the stream answers there.
"""

import asyncio
import contextlib
import re
import resource
import socket
import time
from collections.abc import Awaitable
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
"""Bytes of an oversized body that are read and thrown away: a client that still sends misses the answer."""
NO_LIMIT = 2**62
"""The body limit that Tornado gets: ours answers, Tornado's closes."""
SPARE_DESCRIPTORS = 64
"""Not for visitors: what the process needs to listen, to log and to reach Redis again."""
TURNS_TO_PARSE = 10
"""Turns of the loop, at most, from a request's bytes in the kernel to its header in a delegate's hands."""
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
        self._held: dict[object, HTTPConnection] = {}
        self._idle: dict[object, HTTP1ServerConnection] = {}
        """Connections without a request, those that are so for longest first."""
        self.keep_alive_ended = asyncio.Event()
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most_connections = max(1, descriptors - SPARE_DESCRIPTORS)

    def end_keep_alive(self) -> None:
        """From now on every response that has not begun says that it closes its connection, and does."""
        self.conn_params.no_keep_alive = True
        for request_conn in self._held.values():
            assert isinstance(request_conn, HTTP1Connection)  # noqa: S101 - what HTTPServer makes
            # Tornado decided when it read the request's header.
            if request_conn._response_start_line is None:
                request_conn._disconnect_on_finish = True
        self.keep_alive_ended.set()

    def stop(self) -> None:
        """Take in who has connected already, then stop listening: closing resets whoever is queued."""
        for listener in self._sockets.values():
            with contextlib.suppress(OSError):
                while True:
                    self._handle_connection(*listener.accept())
        super().stop()

    async def has_request_at_hand(self) -> bool:
        """Tell whether a request is in flight, or arrives within some turns of the loop.

        Bytes that nobody has read yet, or that the parser has not come to, are a request as well: to close
        their connection would cut it off.
        """
        for _ in range(TURNS_TO_PARSE):
            await asyncio.sleep(0)
            if self.policy.in_flight or any(_has_unread(idle.stream.socket) for idle in self._idle.values()):
                return True
        return False

    async def close_all_connections(self) -> None:
        """Close them in one turn of the loop, so that none reads a request while another one is closed."""
        for server_conn in list(self._idle.values()):
            server_conn.stream.close()
        await super().close_all_connections()

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        # Whoever waits for nothing makes room, so that a probe gets in whatever clients hold open.
        if len(self._connections) >= self._most_connections:
            if not self._idle:
                stream.close()
                return
            self._idle.pop(next(iter(self._idle))).stream.close()
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
        self._idle[server_conn] = server_conn
        return LimitedRequest(
            self, server_conn, request_conn, super().start_request(server_conn, request_conn)
        )

    def on_close(self, server_conn: object) -> None:
        self._release(server_conn)
        self._idle.pop(server_conn, None)
        super().on_close(server_conn)

    def hold(self, server_conn: object, request_conn: HTTPConnection) -> None:
        """Count a request in until the next one starts on its connection, or the connection is closed."""
        self._idle.pop(server_conn, None)
        self._held[server_conn] = request_conn
        self.policy.in_flight.hold(request_conn)

    def _release(self, server_conn: object) -> None:
        request_conn = self._held.pop(server_conn, None)
        if request_conn is not None:
            self.policy.in_flight.release(request_conn)

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
        client = peer if headers is None else self.policy.client_address(peer, headers)
        method = start_line.method if start_line else "other"
        self.telemetry.record(
            request_id=request_id,
            method=method,
            route=REFUSED,
            path=start_line.path.partition("?")[0] if start_line else "",
            status=status,
            seconds=0.0,
            client=client,
            user_agent=headers.get("User-Agent", "") if headers is not None else "",
        )
        return answer, b"" if method == "HEAD" else body


class AnsweringStream(IOStream):
    """The stream of one connection; gives what Tornado's parser refuses a problem body."""

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


class LimitedRequest(HTTPMessageDelegate):
    """Passes one request on to the application, unless its framing, size or pace is refused."""

    def __init__(
        self,
        transport: Transport,
        server_conn: object,
        connection: HTTPConnection,
        application: HTTPMessageDelegate,
    ) -> None:
        self._transport = transport
        self._server_conn = server_conn
        self._connection = connection
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
        self._transport.hold(self._server_conn, self._connection)
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
        start_line = ResponseStartLine("", status, title_of(status))
        flushed = self._connection.write_headers(start_line, headers, body)
        self._connection.finish()
        # Tornado closes by itself only what it has not read to the end.
        flushed.add_done_callback(lambda _: stream.close())


def _has_unread(connected: socket.socket) -> bool:
    try:
        return bool(connected.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False


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
