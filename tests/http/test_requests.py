"""Requests of every kind that is served: what they say of their bodies, their connections, their targets."""

import json
import os
import socket

import pytest

from dev.valkey import free_port
from tests.conftest import StartService, ValkeyServer
from tests.http.raw_requests import HOST, Counted, assert_problem, exchange, only_answer
from tests.service import Service, eventually, parse_answers

pytestmark = pytest.mark.usefixtures("each_transport")


def test_expect_is_answered_before_the_body_is_sent(service: Service) -> None:
    head = (
        b"POST /api/v1/counter HTTP/1.1\r\n" + HOST + b"Content-Length: 99999\r\nExpect: 100-continue\r\n\r\n"
    )
    assert_problem(only_answer(service.raw_exchange(head)), 413)


def test_pipelined_requests_are_answered_in_order(service: Service, counted: Counted) -> None:
    one = b"GET / HTTP/1.1\r\nAccept: application/json\r\n" + HOST
    data = service.raw_exchange((one + b"\r\n") * 5 + one + b"Connection: close\r\n\r\n")
    assert [answer.json["counter"] for answer in parse_answers(data)] == [1, 2, 3, 4, 5, 6]
    assert counted() == "6"


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


def test_an_idle_connection_is_closed(valkey: ValkeyServer, start_service: StartService) -> None:
    service = start_service(valkey, IDLE_TIMEOUT=0.2).wait_until_ready()
    assert service.raw_exchange() == b""


def test_a_visitor_who_leaves_holds_no_place(valkey: ValkeyServer, start_service: StartService) -> None:
    service = start_service(valkey, MAX_IN_FLIGHT=3, REQUEST_TIMEOUT=1, REDIS_TIMEOUT=0.5).wait_until_ready()
    valkey.pause()
    for _ in range(3):
        with service.connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
    valkey.resume()
    eventually(lambda: service.get("/", Accept="application/json").status == 200, "a place is free again")
    assert json.loads(service.get("/api/v1/counter").body)["counter"] >= 1


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
