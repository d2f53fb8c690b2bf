"""What a server must make of a stream of bytes, written from RFC 9112 and RFC 9110 and from no parser.

Where they leave a choice, or this service departs from them, it is one of DECISIONS.
"""

import re
from dataclasses import dataclass, field
from enum import Enum

from tests.http.sameness.heads import FIELD, TOKEN, Faulty, Head, Interim, origin_form, parse_head

DECISIONS = {
    "empty lines": "Any number of CRLF before a request is skipped (9112, 2.2: at least one should be).",
    "bare LF": "A line ends in CRLF alone; a header with a bare LF is refused (2.2: it may be taken).",
    "bare CR": "A CR that is not before LF is refused (2.2: refused, or taken for a space).",
    "several faults": "A request with several faults is refused for any of them.",
    "spaces": "One space between the parts of the first line (3: more may be taken).",
    "target": "It may hold any byte but controls, space and DEL, as browsers send them; # is not looked for.",
    "version": "Versions but 1.1 and 1.0 are refused with 505, HTTP/1.2, too (9110, 2.5: as 1.1).",
    "folding": "A folded line, and space before the first field, are refused (2.2, 5.2: or else replaced).",
    "controls": "Controls but a tab in a value are refused (9110, 5.5: NUL, CR and LF must, others may).",
    "host": "It may hold colons and brackets anywhere, and no comma; its port has 4300 digits at most.",
    "userinfo": "An absolute target with userinfo is refused (9110, 4.2.4), and one without a host (4.2.1).",
    "schemes": "An absolute target is one of http or https.",
    "authority": "A target of CONNECT is not looked into: nothing here is a tunnel.",
    "lengths": "Two lengths are refused even if they are equal (6.3: may be taken as one).",
    "long lengths": "A length of more than 19 digits is 413, leading zeros or not.",
    "length and chunked": "Refused (6.1: may be refused, or taken for chunked).",
    "codings": "Transfer-Encoding but one `chunked` is refused, with 400 (6.1: 501 for unknown codings).",
    "HTTP/1.0 and chunked": "Refused (6.1: treated as faulty).",
    "too large": "A header over the limit is 431, its first line 414; a body over its limit is 413.",
    "chunk space": "White space in a chunk's first line is refused (7.1.1: to be removed).",
    "extensions": "Those that are not as 7.1.1 has them are ignored, or the request is refused.",
    "trailers": "Ignored; a request with a length or a coding there may be refused (9110, 6.5.1).",
    "expectations": "Those but 100-continue are ignored (9110, 10.1.1: may be 417).",
    "interim": "100 is sent if nothing of the body has arrived; it may be if some has (10.1.1).",
    "keep-alive": "HTTP/1.0 clients that ask for it keep their connection (9.3: as the server wishes).",
    "refused": "What is refused is the last request of its connection.",
    "upgrade": "Upgrade is ignored (9110, 7.8).",
    "noticed late": "A fault of a body's framing is noticed at its first byte, or with the line or more.",
}
LONGEST_LENGTH = 19
DISCARDED = 1024 * 1024
QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
HEADER_END = re.compile(rb"\n\r?\n")
DIGITS = re.compile(rb"[0-9]+")
CHUNK = re.compile(rb"([0-9A-Fa-f]+)((?:;[\t -~\x80-\xff]*)?)")
EXTENSIONS = re.compile(rb"(?:;" + TOKEN + rb"(?:=(?:" + TOKEN + rb"|" + QUOTED + rb"))?)*")
CHUNK_BEGUN = re.compile(rb"[0-9A-Fa-f]{0,16}|[0-9A-Fa-f]{1,16}\r")


class End(Enum):
    """How it stands with the connection after all that was sent."""

    OPEN = "open"
    CLOSED = "closed"
    WAITING = "waiting"


@dataclass(frozen=True)
class Due:
    """The answer to one request."""

    statuses: frozenset[int]
    echo: dict[str, object] | None
    closes: bool
    interim: Interim = Interim.NONE


@dataclass
class Expected:
    """What comes back for a whole stream."""

    answers: list[Due] = field(default_factory=list)
    end: End = End.OPEN
    may_refuse: frozenset[int] = frozenset()
    """Instead of waiting."""
    interim: Interim = Interim.NONE
    """While it waits."""
    beyond: int | None = None
    """The first request whose chunks have what Tornado's parser does not take."""
    odd: int | None = None
    """The first request whose extensions or trailers are not as they should be, and may be refused."""


@dataclass
class Body:
    """What was found of one."""

    content: bytes
    end: int | None
    """None: it is incomplete."""
    is_faulty: bool = False
    may_be_refused: bool = False
    is_beyond: bool = False
    is_odd: bool = False


