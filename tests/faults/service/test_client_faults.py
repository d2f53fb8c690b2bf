"""What clients may do, under visitors who mean well."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.service.conftest import StartLine
from tests.faults.service.line import resident
from tests.faults.service.redis_servers import Server
from tests.service import Service, eventually
from tests.visitors import COUNT

pytestmark = pytest.mark.any_product

IDLE_CONNECTIONS = 10_000
VISIT = COUNT.encoded()
ABORTIVE = b"\1\0\0\0\0\0\0\0"
"""SO_LINGER of no seconds: closing sends a reset, not an end."""
MALFORMED = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
    b"GET / HTTP/9.9\r\n\r\n",
    b"G" * 100_000,
    b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
)


def paced(count: int) -> Iterator[int]:
    for number in range(count):
        yield number
        if number % 10 == 0:
            time.sleep(0.01)


def test_slow_clients(start_line: StartLine) -> None:
    """200 connections send one byte of a header every half second."""
    with start_line("200 clients send a byte at a time") as line, ExitStack() as stack:
        slow = [stack.enter_context(line.service.connect()) for _ in range(200)]
        for byte in VISIT[:12]:
            for connection in slow:
                connection.send(bytes([byte]))
            time.sleep(0.5)


def test_clients_that_leave(start_line: StartLine) -> None:
    with start_line("clients reset the connection before the answer") as line:
        end = time.monotonic() + 5
        while time.monotonic() < end:
            with line.service.connect() as connection:
                connection.sendall(VISIT)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORTIVE)
            line.others += 1
            # About 200 a second, so that this is not a test of overload.
            time.sleep(0.005)


def test_pipelining(server: Server, start_line: StartLine) -> None:
    with start_line("50 requests at once on each connection") as line:
        for _ in range(20):
            with line.service.connect() as connection:
                connection.sendall(VISIT * 50)
                line.others += 50
                received = b""
                while received.count(b"HTTP/1.1 200 OK") < 50:
                    piece = connection.recv(65536)
                    assert piece
                    received += piece
    assert int(server.run("GET", "counter")) == len(line.visitors.sent) + 50 * 20


def test_malformed(server: Server, start_line: StartLine) -> None:
    with start_line("malformed requests") as line:
        for _ in range(30):
            for garbage in MALFORMED:
                with line.service.connect() as connection:
                    connection.settimeout(0.05)
                    try:
                        connection.sendall(garbage)
                        connection.recv(4096)
                    except OSError:
                        pass
    assert int(server.run("GET", "counter")) == len(line.visitors.sent)
    assert not any("Traceback" in raw for raw in line.service.raw)


def test_idle_connections(start_line: StartLine) -> None:
    """Twice: what is kept of the first ten thousand would stand beside the second."""
    with start_line("10 000 idle connections, twice") as line:
        before = resident(line.service)
        opened = descriptors(line.service)
        reached = []
        for _ in range(2):
            # About 1000 come and go in a second, so that this is not a test of overload.
            idle = [line.service.connect() for _ in paced(IDLE_CONNECTIONS)]
            line.visitors.await_answers(500)
            with_all = resident(line.service)
            for number in paced(IDLE_CONNECTIONS):
                idle[number].close()
            eventually(lambda: descriptors(line.service) < opened + 10, "all are gone")
            reached.append(max(with_all, resident(line.service)))
    each = (reached[0] - before) * 1024 / IDLE_CONNECTIONS
    assert each < 20, f"{each:.1f} KB for each idle connection"
    assert reached[1] - reached[0] < 3, f"{reached} MB, the first and the second time"


def descriptors(service: Service) -> int:
    return len(list(Path(f"/proc/{service.process.pid}/fd").iterdir()))
