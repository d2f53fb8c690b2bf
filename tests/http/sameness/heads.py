"""The oracle's reading of a request's header: RFC 9112, sections 2 to 5, and RFC 9110, section 5."""

import re
from dataclasses import dataclass
from enum import Enum

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
METHOD = re.compile(TOKEN)
VERSION = re.compile(rb"HTTP/[0-9]\.[0-9]")
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*((?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)[ \t]*")
TARGET = re.compile(rb"[!-~\x80-\xff]+")
ABSOLUTE = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?]*)(.*)")
HOST = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+;=:\[\]]|%[0-9A-Fa-f]{2})*")
LONG_PORT = re.compile(rb".+:[0-9]{4301,}")


class Interim(Enum):
    """Whether a 100 comes."""

    NONE, MAY, MUST = range(3)


@dataclass
class Head:
    """A header that is well-formed."""

    method: bytes
    target: bytes
    version: bytes
    fields: list[tuple[str, bytes]]

    def values(self, name: str) -> list[bytes]:
        return [value for known, value in self.fields if known == name]

    def options(self, name: str) -> set[bytes]:
        return {option.strip(b" \t").lower() for value in self.values(name) for option in value.split(b",")}

    @property
    def is_1_1(self) -> bool:
        return self.version == b"HTTP/1.1"

    @property
    def length(self) -> int:
        return int((self.values("Content-Length") or [b"0"])[0])

    @property
    def expects(self) -> bool:
        has_body = self.values("Transfer-Encoding") or self.length
        return self.is_1_1 and bool(has_body) and b",".join(self.values("Expect")).lower() == b"100-continue"

    def interim(self, has_begun: bool) -> Interim:
        if not self.expects:
            return Interim.NONE
        return Interim.MAY if has_begun else Interim.MUST

    @property
    def persists(self) -> bool:
        options = self.options("Connection")
        return b"close" not in options and (self.is_1_1 or b"keep-alive" in options)


class Faulty(Exception):
    """A request is to be refused, with one of these statuses."""

    def __init__(self, *statuses: int) -> None:
        super().__init__(statuses)
        self.statuses = frozenset(statuses)


def parse_head(header: bytes) -> Head:
    """Parse a header, its empty line included. Raises Faulty."""
    lines = header.removeprefix(b"\r\n").split(b"\n")
    faults = set()
    if not all(line.endswith(b"\r") and b"\r" not in line[:-1] for line in lines[:-1]):
        faults.add(400)
    first, *rest = [line.removesuffix(b"\r") for line in lines[:-2]] or [b""]
    parts = first.split(b" ")
    if len(parts) != 3:
        raise Faulty(400)
    method, target, version = parts
    if not (METHOD.fullmatch(method) and TARGET.fullmatch(target) and VERSION.fullmatch(version)):
        raise Faulty(400)
    if version not in {b"HTTP/1.1", b"HTTP/1.0"}:
        faults.add(505)
    fields = []
    for line in rest:
        found = FIELD.fullmatch(line)
        if found:
            fields.append((capitalized(found[1].decode()), found[2]))
        else:
            faults.add(400)
    if faults:
        raise Faulty(*faults)
    return Head(method, target, version, fields)


def capitalized(name: str) -> str:
    """As Tornado tells an application."""
    return "-".join(word.capitalize() for word in name.split("-"))


def origin_form(head: Head) -> dict[str, object]:
    """Return what an application is told of a request, but its body. Raises Faulty."""
    target, hosts = head.target, head.values("Host")
    if (head.is_1_1 and not hosts) or len(hosts) > 1 or not all(map(HOST.fullmatch, hosts)):
        raise Faulty(400)
    if not target.startswith(b"/"):
        if found := ABSOLUTE.fullmatch(target):
            authority, path = found.groups()
            if not HOST.fullmatch(authority) or authority[:1] in {b"", b":"}:
                raise Faulty(400)
            hosts = [authority]
            target = path if path.startswith(b"/") else b"/" + path
        elif head.method != b"CONNECT" and (head.method, target) != (b"OPTIONS", b"*"):
            raise Faulty(400)
    if LONG_PORT.fullmatch((hosts or [b""])[0]):
        raise Faulty(400)
    fields = [(name, value) for name, value in head.fields if name not in {"Host", "Expect"}]
    fields += [("Host", host) for host in hosts]
    if head.expects:
        fields.append(("Expect", b"100-continue"))
    return {
        "method": head.method.decode(),
        "uri": target.decode("latin-1"),
        "host": (hosts or [b"127.0.0.1"])[0].decode("latin-1"),
        "version": head.version.decode(),
        "fields": sorted([name, value.decode("latin-1")] for name, value in fields),
    }
