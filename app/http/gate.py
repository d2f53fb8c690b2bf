"""What a request must be like to reach the application: its framing, its size, and its pace."""

import asyncio
import re
from collections.abc import Awaitable

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)

from app.http.connection import Connection
from app.http.connections import Connections
from app.http.problem import title_of
from app.http.refusals import Refusals
from app.http.request_header import MOST_DIGITS, in_origin_form, waits_to_continue

DISCARDED_BODY = 1024 * 1024
"""Bytes of an oversized body that are read and thrown away, because a client that is still sending would not
see the answer. A larger body is answered at once all the same."""
NO_LIMIT = 2**62
"""The body limit that a transport is given. At its own limit Tornado closes the connection without an answer;
at MAX_BODY_SIZE Gate answers 413."""


class Gate(HTTPMessageDelegate):
    """Passes one request on to the application, unless its framing, size or pace is refused."""

    def __init__(
        self,
        connections: Connections,
        connection: Connection,
        response: HTTPConnection,
        refusals: Refusals,
        application: HTTPMessageDelegate,
    ) -> None:
        self._connections = connections
        self._connection = connection
        self._response = response
        self._refusals = refusals
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
        self._connections.began(self._connection, self._response)
        is_framed = "Content-Length" in headers or "Transfer-Encoding" in headers
        if not is_framed and "Expect" not in headers:
            # Most requests: nothing but the target is left to be looked at.
            return self._pass_on(start_line, headers)
        complaint = framing_complaint(start_line.version, headers)
        if complaint is not None:
            self._refuse(400, complaint)
            return None
        length = headers.get("Content-Length", "0")
        if len(length) > MOST_DIGITS:
            self._refuse(413, "The request's body is larger than any that is taken.")
            return None
        declared = int(length)
        has_body = declared > 0 or "Transfer-Encoding" in headers
        if "Expect" in headers:
            # Written as Tornado looks for it. Other expectations, and those of HTTP/1.0, are ignored.
            if has_body and waits_to_continue(start_line.version, headers):
                headers["Expect"] = "100-continue"
            else:
                del headers["Expect"]
        if has_body:
            seconds = self._connections.policy.settings.body_timeout
            self._connections.awaits_body(self._connection)
            self._deadline = asyncio.get_running_loop().call_later(
                seconds, self._refuse, 408, f"The request's body did not arrive within {seconds:g} seconds."
            )
        if declared > self._limit:
            self._oversized = True
            if "Expect" in headers or declared > DISCARDED_BODY:
                self._refuse_oversized()
            return None
        return self._pass_on(start_line, headers)

    def _pass_on(self, start_line: RequestStartLine, headers: HTTPHeaders) -> Awaitable[None] | None:
        try:
            return self._application.headers_received(in_origin_form(start_line, headers), headers)
        except (HTTPInputError, ValueError):
            # A ValueError: Python makes no number of a port with thousands of digits.
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
        return self._connections.policy.settings.max_body_size

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._connections.has_body(self._connection)

    def _refuse_oversized(self) -> None:
        self._refuse(413, f"The request's body is larger than {self._limit} bytes.")

    def _refuse(self, status: int, detail: str) -> None:
        if self._answered:
            return
        self._answered = True
        self._end_deadline()
        headers, body = self._refusals.answer(
            self._connection, status, detail, self._start_line, self._headers
        )
        self._response.write_headers(ResponseStartLine("", status, title_of(status)), headers, body)
        self._response.finish()


def framing_complaint(version: str, headers: HTTPHeaders) -> str | None:
    """Return what is wrong with how a request frames its body (RFC 9112, section 6), None if nothing is."""
    lengths = headers.get_list("Content-Length")
    if len(lengths) > 1 or not all(re.fullmatch(r"[0-9]+", length) for length in lengths):
        return "The request's Content-Length is not one whole number."
    encodings = headers.get_list("Transfer-Encoding")
    if encodings and lengths:
        return "The request has both Content-Length and Transfer-Encoding."
    if encodings and version == "HTTP/1.0":
        return "The request is HTTP/1.0, which has no Transfer-Encoding."
    if encodings and [encoding.lower() for encoding in encodings] != ["chunked"]:
        return "The request's Transfer-Encoding is not chunked."
    return None
