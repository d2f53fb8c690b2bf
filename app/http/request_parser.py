"""llhttp's parser of HTTP/1.1 (package httptools), fed so that it never reads beyond a request.

It cannot pause. But a request can end only at its length or at an empty line (RFC 9112, section 6): it is fed
up to there, and what lies behind waits until the request has its answer.
"""

import re

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from tornado.httputil import HTTPHeaders

BODY_END = b"\r\n\r\n"
"""What may end a chunked body, its trailers included."""
SMALLEST_CHUNK = 6
"""Bytes of a chunk that holds one, with its length and its ends."""
UPGRADE = re.compile(rb"^upgrade[ \t]*:.*\r\n", re.IGNORECASE | re.MULTILINE)


class RequestParser:
    """Parses one request after another, each from `begin` on; HttpParserError says that it is none."""

    def __init__(self, most_overhead: int) -> None:
        """A chunked body may have so many bytes beyond its content and what small chunks cost: extensions and
        trailers, which nobody here reads."""
        self.headers = HTTPHeaders()
        self.persists = False
        """Whether the client would send another request on this connection."""
        self.is_complete = False
        """Whether the end of the request was found."""
        self._most_overhead = most_overhead
        self._overhead = 0
        self._parser = HttpRequestParser(self)
        self._is_in_body = False
        self._pieces: list[bytes] = []
        self._left: int | None = None
        """Bytes of a body of known length that are yet to come; None where it is chunked."""
        self._tail = b""
        """The last bytes that were parsed of a chunked body; its empty line may have begun in them."""

    def begin(self, version: str, fields: bytes) -> None:
        """Parse the lines of a header after its first."""
        self._begin_anew()
        # Of the first line, which was read before, the parser needs the version only.
        header = b"GET / %b\r\n%b" % (version.encode(), fields)
        try:
            self._parser.feed_data(header)
        except HttpParserUpgrade:
            # It would see no body now. HTTP/1.1 is an answer to whoever could speak something else, too
            # (RFC 9110, 7.8).
            self._parser = HttpRequestParser(self)
            self._begin_anew()
            self._parser.feed_data(UPGRADE.sub(b"", header))
        length = self.headers.get("Content-Length")
        self._left = None if length is None else int(length)
        self._is_in_body = True

    def take_body(self, arrived: bytes) -> tuple[list[bytes], bytes]:
        """Parse a part of the body; return its pieces, and what is left for later: the next request."""
        end = self._end_in(arrived)
        self._parser.feed_data(arrived[:end])
        pieces, self._pieces = self._pieces, []
        if self._left is None:
            self._overhead += end - SMALLEST_CHUNK * sum(map(len, pieces))
            if self._overhead > self._most_overhead:
                raise HttpParserError("too much beside the content of the chunks")
        return pieces, arrived[end:]

    def on_header(self, name: bytes, value: bytes) -> None:
        # Others are trailers.
        if not self._is_in_body:
            text, content = name.decode("latin-1"), value.decode("latin-1")
            if text in self.headers:
                self.headers.add(text, content)
            else:
                self.headers[text] = content

    def on_headers_complete(self) -> None:
        # At the end of a request the parser forgets it.
        self.persists = self._parser.should_keep_alive()

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        if self.is_complete:
            raise AssertionError("a request was found in what was cut off as the end of another")
        self.is_complete = True

    def _begin_anew(self) -> None:
        self.headers, self.is_complete, self._is_in_body = HTTPHeaders(), False, False
        self._overhead, self._tail = 0, b""

    def _end_in(self, arrived: bytes) -> int:
        """Return up to where the bytes are parsed next."""
        if self._left is not None:
            end = min(self._left, len(arrived))
            self._left -= end
            return end
        found = (self._tail + arrived).find(BODY_END)
        end = len(arrived) if found < 0 else found + len(BODY_END) - len(self._tail)
        self._tail = (self._tail + arrived[:end])[1 - len(BODY_END) :]
        return end
