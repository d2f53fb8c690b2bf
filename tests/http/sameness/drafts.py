"""Valid requests, the odd ones among them, before they are bytes."""

from dataclasses import dataclass, field
from random import Random

from tests.http.sameness.exchange import MOST_BODY

METHODS = [b"GET", b"GET", b"GET", b"POST", b"POST", b"PUT", b"HEAD", b"DELETE", b"OPTIONS", b"PATCH"]
ODD_METHODS = [
    b"get",
    b"BREW",
    b"M-SEARCH",
    b"PRI",
    b"SOURCE",
    b"TRACE",
    b"!#$%&'*+.^_`|~",
    b"G",
    b"GET" * 20,
]
TARGETS = [b"/", b"/a/b?c=d&e", b"/%ff%00", b"//", b"/?", b"/a;b=c,d", b"/" + b"x" * 100, b"/?a=%zz&&=;"]
ODD_TARGETS = [
    b"/\xff\xfe",
    b"/a#b",
    b'/"<>\\^`{|}',
    b"http://example.org/x?y",
    b"HTTP://example.org",
    b"https://[::1]:8/?",
    b"http://example.org?q",
    b"http://a:80//b",
]
HOSTS = [
    b"localhost",
    b"localhost:8000",
    b"[::1]:80",
    b"192.0.2.1",
    b"a%20b",
    b"",
    b"A.Example",
    b"a:",
    b":80",
]
NAMES = [b"Accept", b"x-a", b"X-B", b"USER-AGENT", b"Cookie", b"!#$%&'*+.^_`|~", b"a--b", b"Proxy-Connection"]
VALUES = [
    b"",
    b"a",
    b"a, b",
    b"a \t b",
    b'"q"',
    b"\xe4\xff",
    b"close",
    b"keep-alive",
    b"a:b",
    b"x" * 90,
    b";=",
]
SPACES = [b" ", b" ", b" ", b"", b"\t", b"  ", b" \t "]
CONNECTIONS = [
    [b"close"],
    [b"keep-alive"],
    [b"Close"],
    [b"close, x"],
    [b"x,close"],
    [b"x", b"close"],
    [b"keep-alive, close"],
    [b"keep-alive", b"keep-alive"],
    [b"Keep-Alive , x"],
    [b""],
    [b",, close ,"],
    [b"closed"],
    [b"x-close"],
    [b'"close"'],
    [b"keep-alive-not"],
    [b"close;q=0"],
    [b"te"],
    [b"transfer-encoding"],
]
EXPECTATIONS = [
    b"100-continue",
    b"100-Continue",
    b"100-continue, x",
    b"x",
    b"",
    b"200-ok",
    b'100-continue="1"',
]
UPGRADES = [b"h2c", b"websocket", b"HTTP/2.0, x", b"", b"TLS/1.0"]


@dataclass
class Draft:
    """A request before it is bytes."""

    method: bytes = b"GET"
    target: bytes = b"/"
    version: bytes = b"HTTP/1.1"
    fields: list[bytes] = field(default_factory=list)
    body: bytes = b""
    before: bytes = b""
    raw: bytes | None = None
    """Instead of all this."""

    def encoded(self) -> bytes:
        if self.raw is not None:
            return self.raw
        line = b" ".join((self.method, self.target, self.version))
        return self.before + b"\r\n".join([line, *self.fields, b"", self.body])

    def add(self, line: bytes, random: Random) -> None:
        self.fields.insert(random.randint(0, len(self.fields)), line)


def draft(random: Random) -> Draft:
    """A valid request."""
    new = Draft(random.choice(METHODS), random.choice(TARGETS))
    chance = random.random()
    if chance < 0.08:
        new.method = random.choice(ODD_METHODS)
    elif chance < 0.12:
        new.method, new.target = b"CONNECT", random.choice([b"a:443", b"/", b"[::1]:1", b"*", b"a"])
    elif chance < 0.15:
        new.method, new.target = b"OPTIONS", b"*"
    elif chance < 0.25:
        new.target = random.choice(ODD_TARGETS)
    host = random.choice(HOSTS) if random.random() < 0.2 else b"localhost"
    new.fields.append(b"Host: " + host)
    for _ in range(random.choices((0, 1, 3), (4, 4, 1))[0]):
        spaces = random.choice(SPACES), random.choice(SPACES)
        new.add(b"%b:%b%b%b" % (random.choice(NAMES), spaces[0], random.choice(VALUES), spaces[1]), random)
    if random.random() < 0.35:
        body(new, random)
    for part, share in ((connection, 0.12), (expect, 0.08), (upgrade, 0.06), (old_version, 0.1)):
        if random.random() < share:
            part(new, random)
    if random.random() < 0.06:
        new.before = b"\r\n" * random.randint(1, 5)
    return new


def connection(new: Draft, random: Random) -> None:
    for value in random.choice(CONNECTIONS):
        new.add(b"Connection: " + value, random)


def expect(new: Draft, random: Random) -> None:
    new.add(b"Expect: " + random.choice(EXPECTATIONS[:2] * 4 + EXPECTATIONS), random)


def upgrade(new: Draft, random: Random) -> None:
    new.add(b"Upgrade: " + random.choice(UPGRADES), random)
    if random.random() < 0.7:
        new.add(random.choice([b"Connection: Upgrade", b"connection: x, upgrade, HTTP2-Settings"]), random)


def old_version(new: Draft, random: Random) -> None:
    new.version = b"HTTP/1.0"
    if random.random() < 0.5:
        new.add(b"Connection: " + random.choice([b"keep-alive", b"Keep-Alive", b"x, keep-alive"]), random)
    if random.random() < 0.3:
        new.fields = [line for line in new.fields if not line.startswith(b"Host:")]


def body(new: Draft, random: Random) -> None:
    if random.random() < 0.5:
        sized(new, random)
    else:
        chunked(new, random)


def content(random: Random) -> bytes:
    size = random.choices((0, 1, random.randint(2, 40), MOST_BODY, MOST_BODY + 1), (2, 2, 20, 1, 1))[0]
    filling = random.choice((b"abc", b"0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\n\n\r", b"\x00\xff"))
    return (filling * (size // len(filling) + 1))[:size]


def sized(new: Draft, random: Random) -> None:
    new.body = content(random)
    zeros = b"0" * random.choices((0, 1, 15, 16), (20, 1, 1, 1))[0]
    new.add(b"Content-Length: %b%d" % (zeros, len(new.body)), random)


def chunked(new: Draft, random: Random) -> None:
    new.add(b"Transfer-Encoding: " + random.choice([b"chunked"] * 6 + [b"Chunked", b"CHUNKED"]), random)
    new.body = chunks(content(random), random)


def chunks(whole: bytes, random: Random) -> bytes:
    pieces = []
    while whole:
        size = random.randint(1, len(whole))
        pieces.append(chunk_size(size, random) + b"\r\n" + whole[:size] + b"\r\n")
        whole = whole[size:]
    return b"".join([*pieces, random.choice([b"0"] * 8 + [b"00", b"0" * 16]), b"\r\n\r\n"])


def chunk_size(size: int, random: Random) -> bytes:
    forms = [b"%x", b"%x", b"%x", b"%x", b"%X", b"0%x", b"0000%X"]
    return random.choice(forms) % size
