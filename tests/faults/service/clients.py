"""What clients send who mean no good, or know no better."""

from tests.service import Service
from tests.visitors import COUNT

VISIT = COUNT.encoded()
LAST_VISIT = VISIT.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
MALFORMED = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
    b"GET / HTTP/9.9\r\n\r\n",
    b"G" * 100_000,
    b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
)


def send_and_forget(service: Service, message: bytes) -> None:
    with service.connect() as connection:
        connection.settimeout(0.05)
        try:
            connection.sendall(message)
            connection.recv(4096)
        except OSError:
            pass
