"""Bad input over raw sockets: a 4xx with a problem where one can be sent, never a 500, nothing counted."""

import re
from email.utils import parsedate_to_datetime

import pytest

from app.http.gate import DISCARDED_BODY
from dev.valkey import free_port
from tests.conftest import StartService, ValkeyServer
from tests.http.raw_requests import HOST, LIMIT, Counted, assert_problem, only_answer
from tests.service import Service

pytestmark = pytest.mark.usefixtures("each_transport")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"SOURCE / ICE/1.0\r\n" + HOST + b"\r\n", 400),
        (b"GET / HTTP/1.1\n" + HOST + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
        (b"GET nowhere HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET http://user@localhost/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET http://localhost/ HTTP/1.1\r\n\r\n", 400),
        # Host must be valid whatever the target says.
        (b"GET http://localhost/ HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET http://:80/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"CONNECT http:// HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        # More digits than Python makes a number of.
        (b"GET / HTTP/1.1\r\nHost: a:" + b"9" * 5000 + b"\r\n\r\n", 400),
        (b"\nGET / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"\r\n\nGET / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"\rGET / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\rC: d\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / x HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b" folded: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: \x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: <script>\r\n\r\n", 400),
        (b"POST /api/v1/counter HTTP/1.1\r\n" + HOST + b"Content-Length: x\r\n\r\n", 400),
        (b"POST /api/v1/counter HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400),
        (b"POST /api/v1/counter HTTP/1.1\r\n" + HOST + b"Content-Length: 1, 2\r\n\r\nab", 400),
        (b"POST /api/v1/counter HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 413),
        (
            b"POST /api/v1/counter HTTP/1.1\r\n"
            + HOST
            + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"POST /api/v1/counter HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n", 400),
        (
            b"POST /api/v1/counter HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"0" * 30 + b"5\r\n\r\nabcde",
            413,
        ),
        # Whoever speaks HTTP/1.0 knows nothing of it: it may be a proxy's mistake (RFC 9112, section 6.1).
        (
            b"POST /api/v1/counter HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"POST /api/v1/counter HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (
            b"POST /api/v1/counter HTTP/1.1\r\n"
            + HOST
            + b"Transfer-Encoding: chunked\r\n\r\n"
            + b"1" * 100
            + b"\r\n",
            400,
        ),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * LIMIT + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 40 * LIMIT, 431),
        (b"GET /" + b"a" * LIMIT + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X-Request-ID: " + b"a" * LIMIT + b"\r\n\r\n", 431),
        (b"A" * 3 * LIMIT, 414),
    ],
)
def test_malformed_requests_get_a_problem_and_count_nothing(
    service: Service, counted: Counted, request_bytes: bytes, status: int
) -> None:
    answer = only_answer(service.raw_exchange(request_bytes))
    assert_problem(answer, status)
    assert parsedate_to_datetime(answer.headers["Date"]).tzinfo is not None
    assert counted() is None
    assert service.get("/healthz").body == b"ok\n"


@pytest.mark.parametrize("size", [LIMIT + 1, 10 * LIMIT, 1024 * 1024 + 1, 5 * 1024 * 1024])
@pytest.mark.parametrize("chunked", [False, True])
def test_an_oversized_body_is_413(service: Service, counted: Counted, size: int, chunked: bool) -> None:
    head = b"POST /api/v1/counter HTTP/1.1\r\n" + HOST + b"X-Request-ID: big-1\r\n"
    if chunked:
        head += b"Transfer-Encoding: chunked\r\n\r\n"
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (size, b"a" * size)
    else:
        head += b"Content-Length: %d\r\n\r\n" % size
        body = b"a" * size
    data = service.raw_exchange(head, body)
    # A client that goes on sending past what is discarded may be reset before it reads.
    if size <= 1024 * 1024 or data:
        answer = only_answer(data)
        assert_problem(answer, 413)
        assert answer.headers["X-Request-ID"] == "big-1"
    assert counted() is None
    service.line("request", status=413, request_id="big-1", route="refused")


def test_an_oversized_body_without_an_end_is_not_waited_for(service: Service, counted: Counted) -> None:
    """It is a 413 as soon as no more of it is read, not a 408 later."""
    head = b"POST /api/v1/counter HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    begun = b"%x\r\n" % (2 * DISCARDED_BODY) + b"a" * (DISCARDED_BODY + 1)
    assert_problem(only_answer(service.raw_exchange(head, begun)), 413)
    assert counted() is None


def test_a_body_of_exactly_the_limit_reaches_the_handler(service: Service) -> None:
    body = b"{" + b" " * (LIMIT - 2) + b"}"
    answer = service.request("POST", "/api/v1/counter", body, Content_Type="application/json")
    assert (answer.status, answer.json["counter"]) == (200, 1)


def test_a_body_that_does_not_arrive_is_408(service: Service, counted: Counted) -> None:
    head = b"POST /api/v1/counter HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\n123"
    assert_problem(only_answer(service.raw_exchange(head)), 408)
    assert counted() is None


@pytest.mark.parametrize("ids", [[b"a", b"b"], [b"a", b"a"], [b"a" * 1025]])
def test_a_duplicated_or_huge_request_id_is_refused(
    service: Service, counted: Counted, ids: list[bytes]
) -> None:
    lines = b"".join(b"X-Request-ID: " + value + b"\r\n" for value in ids)
    answer = only_answer(
        service.raw_exchange(b"GET / HTTP/1.1\r\n" + HOST + lines + b"Connection: close\r\n\r\n")
    )
    assert_problem(answer, 400)
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-ID"])
    assert counted() is None


@pytest.mark.parametrize("ids", [[b"a" * 129], [b"a" * 1024], [b"a b"], [b""]])
def test_a_bad_request_id_is_replaced(service: Service, ids: list[bytes]) -> None:
    lines = b"".join(b"X-Request-ID: " + value + b"\r\n" for value in ids)
    answer = only_answer(
        service.raw_exchange(b"GET /version HTTP/1.1\r\n" + HOST + lines + b"Connection: close\r\n\r\n")
    )
    assert answer.status == 200
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-ID"])


def test_a_refused_client_of_http_1_0_is_told_that_its_connection_closes(service: Service) -> None:
    head = b"GET / HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\nContent-Length: x\r\n\r\n"
    answer = only_answer(service.raw_exchange(head))
    assert_problem(answer, 400)
    assert answer.headers.get_all("Connection") == ["close"]


def test_what_follows_a_refused_request_is_not_served(service: Service, counted: Counted) -> None:
    smuggled = b"POST /api/v1/counter HTTP/1.1\r\n" + HOST + b"\r\n"
    head = b"POST /api/v1/counter HTTP/1.1\r\n" + HOST + b"Content-Length: x\r\n\r\n"
    assert_problem(only_answer(service.raw_exchange(head + smuggled)), 400)
    assert counted() is None


def test_a_head_request_that_is_refused_has_no_body(service: Service) -> None:
    data = service.raw_exchange(b"HEAD / HTTP/1.1\r\n" + HOST + b"Content-Length: x\r\n\r\n")
    assert data.startswith(b"HTTP/1.1 400 ")
    assert data.endswith(b"\r\n\r\n")


def test_refusals_are_counted_in_metrics_under_a_bounded_label(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    service = start_service(valkey, ADMIN_PORT=free_port()).wait_until_ready()
    service.raw_exchange(b"GARBAGE\r\n\r\n")
    service.raw_exchange(b"BREW / HTTP/1.1\r\n" + HOST + b"Content-Length: x\r\n\r\n")
    sample = 'http_request_duration_seconds_count{method="other",route="refused",status="400"} 2.0'
    assert sample in service.metrics()


def test_allowed_hosts_spare_the_probes(valkey: ValkeyServer, start_service: StartService) -> None:
    service = start_service(valkey, ALLOWED_HOSTS="visits.example.com, other.example.com").wait_until_ready()
    for host, status in (("visits.example.com", 200), ("VISITS.example.com:443", 200), ("evil.example", 400)):
        assert service.get("/", Host=host).status == status
        assert service.get("/readyz", Host=host).status == 200
    assert service.get("/", Host="evil.example").headers["Content-Type"] == "application/problem+json"
    assert valkey.get("counter") == "2"
