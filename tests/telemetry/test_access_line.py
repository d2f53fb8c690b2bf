"""The line that a real service writes of each request."""

import signal

import pytest

from app.telemetry.requests import LONGEST_METHOD, LONGEST_PATH, LONGEST_USER_AGENT, shown
from tests.conftest import StartService, ValkeyServer
from tests.service import VISIT

pytestmark = pytest.mark.usefixtures("each_transport")


def test_one_access_line_for_each_request(valkey: ValkeyServer, start_service: StartService) -> None:
    service = start_service(valkey, TRUSTED_PROXIES="127.0.0.0/8").wait_until_ready()
    service.get("/", X_Request_ID="seen-1", X_Forwarded_For="6.6.6.6, 203.0.113.9")
    service.get("/no-page?q=hidden", X_Request_ID="seen-2", User_Agent="curl/8.0")
    line = service.line("request", request_id="seen-1")
    assert line["duration_ms"] >= 0
    assert (line["method"], line["route"], line["status"]) == ("GET", "/", 200)
    assert line["client"] == "203.0.113.9"
    unmatched = service.line("request", request_id="seen-2")
    assert (unmatched["route"], unmatched["path"]) == ("unmatched", "/no-page")
    assert unmatched["user_agent"] == "curl/8.0"
    assert not any("hidden" in line for line in service.raw)
    assert not any(line.get("route") == "/readyz" for line in service.lines)


@pytest.mark.parametrize(
    ("signals", "code"), [(1, 0), (2, 128 + signal.SIGTERM)], ids=["drained", "ended by a second signal"]
)
def test_every_answer_has_its_access_line_however_soon_the_end_comes(
    valkey: ValkeyServer, start_service: StartService, signals: int, code: int
) -> None:
    service = start_service(valkey, DRAIN_DELAY=signals - 1).wait_until_ready()
    crowd = [service.connect() for _ in range(40)]
    # They all arrive before it runs again: answered in few turns of its loop.
    with service.frozen():
        for connection in crowd:
            connection.sendall(VISIT)
    for connection in crowd:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    service.signal(signal.SIGTERM)
    if signals == 2:
        service.line("draining")
        service.signal(signal.SIGTERM)
    assert service.wait() == code
    for connection in crowd:
        connection.close()
    lines = [line for line in service.lines if line["event"] == "request" and line["route"] == "/"]
    assert len(lines) == len(crowd) == len({line["request_id"] for line in lines})
    assert service.errors() == ""


def test_what_clients_send_is_bounded_and_escaped_in_the_log(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    """It neither fills the log nor steers the terminal of whoever reads it."""
    service = start_service(valkey).wait_until_ready()
    assert shown("\x1b[2J\r\n\u202e", 200) == r"\x1b[2J\r\n\u202e"
    for request in (
        b"GET /" + b"a" * 5000 + b"?hidden HTTP/1.1\r\nHost: h\r\nX-Request-ID: long\r\nUser-Agent: "
        b"" + b"u" * 5000 + b"\r\n\r\n",
        b"GET /\xc3\xa4\xe2\x80\xae HTTP/1.1\r\nHost: h\r\nX-Request-ID: odd\r\nUser-Agent: \xff\x80\r\n\r\n",
        b"GET http://me:hidden@h/absolute?hidden HTTP/1.1\r\nHost: h\r\nX-Request-ID: absolute\r\n\r\n",
        b"GET http://me:hidden?@h/ HTTP/1.1\r\nHost: h\r\nX-Request-ID: ambiguous\r\n\r\n",
        b"A" * 5000 + b" / HTTP/1.1\r\nHost: h\r\nX-Request-ID: method\r\n\r\n",
        b"GET /refused?hidden HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\nX-Request-ID: refused\r\n"
        b"User-Agent: them\r\n\r\n0\r\n\r\n",
    ):
        with service.connect() as connection:
            connection.sendall(request)
            assert connection.recv(65536)
    long = service.line("request", request_id="long")
    assert long["path"] == "/" + "a" * (LONGEST_PATH - 1) + "…"
    assert len(long["user_agent"]) == LONGEST_USER_AGENT + 1
    odd = service.line("request", request_id="odd")
    assert odd["path"].isascii()
    assert odd["user_agent"].isascii()
    assert service.line("request", request_id="absolute")["path"] == "h/absolute"
    # The question mark ends what names the host.
    assert service.line("request", request_id="ambiguous")["path"] == "/"
    assert service.line("request", request_id="method")["method"] == "A" * LONGEST_METHOD + "…"
    refused = service.line("request", request_id="refused", status=400)
    assert (refused["path"], refused["user_agent"]) == ("/refused", "them")
    assert not any("hidden" in line for line in service.raw)
