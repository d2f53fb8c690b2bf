"""llhttp's parser of HTTP/1.1 (package httptools) as a transport, on asyncio's own streams of bytes.

A header is collected until its empty line, and only then parsed, as Tornado's is: what is refused does not
depend on how the bytes were cut on their way.

A client that closes its sending side has left: what it asked for may be done, and it may get no answer.
"""

import asyncio
import functools
import re
import socket
from collections.abc import Awaitable, Callable

from httptools import HttpParserError
from tornado.httputil import HTTPMessageDelegate
from tornado.web import Application

from app.http.client_socket import has_arrived
from app.http.connections import Connections
from app.http.gate import Gate
from app.http.httptools_parser import RequestParser
from app.http.httptools_response import HttptoolsResponse
from app.http.httptools_sending import Sending
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

READ_AHEAD = 64 * 1024
"""Bytes of further requests that are taken from a client who does not wait for its answers, if no header may
be longer."""
PARSED_AT_ONCE = 16 * 1024
"""Bytes of a body that are parsed in one turn of the loop: in the smallest chunks each takes 0.5 µs."""
LEADING_EMPTY_LINES = re.compile(rb"\A(?:%b)++" % EMPTY_LINES)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class HttptoolsHTTP1:
    """Serves connections that a listener has accepted."""

    def __init__(self, application: Application, connections: Connections, refusals: Refusals) -> None:
        self.application = application
        self.connections = connections
        self.refusals = refusals
        self._opening: set[asyncio.Task[object]] = set()

    def open(self, accepted: socket.socket, peer: str) -> None:
        # The loop would do that only some turns later, and until then a look at what has arrived would wait.
        accepted.setblocking(False)
        stream = ClientStream(accepted, peer, self)
        if not self.connections.opened(stream.connection):
            accepted.close()
            return
        loop = asyncio.get_running_loop()
        opening = loop.create_task(loop.connect_accepted_socket(lambda: stream, accepted))
        # The loop itself keeps no task alive.
        self._opening.add(opening)
        opening.add_done_callback(functools.partial(self._opened, stream, accepted))

    def _opened(
        self, stream: "ClientStream", accepted: socket.socket, opening: "asyncio.Task[object]"
    ) -> None:
        self._opening.discard(opening)
        if opening.cancelled() or opening.exception() is not None:
            stream.connection_lost(None)
            accepted.close()


