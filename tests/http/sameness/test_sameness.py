"""10⁴ streams: both transports and RFC 9112 agree; and a transport that is broken on purpose is found."""

import re
import secrets

import pytest
from httptools import HttpRequestParser
from tornado.httputil import RequestStartLine

from app.http.request_header import parse_request_line
from tests.http.sameness.running import run

SEED = 9112
MANY = 10_000


@pytest.mark.parametrize("seed", [SEED, secrets.randbelow(2**32)], ids=["known", "fresh"])
def test_both_transports_do_what_rfc_9112_asks_for(seed: int) -> None:
    done = run(range(MANY // 2), seed)
    assert not done.differences, "\n".join(done.differences)
    # Or nothing was compared.
    assert done.streams == MANY // 2
    assert done.answers[200] > 2 * MANY // 2
    assert min(done.answers[status] for status in (400, 413, 414, 431, 505)) > 0
    assert {status for status in done.answers if status >= 500} == {505}


def test_a_gate_that_takes_every_framing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.http.gate.framing_complaint", lambda *_: None)
    assert run(range(MANY), SEED, most_differences=1).differences


def test_a_transport_that_takes_a_bare_lf_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def lenient(header: bytes) -> tuple[RequestStartLine, bytes]:
        return parse_request_line(re.sub(rb"\r?\n", b"\r\n", header))

    monkeypatch.setattr("app.http.tornado_http1.parse_request_line", lenient)
    (difference,) = run(range(MANY), SEED, most_differences=1).differences
    assert ": tornado: " in difference


def test_a_transport_that_takes_a_bare_lf_in_chunks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def lenient(protocol: object) -> HttpRequestParser:
        parser = HttpRequestParser(protocol)
        parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True)
        return parser

    monkeypatch.setattr("app.http.httptools_parser.HttpRequestParser", lenient)
    (difference,) = run(range(MANY), SEED, most_differences=1).differences
    assert ": httptools: " in difference


def test_a_transport_that_keeps_every_connection_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.http.httptools_http1.persists", lambda *_: True)
    (difference,) = run(range(MANY), SEED, most_differences=1).differences
    assert ": httptools: " in difference
