"""Bad input over raw sockets: a 4xx with a problem where one can be sent, never a 500, nothing counted."""

import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime

import pytest

from dev.valkey import LOOPBACK, free_port
from tests.conftest import StartService, ValkeyServer
from tests.service import Answer, Service, eventually, parse_answers

Counted = Callable[[], str | None]

HOST = b"Host: localhost\r\n"
LIMIT = 16 * 1024


@pytest.fixture(scope="module")
def shared(
    each_transport: None,  # noqa: ARG001 - sets the environment
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[ValkeyServer, Service]]:
    """One service for all that leaves no trace; starting one for each request would take a minute."""
    valkey = ValkeyServer(tmp_path_factory.mktemp("valkey"))
    valkey.start()
    where = {"REDIS_HOST": LOOPBACK, "REDIS_PORT": valkey.port}
    service = Service(settings={**where, "BODY_TIMEOUT": 0.6})
    yield valkey, service.wait_until_ready()
    service.close()
    valkey.stop()


@pytest.fixture
def service(shared: tuple[ValkeyServer, Service]) -> Service:
    valkey, service = shared
    with valkey.client as client:
        client.flushall()
    return service


@pytest.fixture
def counted(shared: tuple[ValkeyServer, Service]) -> Counted:
    """What Redis holds."""
    return lambda: shared[0].get("counter")


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


def test_a_body_of_exactly_the_limit_reaches_the_handler(service: Service) -> None:
    body = b"{" + b" " * (LIMIT - 2) + b"}"
    answer = service.request("POST", "/api/v1/counter", body, Content_Type="application/json")
    assert (answer.status, answer.json["counter"]) == (200, 1)


def test_expect_is_answered_before_the_body_is_sent(service: Service) -> None:
    head = (
        b"POST /api/v1/counter HTTP/1.1\r\n" + HOST + b"Content-Length: 99999\r\nExpect: 100-continue\r\n\r\n"
    )
    assert_problem(only_answer(service.raw_exchange(head)), 413)


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


def test_pipelined_requests_are_answered_in_order(service: Service, counted: Counted) -> None:
    one = b"GET / HTTP/1.1\r\nAccept: application/json\r\n" + HOST
    data = service.raw_exchange((one + b"\r\n") * 5 + one + b"Connection: close\r\n\r\n")
    assert [answer.json["counter"] for answer in parse_answers(data)] == [1, 2, 3, 4, 5, 6]
    assert counted() == "6"


def test_a_refused_client_of_http_1_0_is_told_that_its_connection_closes(service: Service) -> None:
    head = b"GET / HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\nContent-Length: x\r\n\r\n"
    answer = only_answer(service.raw_exchange(head))
    assert_problem(answer, 400)
    assert answer.headers.get_all("Connection") == ["close"]


def test_a_client_that_closes_its_sending_side_has_left(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    """It gets no answer, whatever becomes of its visit, which is counted at most once."""
    service = start_service(valkey, ADMIN_PORT=free_port(), REDIS_TIMEOUT=3, REQUEST_TIMEOUT=4)
    service.wait_until_ready()
    valkey.pause()
    with service.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        eventually(lambda: service.in_flight() == 1, "in flight")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert service.in_flight() == 1
    valkey.resume()
    eventually(lambda: service.in_flight() == 0, "done")
    assert valkey.get("counter") == "1"
    assert not [line for line in service.lines if line["level"] in {"error", "warning"}]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\r\n" * 5 + b"GET /version HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET http://localhost/version HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET /version HTTP/1.1\r\n" + HOST + b"Transfer-Encoding:\tCHUNKED\t\r\n\r\n1\r\na\r\n0\r\n\r\n",
        b"GET /version HTTP/1.1\r\n" + HOST + b"Content-Length: \t0000000000000000001 \r\n\r\na",
        b"GET /version HTTP/1.1\r\n"
        + HOST
        + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\na",
        b"GET /version HTTP/1.1\r\n" + HOST + b"Proxy-Connection: close\r\n\r\n",
        b"GET /version HTTP/1.1\r\n" + HOST + b"Connection: closed, x-close\r\n\r\n",
        b"GET /version HTTP/1.0\r\n" + HOST + b"Connection: x, Keep-Alive\r\n\r\n",
    ],
)
def test_odd_but_valid_requests_are_served_and_their_connection_stays(
    service: Service, request_bytes: bytes
) -> None:
    last = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    answers = parse_answers(service.raw_exchange(request_bytes + last))
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].headers["Connection"] in {None, "Keep-Alive"}


