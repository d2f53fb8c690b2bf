"""The first line of a request (RFC 9112, section 3), the same whatever parses the rest."""

import re

from tornado.httputil import HTTPHeaders, HTTPInputError, RequestStartLine

NO_REQUEST = "The request is not valid HTTP/1.1."
REQUEST_LINE = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^\x00-\x20\x7f]+) HTTP/(?:(1\.[01])|[0-9]\.[0-9])\r\n"
)
"""Its target may hold more than the characters of a URI: so do those that browsers and curl send."""
ABSOLUTE = re.compile(r"https?://([^/?]+)(.*)", re.IGNORECASE)


class InvalidRequest(Exception):
    """What arrived is no request that is served; the message is for its client."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def parse_request_line(header: bytes) -> tuple[RequestStartLine, bytes]:
    """Return the first line of a request's header, and the lines after it. Raises InvalidRequest."""
    found = REQUEST_LINE.match(header)
    # A recipient may take a bare LF for a line's end, and where two differ in that, one sees another request.
    if found is None or header.count(b"\n") != header.count(b"\r\n"):
        raise InvalidRequest(400, NO_REQUEST)
    method, target, version = found.groups()
    if version is None:
        raise InvalidRequest(505, "The request is neither HTTP/1.1 nor HTTP/1.0.")
    line = RequestStartLine(method.decode(), target.decode("latin-1"), f"HTTP/{version.decode()}")
    return line, header[found.end() :]


def too_large(header: bytes, most: int) -> tuple[int, str]:
    """Return the status and the reason for which a header is refused that has more than `most` bytes."""
    status, what = (431, "headers are") if b"\n" in header[:most] else (414, "target is")
    return status, f"The request's {what} larger than {most} bytes."


def in_origin_form(line: RequestStartLine, headers: HTTPHeaders) -> RequestStartLine:
    """Return the line with its target as a path, whatever the form that it came in (RFC 9112, section 3.2).

    An absolute target says which host is meant, whatever Host says. Raises HTTPInputError.
    """
    target = line.path
    if target.startswith("/"):
        return line
    if found := ABSOLUTE.fullmatch(target):
        authority, path = found.groups()
        # A Host that is missing, or there twice, is refused for that.
        if len(headers.get_list("Host")) == 1 and "@" not in authority:
            headers["Host"] = authority
            return line._replace(path=path if path.startswith("/") else f"/{path}")
    # For CONNECT a host with a port, for OPTIONS a star; what else is no path is no target.
    elif line.method == "CONNECT" or (line.method == "OPTIONS" and target == "*"):
        return line
    raise HTTPInputError(f"Invalid target: {target!r}")
