"""What is wrong with how a request frames its body."""

from random import Random

from tests.http.sameness.drafts import SPACES, Draft, body, chunked, chunks


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
