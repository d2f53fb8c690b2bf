"""What a response's header says, the same whatever transport writes it (RFC 9110, 9112)."""

from http import HTTPStatus

from tornado.httputil import HTTPHeaders, ResponseStartLine

BODILESS = frozenset({*range(100, 200), HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


def encoded_header(start_line: ResponseStartLine, headers: HTTPHeaders) -> bytes:
    """Encode a response's header. Raises ValueError for a line that would be two."""
    lines = [f"HTTP/1.1 {start_line.code} {start_line.reason}\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in headers.get_all()]
    text = "".join(lines)
    if text.count("\n") != len(lines) or text.count("\r") != len(lines):
        raise ValueError(f"Illegal characters (CR or LF) in the header {text!r}")
    return text.encode("latin-1") + b"\r\n"