class ClientStream(Sending):
    """What one client sends, request by request. It is the Wire of its connection."""

    def __init__(self, accepted: socket.socket, peer: str, server: HttptoolsHTTP1) -> None:
        super().__init__(accepted, peer, server.connections)
        self.connection.wire = self
        self._server = server
        most_header = server.connections.policy.settings.max_header_size
        self._parser = RequestParser(most_header)
        self._most_unread = max(READ_AHEAD, most_header)
        self._unread = b""
        """What has arrived and was not parsed."""
        self._looked_through = 0
        """Bytes of it in which no header ends."""
        self._is_paused = False
        self._reads_on_soon = False
        """Whether what has arrived is read in the loop's next turn: other clients go first."""
        self._going_on: asyncio.Task[None] | None = None
        """Nothing is read until it ends: the client rests, or a handler has yet to take a part of a body."""
        self._writer: HttptoolsResponse | None = None
        """For the request that is arriving or was not answered yet; None between requests."""
        self._request: HTTPMessageDelegate | None = None
        """Whom a request is passed on to while it arrives."""

    # What the event loop tells

    def data_received(self, data: bytes) -> None:
        self._unread = self._unread + data if self._unread else data
        self._read()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._unread = b""
        if self._going_on is not None:
            self._going_on.cancel()
        request, self._request = self._request, None
        writer, self._writer = self._writer, None
        self.connections.closed(self.connection)
        if request is not None:
            request.on_connection_close()
        elif writer is not None:
            writer.left()

    # What a response tells

    def is_arriving(self, writer: HttptoolsResponse) -> bool:
        return self._writer is writer and not self._parser.is_complete

    def answered(self, writer: HttptoolsResponse) -> None:
        if self._writer is not writer:
            return
        self._writer = None
        self.connections.flushed(self.connection, writer)
        if self._unread:
            self._read_soon()

    def _read_soon(self) -> None:
        self._reads_on_soon = True
        asyncio.get_running_loop().call_soon(self._read_on)

    def _read_on(self) -> None:
        self._reads_on_soon = False
        self._read()

    # Requests, one after another

    def _read(self) -> None:
        try:
            while self._unread and self._may_read() and self._take_next():
                pass
        except BaseException:
            # The request in the middle of which that was raised would be in flight for ever.
            self.abort()
            raise
        if self._is_paused is (len(self._unread) > self._most_unread) or self._transport is None:
            return
        self._is_paused = not self._is_paused
        if self._is_paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _may_read(self) -> bool:
        return not self._reads_on_soon and self._going_on is None and not self.is_closing()

    def _take_next(self) -> bool:
        """Take a part of what has arrived; tell whether there was one whose turn it is."""
        if self._request is not None:
            self._read_body()
            return True
        return self._writer is None and self._read_header()

    def _read_header(self) -> bool:
        unread = self._unread
        most = self.connections.policy.settings.max_header_size
        found = HEADER_END.search(unread, max(self._looked_through - 2, 0))
        end = len(unread) if found is None else found.end()
        if end > most:
            self._refuse(*too_large(unread, most))
            return False
        self._looked_through = 0 if found else end
        if found is None:
            return False
        header = unread[:end]
        if header == EMPTY_LINES:
            # All of them at once: one by one, a read full of them would hold the loop for long.
            self._unread = LEADING_EMPTY_LINES.sub(b"", unread, count=1)
            return True
        self._unread = unread[end:]
        admission = self.connections.policy.admission
        if admission.rests(self.connection):
            self._go_on_after(admission.rest(self.connection), functools.partial(self._begin, header))
        else:
            self._begin(header)
        return True

    def _begin(self, header: bytes) -> None:
        """Pass a request on, of which this is the whole header."""
        try:
            line, fields = parse_request_line(header)
        except InvalidRequest as invalid:
            self._refuse(invalid.status, str(invalid))
            return
        headers = self._parser.parse_fields(line.version, fields)
        writer = self._writer = HttptoolsResponse(self, line, persists(line.version, headers))
        application = self._server.application.start_request(self, writer)
        request = Gate(self.connections, self.connection, writer, self._server.refusals, application)
        self._request = request
        waiting = request.headers_received(line, headers)
        if waiting is not None:
            self._go_on_after(waiting, self._begin_body)
        else:
            self._begin_body()

    def _begin_body(self) -> None:
        if self._parser.is_complete:
            self._end_request()
        elif (
            self._writer is not None
            and not self._unread
            and self._writer.is_to_continue(self._parser.headers)
        ):
            self.send(CONTINUE)

    def _read_body(self) -> None:
        try:
            arrived, later = self._unread[:PARSED_AT_ONCE], self._unread[PARSED_AT_ONCE:]
            content, left = self._parser.parse_body(arrived)
            self._unread = left + later
        except HttpParserError:
            self._refuse_body()
            return
        waiting = self._request.data_received(content) if content and self._request is not None else None
        if waiting is not None:
            self._go_on_after(waiting, self._after_content)
        else:
            self._after_content()
        if later and self._request is not None and not self._reads_on_soon:
            self._read_soon()

    def _after_content(self) -> None:
        if self._parser.is_complete:
            self._end_request()

    def _end_request(self) -> None:
        request, self._request = self._request, None
        if request is not None:
            request.finish()

    def _go_on_after(self, waiting: Awaitable[None], then: Callable[[], None]) -> None:
        async def go_on() -> None:
            await waiting
            self._going_on = None
            # Closed meanwhile, it is lost in this turn, or in the next.
            if not self.is_closing():
                then()
                self._read()

        self._going_on = asyncio.ensure_future(go_on())
        self._going_on.add_done_callback(self._end_after_failure)

    def _end_after_failure(self, ended: "asyncio.Task[None]") -> None:
        if not ended.cancelled() and ended.exception() is not None:
            self.abort()
            ended.result()

    # What is no request

    def _refuse(self, status: int, detail: str) -> None:
        self._unread = b""
        self.send(self._server.refusals.encoded(self.connection, status, detail))
        self.close()

    def _refuse_body(self) -> None:
        request, self._request = self._request, None
        is_begun = self._writer is not None and self._writer.is_begun
        if request is not None:
            request.on_connection_close()
        if is_begun or self.connection.is_last:
            self.close()
        else:
            self._refuse(400, NO_REQUEST)

    # What Connections asks

    def is_quiet(self) -> bool:
        return self._writer is None and self._going_on is None and not self.has_unread()

    def has_unread(self) -> bool:
        return not self.is_closing() and has_arrived(self._unread, self._socket)