class Reader:
    """Reads one stream."""

    def __init__(self, stream: bytes, most_header: int, most_body: int) -> None:
        self.stream = stream
        self.most_header = most_header
        self.most_body = most_body
        self.expected = Expected()

    def read(self) -> Expected:
        position = 0
        while self.expected.end is End.OPEN:
            while self.stream.startswith(b"\r\n\r\n", position):
                position += 4
            found = HEADER_END.search(self.stream, position)
            if not found and not self.stream[position:].strip(b"\r\n"):
                break
            position = self.read_request(position, found.end() if found else None)
        return self.expected

    def read_request(self, start: int, end: int | None) -> int:
        """Read a request; return where the next may begin."""
        if (end or len(self.stream)) - start > self.most_header:
            first = self.stream[start : start + self.most_header].lstrip(b"\r\n")
            return self.refuse({431 if b"\n" in first else 414})
        if end is None:
            return self.wait()
        try:
            head = parse_head(self.stream[start:end])
            self.check_framing(head)
        except Faulty as faulty:
            return self.refuse(faulty.statuses)
        return self.read_body(head, end)

    def check_framing(self, head: Head) -> None:
        lengths, codings = head.values("Content-Length"), head.values("Transfer-Encoding")
        if len(lengths) > 1 or not all(map(DIGITS.fullmatch, lengths)):
            raise Faulty(400)
        if codings and (lengths or not head.is_1_1 or [coding.lower() for coding in codings] != [b"chunked"]):
            raise Faulty(400)
        if lengths and len(lengths[0]) > LONGEST_LENGTH:
            raise Faulty(413)

    def read_body(self, head: Head, start: int) -> int:
        is_chunked, length = bool(head.values("Transfer-Encoding")), head.length
        try:
            faults, echo = set[int](), origin_form(head)
        except Faulty as faulty:
            faults, echo = set(faulty.statuses), {}
        if length > self.most_body:
            faults.add(413)
        if faults and (length <= self.most_body or head.expects or length > DISCARDED):
            return self.refuse(faults)
        body = self.chunked(start) if is_chunked else self.sized(start, length)
        if body.is_beyond and self.expected.beyond is None:
            self.expected.beyond = len(self.expected.answers)
        if body.is_odd and self.expected.odd is None:
            self.expected.odd = len(self.expected.answers)
        if len(body.content) > self.most_body:
            faults.add(413)
        interim = head.interim(len(self.stream) > start)
        if body.is_faulty:
            return self.refuse({*faults, 400}, interim)
        if body.end is None:
            return self.wait(faults - {413} | ({400} if body.may_be_refused else set()), interim)
        if faults:
            return self.refuse(faults, interim)
        echo["body"] = body.content.decode("latin-1")
        return self.answer(echo, head, interim, body.end)

    def sized(self, start: int, length: int) -> Body:
        end = start + length
        return Body(self.stream[start:end], end if end <= len(self.stream) else None)

    def chunked(self, position: int) -> Body:
        body = Body(b"", None)
        while True:
            line, after = self.line(position)
            if line is None:
                begun = self.stream[position:]
                body.may_be_refused |= not CHUNK_BEGUN.fullmatch(begun)
                body.is_beyond |= b";" in begun or len(begun) > 60
                return body
            found = CHUNK.fullmatch(line)
            if not found:
                # A line with a bare LF may be read on to its CRLF.
                body.is_faulty = b"\r\n" in self.stream[position:]
                body.may_be_refused = True
                return body
            body.is_beyond |= bool(found[2]) or len(line) > 60
            body.is_odd |= not EXTENSIONS.fullmatch(found[2])
            size = int(found[1], 16)
            if size >= 2**62:
                # Nothing that long arrives: refused as soon as it is seen, or never complete.
                body.is_beyond = body.may_be_refused = True
            if not size:
                return self.trailers(body, after)
            end = after + size
            body.content += self.stream[after:end]
            closing = self.stream[end : end + 2]
            if closing != b"\r\n":
                body.is_faulty = len(closing) == 2
                body.may_be_refused |= closing not in {b"", b"\r"}
                return body
            position = end + 2

    def trailers(self, body: Body, position: int) -> Body:
        while True:
            line, after = self.line(position)
            if line is None:
                rest = self.stream[position:]
                body.may_be_refused |= rest not in {b"", b"\r"}
                body.is_beyond |= rest not in {b"", b"\r"}
                return body
            if not line:
                body.end = after
                return body
            body.is_beyond = True
            body.is_odd |= line.partition(b":")[0].lower() in {b"content-length", b"transfer-encoding"}
            if not FIELD.fullmatch(line):
                body.is_faulty = b"\r\n\r\n" in self.stream[position - 2 :]
                body.may_be_refused = True
                return body
            position = after

    def line(self, position: int) -> tuple[bytes | None, int]:
        """A line without its end, and where the next begins; no line if it has not ended. What has a bare LF
        ends with it."""
        end = self.stream.find(b"\n", position)
        if end < 0:
            return None, position
        line = self.stream[position : end + 1]
        return line.removesuffix(b"\r\n"), end + 1

    # What becomes of the connection

    def refuse(self, statuses: "set[int] | frozenset[int]", interim: Interim = Interim.NONE) -> int:
        self.expected.answers.append(Due(frozenset(statuses), None, True, interim))
        self.expected.end = End.CLOSED
        return 0

    def wait(self, may_refuse: "set[int] | None" = None, interim: Interim = Interim.NONE) -> int:
        self.expected.end, self.expected.interim = End.WAITING, interim
        self.expected.may_refuse = frozenset(may_refuse or ())
        return 0

    def answer(self, echo: dict[str, object], head: Head, interim: Interim, end: int) -> int:
        self.expected.answers.append(Due(frozenset({200}), echo, not head.persists, interim))
        if not head.persists:
            self.expected.end = End.CLOSED
        return end


def expected_of(stream: bytes, most_header: int, most_body: int) -> Expected:
    """Return what must come back for a stream, under these limits."""
    return Reader(stream, most_header, most_body).read()