@pytest.mark.parametrize(
    ("version", "connection"),
    [
        (b"1.1", b"Connection: close, x\r\n"),
        (b"1.1", b"Connection: x\r\nConnection: Close\r\n"),
        (b"1.1", b"Connection: keep-alive , close\r\n"),
        (b"1.0", b""),
        (b"1.0", b"Connection: keep-alive, close\r\n"),
    ],
)
def test_a_client_that_would_not_go_on_is_told_that_its_connection_closes(
    service: Service, version: bytes, connection: bytes
) -> None:
    head = b"GET /version HTTP/" + version + b"\r\n" + HOST + connection + b"\r\n"
    answer = only_answer(service.raw_exchange(head * 2))
    assert (answer.status, answer.headers.get_all("Connection")) == (200, ["close"])


@pytest.mark.parametrize(
    ("version", "fields", "interim"),
    [
        (b"1.1", b"Expect: 100-continue\r\nContent-Length: 1\r\n", 1),
        (b"1.1", b"Expect: 100-Continue\r\nContent-Length: 1\r\n", 1),
        # RFC 9110, 10.1.1: it must be ignored.
        (b"1.0", b"Expect: 100-continue\r\nContent-Length: 1\r\n", 0),
        (b"1.1", b"Expect: x\r\nContent-Length: 1\r\n", 0),
        (b"1.1", b"Expect: 100-continue\r\n", 0),
    ],
)
def test_who_waits_for_it_is_told_to_go_on(
    service: Service, version: bytes, fields: bytes, interim: int
) -> None:
    head = b"GET /version HTTP/" + version + b"\r\n" + HOST + b"Connection: close\r\n" + fields + b"\r\n"
    with service.connect() as connection:
        connection.sendall(head)
        arrived = connection.recv(65536) if interim else b""
        connection.sendall(b"a" if b"Content-Length" in fields else b"")
        while data := connection.recv(65536):
            arrived += data
    assert arrived.count(b"HTTP/1.1 100 ") == interim
    assert arrived.count(b"HTTP/1.1 200 ") == 1


def test_trailers_end_no_connection(service: Service) -> None:
    """Where they are taken: Tornado's parser refuses them."""
    head = (
        b"GET /version HTTP/1.1\r\n"
        + HOST
        + b"Transfer-Encoding: chunked\r\n\r\n0\r\nConnection: close\r\n\r\n"
    )
    last = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    answers = [answer.status for answer in parse_answers(service.raw_exchange(head + last))]
    assert answers == ([200, 200] if os.environ["HTTP_SERVER"] == "httptools" else [400])


def test_what_follows_a_refused_request_is_not_served(service: Service, counted: Counted) -> None:
    smuggled = b"POST /api/v1/counter HTTP/1.1\r\n" + HOST + b"\r\n"
    head = b"POST /api/v1/counter HTTP/1.1\r\n" + HOST + b"Content-Length: x\r\n\r\n"
    assert_problem(only_answer(service.raw_exchange(head + smuggled)), 400)
    assert counted() is None


def test_odd_but_valid_targets_are_never_a_500(service: Service) -> None:
    for target in (
        b"*",
        b"//",
        b"http://localhost/version",
        b"/%ff%00",
        b"/?a=%ff&&&;=",
        b"/" + b"%2e%2e/" * 50,
    ):
        data = service.raw_exchange(
            b"OPTIONS " + target + b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
        )
        assert 400 <= only_answer(data).status < 500, target


def test_a_head_request_that_is_refused_has_no_body(service: Service) -> None:
    data = service.raw_exchange(b"HEAD / HTTP/1.1\r\n" + HOST + b"Content-Length: x\r\n\r\n")
    assert data.startswith(b"HTTP/1.1 400 ")
    assert data.endswith(b"\r\n\r\n")


def test_an_idle_connection_is_closed(valkey: ValkeyServer, start_service: StartService) -> None:
    service = start_service(valkey, IDLE_TIMEOUT=0.2).wait_until_ready()
    assert service.raw_exchange() == b""


