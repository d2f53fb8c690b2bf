"""What a request's header must be like (RFC 9112, sections 2 to 5), and what it says of its target and its
connection: the same whatever parses the rest."""

import re

from tornado.httputil import HTTPHeaders, HTTPInputError, RequestStartLine

NO_REQUEST = "The request is not valid HTTP/1.1."
HEADER_END = re.compile(rb"\n\r?\n")
"""What ends a header; one with a bare LF is refused, but not waited for in vain."""
EMPTY_LINES = b"\r\n\r\n"
"""What looks like a header of its own, but is none of the request that follows (section 2.2)."""
REQUEST_LINE = re.compile(
    rb"(?:\r\n)?([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^\x00-\x20\x7f]+) HTTP/(?:(1\.[01])|[0-9]\.[0-9])\r\n"
)
"""Its target may hold more than the characters of a URI: so do those that browsers and curl send."""
FIELDS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[^\x00-\x08\x0a-\x1f\x7f]*+\r\n)*+\r\n")
"""No bare LF or CR: where two differ in whether it ends a line, one sees another request. The same goes for
what is folded, or has a space before the colon."""
MOST_DIGITS = 19
"""Of a Content-Length that is looked at: so many has NO_LIMIT of Gate. A longer one is refused."""
ABSOLUTE = re.compile(r"https?://([^/?]*)(.*)", re.IGNORECASE)
HOST = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+;=:\[\]-]|%[0-9A-Fa-f]{2})*")
"""As Tornado has it, see HTTPServerRequest."""


class InvalidRequest(Exception):
    """What arrived is no request that is served; the message is for its client."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def parse_request_line(header: bytes) -> tuple[RequestStartLine, bytes]:
    """Return the first line of a request's header, and the lines after it, which are well-formed. Raises
    InvalidRequest."""
    found = REQUEST_LINE.match(header)
    if found is None:
        raise InvalidRequest(400, NO_REQUEST)
    method, target, version = found.groups()
    if version is None:
        raise InvalidRequest(505, "The request is neither HTTP/1.1 nor HTTP/1.0.")
    if not FIELDS.fullmatch(header, found.end()):
        raise InvalidRequest(400, NO_REQUEST)
    line = RequestStartLine(method.decode(), target.decode("latin-1"), f"HTTP/{version.decode()}")
    return line, header[found.end() :]


def too_large(header: bytes, most: int) -> tuple[int, str]:
    """Return the status and the reason for which a header is refused that has more than `most` bytes."""
    status, what = (431, "headers are") if b"\n" in header[:most].lstrip(b"\r\n") else (414, "target is")
    return status, f"The request's {what} larger than {most} bytes."


def persists(version: str, headers: HTTPHeaders) -> bool:
    """Tell whether a client would go on with its connection after a request (RFC 9112, section 9.3)."""
    if "Connection" not in headers:
        return version == "HTTP/1.1"
    options = {option.strip(" \t").lower() for option in headers["Connection"].split(",")}
    return "close" not in options and (version == "HTTP/1.1" or "keep-alive" in options)


def waits_to_continue(version: str, headers: HTTPHeaders) -> bool:
    """Tell whether a client may wait to be told so before it sends a body (RFC 9110, section 10.1.1)."""
    return version == "HTTP/1.1" and headers.get("Expect", "").lower() == "100-continue"


def in_origin_form(line: RequestStartLine, headers: HTTPHeaders) -> RequestStartLine:
    """Return the line with its target as a path, whatever the form that it came in (RFC 9112, section 3.2).

    An absolute target says which host is meant, whatever Host says. Raises HTTPInputError.
    """
    target = line.path
    if target.startswith("/"):
        return line
    if found := ABSOLUTE.fullmatch(target):
        authority, path = found.groups()
        hosts = headers.get_list("Host")
        # A Host that is missing, or there twice, or not valid is refused for that; HTTP/1.0 needs none.
        is_known = len(hosts) == 1 or (not hosts and line.version == "HTTP/1.0")
        # What else is wrong with the authority HTTPServerRequest refuses, as with any Host.
        names_host = authority[:1] not in {"", ":"} and "@" not in authority
        if is_known and names_host and all(map(HOST.fullmatch, hosts)):
            headers["Host"] = authority
            return line._replace(path=path if path.startswith("/") else f"/{path}")
    # For CONNECT a host with a port, for OPTIONS a star; what else is no path is no target.
    elif line.method == "CONNECT" or (line.method == "OPTIONS" and target == "*"):
        return line
    raise HTTPInputError(f"Invalid target: {target!r}")
