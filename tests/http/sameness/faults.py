"""What is wrong with a request, or at least seldom seen."""

from collections.abc import Callable
from random import Random

from tests.http.sameness.body_faults import (
    bad_chunk_line,
    bad_coding,
    bad_end,
    bad_length,
    length_and_chunked,
    trailers,
    two_lengths,
)
from tests.http.sameness.drafts import (
    Draft,
    body,
    connection,
    expect,
    old_version,
    upgrade,
)
from tests.http.sameness.exchange import MOST_HEADER

CONTROLS = [bytes([code]) for code in (*range(0x20), 0x7F) if code != 0x09]


def one_of(lines: list[bytes]) -> Callable[[Draft, Random], None]:
    """One of these lines more."""
    return lambda new, random: new.add(random.choice(lines), random)


def line_end(new: Draft, random: Random) -> None:
    """Another end for one line of the header."""
    header, _, rest = new.encoded().partition(b"\r\n\r\n")
    lines = header.split(b"\r\n")
    ends = [b"\r\n"] * (len(lines) - 1) + [b"\r\n\r\n"]
    where = random.randrange(len(ends))
    ends[where] = random.choice(
        [b"\n", b"\r", b"\r\r\n", b"\n\r\n", b"\r\n ", b"\r\n\t", b"\r\n \r\n", b"\n\n", b"\r\n\n", b" \r\n"]
    )
    new.raw = b"".join(line + end for line, end in zip(lines, ends, strict=True)) + rest


def odd_line(new: Draft, random: Random) -> None:
    control = random.choice(CONTROLS)
    lines = [
        b"no colon",
        b":",
        b": empty",
        b"A : b",
        b"A\t: b",
        b" A: b",
        b"\tA: b",
        b"A: b\r\n folded",
        b"A(b): c",
        b"A b: c",
        b"\xe4: b",
        b"A" + control + b": b",
        b"A: b" + control + b"c",
        b"A: " + control,
        b"A:" + control + b"b",
        b"A: b" + control,
        b"Content-Length : 5",
        b"Transfer-Encoding : chunked",
        b" Transfer-Encoding: chunked",
        b"Transfer-Encoding:\r\n chunked",
        b"Content_Length: 5",
        b"\x00Content-Length: 5",
        b"",
    ]
    new.add(random.choice(lines), random)


def bad_host(new: Draft, random: Random) -> None:
    hosts = [
        b"a b",
        b"a,b",
        b"<a>",
        b"a/b",
        b"a@b",
        b"a%zz",
        b"\xff",
        b"a?b",
        b"a#b",
        b"a:x",
        b"a:b:c",
        b"a:" + b"9" * 5000,
    ]
    if random.random() < 0.3:
        new.add(b"Host: " + random.choice([b"localhost", b"other", *hosts]), random)
        return
    new.fields = [line for line in new.fields if not line.startswith(b"Host:")]
    if random.random() < 0.7:
        new.add(b"Host: " + random.choice(hosts), random)


def bad_line(new: Draft, random: Random) -> None:
    control = random.choice([*CONTROLS, b" ", b"\t"])
    part = random.randrange(4)
    if part == 0:
        new.method = random.choice([b"", b"G(T", b"\xff", b"G" + control + b"T", control + b"GET", b"GET "])
    elif part == 1:
        new.target = random.choice(
            [
                b"",
                b"*",
                b"a",
                b"a:80",
                b"/ ",
                b" /",
                b"/a b",
                b"/" + control,
                b"?",
                b"#",
                b"ftp://a/",
                b"http:/a",
                b"http:///a",
                b"http://",
                b"http://:80/",
                b"http://u@a/",
                b"http://u:p@a:1/",
                b"http://a b/",
                b"http://a,b/",
                b"http://a/\xff",
                b"http://[/",
                b"http://a#b",
                b"http://<a>/",
                b"urn:a",
                b"//a/b",
            ]
        )
    elif part == 2:
        new.version = random.choice(
            [
                b"",
                b"HTTP/2.0",
                b"HTTP/1.2",
                b"HTTP/0.9",
                b"http/1.1",
                b"HTTP/1.10",
                b"HTTP/11",
                b"HTTP/1.1 ",
                b"HTTP/1,1",
                b"ICE/1.0",
                b"HTTP/1.1" + control,
                b"HTTP/ 1.1",
                b"HTTP/01.1",
                b"HTTP/1.1x",
                b"RTSP/1.0",
            ]
        )
    else:
        new.raw = random.choice(
            [
                b"GARBAGE\r\n\r\n",
                b"GET /\r\n\r\n",
                b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                b"GET / HTTP/1.1\r\n",
                b"GET",
                b"\r\n\r\n\r\n",
                b"\n",
                b"\r",
                b"\n\n",
                b"\r\n\n",
                b"\x00",
                b"GET / HTTP/1.1",
            ]
        )


def before(new: Draft, random: Random) -> None:
    new.before = b"".join(
        random.choice([b"\r\n", b"\r\n", b"\n", b"\r", b" "]) for _ in range(random.randint(1, 5))
    )


def at_the_limit(new: Draft, random: Random) -> None:
    """As large a header as is taken, one byte less, one more."""
    size = MOST_HEADER + random.choice([-3, -2, -1, 0, 0, 1, 2, 100])
    if random.random() < 0.3:
        new.target += b"?"
    now = len(new.encoded()) - len(new.body)
    if new.target.endswith(b"?"):
        new.target += b"x" * (size - now)
    else:
        new.add(b"X-L: " + b"x" * (size - now - 7), random)


def without_end(new: Draft, random: Random) -> None:
    encoded = new.encoded()
    new.raw = encoded[: random.randrange(len(encoded))]


def none(_: Draft, __: Random) -> None:
    """None."""


FAULTS: list[Callable[[Draft, Random], None]] = [
    connection,
    expect,
    upgrade,
    old_version,
    body,
    bad_length,
    bad_length,
    two_lengths,
    length_and_chunked,
    bad_coding,
    bad_coding,
    bad_chunk_line,
    bad_chunk_line,
    trailers,
    bad_end,
    bad_end,
    line_end,
    line_end,
    odd_line,
    odd_line,
    bad_host,
    bad_line,
    bad_line,
    before,
    at_the_limit,
    without_end,
    one_of([b"X-Request-ID: a", b"X-Request-ID: a b", b"X-Forwarded-For: \xff, 1", b"Content-Type: a/b"]),
    one_of([b"Transfer-Encoding: chunked", b"Content-Length: 5", b"Content-Length: 0", b"TE: trailers"]),
    none,
]