def test_refusals_are_counted_in_metrics_under_a_bounded_label(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    service = start_service(valkey, ADMIN_PORT=free_port()).wait_until_ready()
    service.raw_exchange(b"GARBAGE\r\n\r\n")
    service.raw_exchange(b"BREW / HTTP/1.1\r\n" + HOST + b"Content-Length: x\r\n\r\n")
    sample = 'http_request_duration_seconds_count{method="other",route="refused",status="400"} 2.0'
    assert sample in service.metrics()


def test_a_visitor_who_leaves_holds_no_place(valkey: ValkeyServer, start_service: StartService) -> None:
    service = start_service(valkey, MAX_IN_FLIGHT=3, REQUEST_TIMEOUT=1, REDIS_TIMEOUT=0.5).wait_until_ready()
    valkey.pause()
    for _ in range(3):
        with service.connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
    valkey.resume()
    eventually(lambda: service.get("/", Accept="application/json").status == 200, "a place is free again")
    assert json.loads(service.get("/api/v1/counter").body)["counter"] >= 1


def exchange(service: Service, *pieces: bytes) -> list[Answer]:
    """Send requests, and one more that closes; return the answers but for its own."""
    last = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    *answers, end = parse_answers(service.raw_exchange(*pieces, last))
    assert end.body == b"ok\n"
    return answers


@pytest.mark.parametrize("host", [b"localhost", b"127.0.0.1:8000"])
def test_a_whole_url_is_served_as_its_path(service: Service, host: bytes) -> None:
    """RFC 9112, section 3.2.2: as a proxy is asked, and any server has to understand it."""
    whole = b"GET http://" + host + b"/version?a=b HTTP/1.1\r\n" + HOST + b"\r\n"
    path_only = b"GET HTTP://" + host + b" HTTP/1.1\r\nAccept: application/json\r\n" + HOST + b"\r\n"
    version, page = exchange(service, whole, path_only)
    assert (version.status, "image_digest" in version.json) == (200, True)
    assert (page.status, page.json["counter"]) == (200, 1)


@pytest.mark.parametrize("method", [b"BREW", b"get", b"CONNECT", b"M-SEARCH", b"TRACE"])
def test_a_method_that_nobody_knows_is_405(service: Service, method: bytes) -> None:
    (answer,) = exchange(service, method + b" / HTTP/1.1\r\n" + HOST + b"\r\n")
    assert_problem(answer, 405)


@pytest.mark.parametrize(
    "asked",
    [
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        b"Upgrade: x\r\n",
    ],
)
def test_an_upgrade_is_not_taken_up(service: Service, asked: bytes, counted: Counted) -> None:
    """And what comes with it is the body of a request, not another request."""
    head = b"POST /api/v1/counter HTTP/1.1\r\n" + HOST + asked + b"Content-Type: application/json\r\n"
    sized = head + b"Content-Length: 2\r\n\r\n{}"
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    assert [answer.json["counter"] for answer in exchange(service, sized, chunked, head + b"\r\n")] == [
        1,
        2,
        3,
    ]
    assert counted() == "3"


@pytest.mark.parametrize("expected", [b"100-continue", b"100-Continue"])
def test_a_client_that_asks_is_told_to_send_its_body(service: Service, expected: bytes) -> None:
    head = b"POST /api/v1/counter HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
    with service.connect() as connection:
        connection.sendall(head + b"Content-Length: 2\r\nExpect: " + expected + b"\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"{}")
        assert only_answer(connection.recv(65536)).json["counter"] == 1


@pytest.mark.parametrize("asked", [b"close", b"Close", b"close, x", b"x, close"])
def test_a_client_that_wants_no_more_is_let_go(service: Service, asked: bytes) -> None:
    one = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: " + asked + b"\r\n\r\n"
    answer = only_answer(service.raw_exchange(one + one))
    assert (answer.status, answer.headers["Connection"]) == (200, "close")


@pytest.mark.parametrize(("asked", "answers"), [(b"", 1), (b"Connection: keep-alive\r\n", 2)])
def test_a_client_of_http_1_0_keeps_its_connection_if_it_asks(
    service: Service, asked: bytes, answers: int
) -> None:
    data = service.raw_exchange(
        b"GET /healthz HTTP/1.0\r\n" + asked + b"\r\n", b"GET /healthz HTTP/1.0\r\n\r\n"
    )
    assert [answer.status for answer in parse_answers(data)] == [200] * answers


def test_a_request_may_arrive_byte_by_byte(service: Service) -> None:
    head = b"\r\nPOST /api/v1/counter HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
    sized = head + b"Content-Length: 2\r\n\r\n{}"
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
    pieces = [bytes([byte]) for byte in sized + chunked]
    assert [answer.json["counter"] for answer in exchange(service, *pieces)] == [1, 2]
