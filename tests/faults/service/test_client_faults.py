"""What clients may do, under visitors who mean well."""

import itertools
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.faults.service.clients import LAST_VISIT, MALFORMED, VISIT, send_and_forget
from tests.faults.service.conftest import StartLine
from tests.faults.service.evidence import Evidence, refusals, requests
from tests.faults.service.line import resident
from tests.faults.service.processes import descriptors
from tests.service import Service, eventually, parse_answers
from tests.visitors import PAGE, Visit

pytestmark = pytest.mark.any_product

IDLE_CONNECTIONS = 10_000
LONGEST_ANSWER = 2
"""Seconds, as REQUEST_TIMEOUT: nobody who means well waits so long for what others do."""
ABORTIVE = b"\1\0\0\0\0\0\0\0"
"""SO_LINGER of no seconds: closing sends a reset, not an end."""


def paced(count: int) -> Iterator[int]:
    for number in range(count):
        yield number
        if number % 10 == 0:
            time.sleep(0.01)


def test_slow_clients(start_line: StartLine) -> None:
    """200 connections send one byte of a header every half second."""
    name = "200 clients send a byte at a time"
    with start_line(name, REQUEST_TIMEOUT=LONGEST_ANSWER) as line, ExitStack() as stack:
        before = descriptors(line.service.process.pid)
        slow = [stack.enter_context(line.service.connect()) for _ in range(200 if line.is_on else 0)]
        for byte in VISIT[:12]:
            for connection in slow:
                connection.send(bytes([byte]))
            line.lasts(0.5)
        line.struck("connections held", descriptors(line.service.process.pid) - before, least=190)


def test_clients_that_leave(start_line: StartLine) -> None:
    """They post and the visitors do not, so the service's own count tells how many of them were counted."""
    name = "clients reset the connection before the answer"
    with start_line(name, requests=[PAGE], REQUEST_TIMEOUT=LONGEST_ANSWER) as line:
        line.others = lambda: requests(line.service, method="POST", status="200")
        line.watch(Evidence("visits whose visitor had left", line.others), least=100)
        line.do(come_and_leave, line.service)


def come_and_leave(service: Service) -> None:
    end = time.monotonic() + 5
    # Before the request is read, while it waits for its batch, and in between.
    for patience in itertools.cycle([0, 0.0005, 0.001, 0.002]):
        with service.connect() as connection:
            connection.sendall(VISIT)
            time.sleep(patience)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORTIVE)
        if time.monotonic() > end:
            return
        # About 200 a second, so that this is not a test of overload.
        time.sleep(0.004)


def test_pipelining(start_line: StartLine) -> None:
    name = "50 requests at once on each connection"
    with start_line(name, REQUEST_TIMEOUT=LONGEST_ANSWER) as line:
        for _ in range(20):
            line.known += line.do(visits_at_once, line.service, 50) or []
        line.struck("requests sent with others", len(line.known), least=20 * 50)


def visits_at_once(service: Service, count: int) -> list[Visit]:
    began = time.monotonic()
    received = service.raw_exchange(VISIT * (count - 1) + LAST_VISIT)
    ended = time.monotonic()
    return [Visit(began, ended, answer.status, answer.json["counter"]) for answer in parse_answers(received)]


def test_malformed(start_line: StartLine) -> None:
    with start_line("malformed requests", REQUEST_TIMEOUT=LONGEST_ANSWER) as line:
        line.watch(refusals(line.service), least=30 * len(MALFORMED) // 2)
        for _ in range(30):
            for garbage in MALFORMED:
                line.do(send_and_forget, line.service, garbage)
    assert not any("Traceback" in raw for raw in line.service.raw)


def test_idle_connections(start_line: StartLine) -> None:
    """Three times: what is kept of each ten thousand would stand beside the next. How much room Python keeps
    differs from the first to the second by some megabytes, either way."""
    settings = {"REQUEST_TIMEOUT": LONGEST_ANSWER, "MAX_CONNECTIONS": IDLE_CONNECTIONS + 1000}
    with start_line("10 000 idle connections, three times", **settings) as line:
        process = line.service.process.pid
        before = resident(line.service)
        opened = descriptors(process)
        reached = []
        for _ in range(3):
            # About 1000 come and go in a second, so that this is not a test of overload.
            idle = [line.service.connect() for _ in paced(IDLE_CONNECTIONS if line.is_on else 0)]
            line.visitors.await_answers(500)
            with_all = resident(line.service)
            line.struck("connections held", descriptors(process) - opened, least=IDLE_CONNECTIONS - 100)
            for number in paced(len(idle)):
                idle[number].close()
            eventually(lambda: descriptors(process) < opened + 10, "all are gone")
            reached.append(max(with_all, resident(line.service)))
    each = (reached[0] - before) * 1024 / IDLE_CONNECTIONS
    assert each < 20, f"{each:.1f} KB for each idle connection"
    assert reached[2] - max(reached[:2]) < 3, f"{reached} MB, the first, the second and the third time"
