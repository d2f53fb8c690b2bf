"""What is wrong with a request, or at least seldom seen."""

from collections.abc import Callable
from random import Random

from tests.http.sameness.drafts import (
    SPACES,
    Draft,
    body,
    chunked,
    chunks,
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


def bad_length(new: Draft, random: Random) -> None:
    new.body = new.body or b"12345"
    size = len(new.body)
    forms = [
        b"+%d",
        b"-%d",
        b"0x%x",
        b"%d_0",
        b"%d 0",
        b"%d.0",
        b"%d,%d",
        b"%d, %d",
        b"%d;",
        b'"%d"',
        b"",
        b",%d",
        b"\xb2",
        b"99999999999999999999%d",
        b"%d" + b"0" * 5000,
        b"0" * 4990 + b"%d",
        b"4611686018427387905",
        b"9223372036854775808",
        b"1048577",
        b"5%d",
        b"\x0b%d",
        b"%d\x00",
        b"  %d\t ",
        b"\t%d",
    ]
    form = random.choice(forms)
    parts = form.split(b"%")
    value = form % ((size,) * (len(parts) - 1))
    new.fields = [line for line in new.fields if not line.startswith(b"Content-Length")]
    new.add(b"Content-Length:" + random.choice(SPACES) + value, random)


def two_lengths(new: Draft, random: Random) -> None:
    size = len(new.body)
    for other in (size, random.choice([size, size, 0, size + 1])):
        new.add(random.choice([b"Content-Length", b"content-length"]) + b": %d" % other, random)


def length_and_chunked(new: Draft, random: Random) -> None:
    new.body = chunks(b"abc", random)
    new.add(b"Content-Length: %d" % random.choice([len(new.body), 3, 0]), random)
    new.add(b"Transfer-Encoding: chunked", random)


def bad_coding(new: Draft, random: Random) -> None:
    new.fields = [line for line in new.fields if not line.startswith(b"Content-Length")]
    new.body = chunks(b"abc", random)
    values = random.choice(
        [
            [b"chunked", b"chunked"],
            [b"gzip", b"chunked"],
            [b"chunked", b"identity"],
            [b"gzip, chunked"],
            [b"chunked, gzip"],
            [b"xchunked"],
            [b"chunkedx"],
            [b"chunked;a=b"],
            [b"identity"],
            [b""],
            [b",chunked"],
            [b"chunked,"],
            [b"\x0bchunked"],
            [b'"chunked"'],
            [b"chunked chunked"],
            [b"chunked\xa0"],
            [b"  chunked\t"],
            [b"\tCHUNKED "],
        ]
    )
    for value in values:
        new.add(b"Transfer-Encoding:" + random.choice(SPACES) + value, random)


def bad_chunk_line(new: Draft, random: Random) -> None:
    chunked(new, random)
    sizes = [
        b"5;a",
        b"5;a=b",
        b'5;a="b c"',
        b'5;a="\\""',
        b'5;a="',
        b"5;a;b=c",
        b"5;",
        b"5;=b",
        b"5;a=",
        b"5 ",
        b" 5",
        b"5 ;a",
        b"5; a",
        b"5;a =b",
        b"5;a= b",
        b"5\t",
        b"0x5",
        b"+5",
        b"-5",
        b"5_",
        b"",
        b"g",
        b"5\x00",
        b"5\r",
        b"5;a\n",
        b"5;a\x00",
        b"5;a\rb",
        b"5;\xff",
        b"5;a=b;;c",
        b"0" * 62 + b"5",
        b"0" * 100 + b"5",
        b"5;" + b"a" * 200,
        b"f" * 15,
        b"f" * 16,
        b"1" + b"0" * 16,
        b"4000000000000000",
        b"\x35\xb2",
        b"5,5",
        b"100000",
    ]
    line = random.choice(sizes)
    ends = [b"\r\n"] * 8 + [b"\n", b"\r", b"\r\r\n", b"\n\r\n"]
    rest = random.choice(
        [b"0\r\n\r\n"] * 6 + [b"0;a=b\r\n\r\n", b"0\n\n", b"0\r\n\n", b"0\r\r\n\r\n", b"0 \r\n\r\n"]
    )
    new.body = line + random.choice(ends) + b"abcde" + random.choice(ends) + rest


def trailers(new: Draft, random: Random) -> None:
    chunked(new, random)
    lines = [
        b"X: a",
        b"X:",
        b"Content-Length: 5",
        b"Transfer-Encoding: chunked",
        b"Host: other",
        b"Connection: close",
        b"Upgrade: h2c",
        b"X : a",
        b" X: a",
        b"no colon",
        b": empty",
        b"X: a\nY: b",
        b"X: a\rY: b",
        b"X: \x00",
        b"X: \xff",
    ]
    chosen = [random.choice(lines) for _ in range(random.randint(1, 2))]
    new.body = new.body.removesuffix(b"\r\n") + b"\r\n".join([*chosen, b"", b""])


def bad_end(new: Draft, random: Random) -> None:
    """A body that is too short, or too long, or ends in something else."""
    if not new.body:
        body(new, random)
    extra = random.choice([b"X", b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"0\r\n\r\n", b"", b"\x00"])
    keep = random.choice([len(new.body), len(new.body) - 1, len(new.body) - 2, len(new.body) // 2])
    new.body = new.body[: max(keep, 0)] + extra


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
