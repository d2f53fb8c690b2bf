"""The visitors of every suite: what they send, and what they say of a server that does not do its duty."""

import itertools
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.service import eventually
from tests.visitors import BROKEN, COUNT, HUNG, READ, UNREACHED, Visit, Visitors


def answer(status: str, body: str = "", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", body]
    return "\r\n".join(lines).encode()


@contextmanager
def server(answers: Callable[[bytes], bytes | None]) -> Iterator[str]:
    """Yield the address of a server; `answers` returns what it sends for a request, None to end without."""

    class Conversation(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            request = b""
            while line := self.rfile.readline():
                request += line
                if line == b"\r\n":
                    sent = answers(request)
                    if sent is None:
                        return
                    self.wfile.write(sent)
                    request = b""

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Conversation) as listener:
        listener.daemon_threads = True
        threading.Thread(target=listener.serve_forever, args=[0.02], daemon=True).start()
        yield f"127.0.0.1:{listener.server_address[1]}"
        listener.shutdown()


def first_of(address: str, patience: float = 5.0) -> Visit:
    """Send one visitor; return the first visit."""
    with Visitors(address, count=1, pause=0.1, patience=patience) as visitors:
        eventually(lambda: bool(visitors.visits), "a visit")
    return visitors.visits[0]


def test_half_of_them_post() -> None:
    heard: list[bytes] = []

    def note(request: bytes) -> bytes:
        heard.append(request)
        return answer("200 OK", '{"counter": 7}')

    with server(note) as address, Visitors(address, host="visits.example", count=4) as visitors:
        visitors.await_answers(40)
    for line in (b"GET / HTTP/1.1", b"POST /api/v1/counter HTTP/1.1"):
        assert sum(request.startswith(line) for request in heard) > len(heard) / 4, line
    assert all(b"\r\nHost: visits.example\r\n" in request for request in heard)
    assert {visit.number for visit in visitors.visits} == {7}
    assert not visitors.failures


def test_they_send_what_they_are_told_to() -> None:
    with server(lambda request: answer("200 OK") if request.startswith(b"GET /api/") else None) as address:
        with Visitors(address, count=3, requests=[READ]) as readers:
            readers.await_answers(10)
    assert set(readers.statuses()) == {200}


@pytest.mark.parametrize(
    ("sent", "status", "retry_after"),
    [
        (answer("500 Internal Server Error"), 500, False),
        (answer("503 Service Unavailable", "", "Retry-After: 1"), 503, True),
        (answer("503 Service Unavailable"), 503, False),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", 502, False),
        (None, BROKEN, False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nha", HUNG, False),
        (b"", HUNG, False),
    ],
)
def test_what_they_remember(sent: bytes | None, status: int, *, retry_after: bool) -> None:
    with server(lambda _: sent) as address:
        visit = first_of(address, patience=0.2)
    assert (visit.status, visit.retry_after) == (status, retry_after)
    assert (visit.seconds >= 0.2) == (status == HUNG)


def test_nobody_listens() -> None:
    with server(lambda _: None) as address:
        pass
    assert first_of(address).status == UNREACHED


def test_a_visitor_who_cannot_understand_an_answer_is_heard_of() -> None:
    with server(lambda _: b"nonsense\r\n\r\n") as address, pytest.raises(AssertionError, match="nonsense"):
        with Visitors(address, requests=[COUNT], count=1):
            eventually(threading.Event().is_set, "never", seconds=0.3)


def test_they_come_at_their_pace_however_fast_the_answers() -> None:
    with server(lambda _: answer("200 OK")) as address, Visitors(address, count=2, every=0.1) as visitors:
        visitors.await_answers(8)
    for method in ["GET", "POST"]:
        began = [visit.began for visit in visitors.visits if visit.method == method]
        assert all(after - before >= 0.1 for before, after in itertools.pairwise(began))
