"""Requests as bytes, and what comes back."""

from collections.abc import Callable

from tests.service import Answer, Service, parse_answers

Counted = Callable[[], str | None]

HOST = b"Host: localhost\r\n"
LIMIT = 16 * 1024
"""MAX_BODY_SIZE and MAX_HEADER_SIZE, unless a test says otherwise."""


def only_answer(data: bytes) -> Answer:
    answers = parse_answers(data)
    assert len(answers) == 1, data
    return answers[0]


def assert_problem(answer: Answer, status: int) -> None:
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["request_id"] == answer.headers["X-Request-ID"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in answer.headers


def exchange(service: Service, *pieces: bytes) -> list[Answer]:
    """Send requests, and one more that closes; return the answers but for its own."""
    last = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    *answers, end = parse_answers(service.raw_exchange(*pieces, last))
    assert end.body == b"ok\n"
    return answers
