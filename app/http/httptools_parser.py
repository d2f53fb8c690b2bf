"""llhttp (package httptools) as the parser of a connection's requests, one after another.

llhttp cannot pause. But a request can end only at its length or at an empty line (RFC 9112, section 6): it is
fed up to there, and what lies behind waits until the request has its answer.

A header's grammar is checked before, see request_header.py. llhttp gets the fields and the body as they came,
after a first line that says no more than the version.
"""

import re

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from tornado.httputil import HTTPHeaders

from app.http.headers import Headers
from app.http.request_header import MOST_DIGITS

BODY_END = b"\r\n\r\n"
"""What may end a chunked body, its trailers included."""
LENGTH = re.compile(rf"[0-9]{{1,{MOST_DIGITS}}}")
"""A Content-Length that is looked at; others are refused by Gate."""


class RequestParser:
    """Tells a request's fields, and its body's content."""

    def __init__(self, most_overhead: int) -> None:
        self._parser = HttpRequestParser(self)
        self.is_complete = False
        """Whether the request's end was found."""
        self._is_spent = False
        """Whether the parser takes no request after this one. It goes by Proxy-Connection, too."""
        self.headers = HTTPHeaders()
        self._are_headers_complete = False
        self._pieces: list[bytes] = []
        """Of the body's content, as the parser finds them."""
        self._body_left: int | None = None
        """Bytes of a body of known length that are yet to come; None where it is chunked."""
        self._most_overhead = most_overhead
        self._overhead = 0
        """Bytes of a chunked body beyond its content and what small chunks cost: extensions, trailers."""
        self._tail = b""
        """The last ones that were parsed of it; its empty line may have begun in them."""

    def parse_fields(self, version: str, fields: bytes) -> HTTPHeaders:
        """Return the fields of the next request."""
        if self._is_spent:
            self._parser, self._is_spent = HttpRequestParser(self), False
        self.headers, self._are_headers_complete, self.is_complete = Headers(), False, False
        self._overhead, self._tail = 0, b""
        try:
            self._parser.feed_data(b"GET / %b\r\n%b" % (version.encode(), fields))
        except (HttpParserUpgrade, HttpParserError):
            # It found an upgrade, and would see no body now; but HTTP/1.1 is an answer to whoever could speak
            # something else, too (RFC 9110, 7.8). Or it is stricter than that, as with a tab after `chunked`;
            # what is refused for its framing is Gate's to say.
            self.headers = HTTPHeaders.parse(fields.decode("latin-1"))
            self._begin_again()
        self._body_left = self._length()
        return self.headers

    def parse_body(self, unread: bytes) -> tuple[bytes, bytes]:
        """Return what has arrived of the body's content, and what lies behind where the body may end.

        Raises HttpParserError.
        """
        if self._body_left is None:
            taken = self._parse_chunks(unread)
        else:
            taken = min(self._body_left, len(unread))
            self._body_left -= taken
            self._parser.feed_data(unread[:taken])
        if not taken:
            raise HttpParserError("the body has come, and the parser awaits more")
        content = b"".join(self._pieces)
        self._pieces.clear()
        if self._body_left is None:
            # Each byte of content excuses five others: those of a chunk of its own.
            self._overhead += taken - 6 * len(content)
            if self._overhead > self._most_overhead:
                raise HttpParserError(f"more than {self._most_overhead} bytes beside the body's content")
        return content, unread[taken:]

    def _parse_chunks(self, unread: bytes) -> int:
        """Return how many bytes were parsed."""
        # Content may be empty lines and nothing else: the rest is not copied for each.
        known = self._tail + unread
        before = begin = len(self._tail)
        while begin < len(known) and not self.is_complete:
            found = known.find(BODY_END, max(begin + 1 - len(BODY_END), 0))
            end = len(known) if found < 0 else found + len(BODY_END)
            self._parser.feed_data(known[begin:end])
            begin = end
        self._tail = known[max(begin + 1 - len(BODY_END), 0) : begin]
        return begin - before

    def _length(self) -> int | None:
        """Return how many bytes the body has; None where that is not known, or not taken."""
        given = self.headers.get("Content-Length", "")
        is_known = "Transfer-Encoding" not in self.headers and LENGTH.fullmatch(given)
        return int(given) if is_known else None

    def _begin_again(self) -> None:
        """Read a request of which the parser is told no more than how its body is framed."""
        self._parser, self.is_complete = HttpRequestParser(self), False
        self._are_headers_complete = True
        length = self._length()
        framing = b"" if length is None else b"Content-Length: %d\r\n" % length
        if "Transfer-Encoding" in self.headers:
            framing = b"Transfer-Encoding: chunked\r\n"
        self._parser.feed_data(b"GET / HTTP/1.1\r\n%b\r\n" % framing)

    # What llhttp tells

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._are_headers_complete:
            # Trailers: the header was passed on already, and nobody has a use for them but the parser, which
            # takes no other request after `Connection: close` there.
            self._is_spent = True
        else:
            text, content = name.decode("latin-1"), value.decode("latin-1").strip(" \t")
            if text in self.headers:
                self.headers.add(text, content)
            else:
                self.headers[text] = content

    def on_headers_complete(self) -> None:
        self._are_headers_complete = True
        # At a request's end the parser forgets it.
        self._is_spent = not self._parser.should_keep_alive()

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        if self.is_complete:
            raise AssertionError("the parser found a request in what was cut off as the end of another")
        self.is_complete = True
