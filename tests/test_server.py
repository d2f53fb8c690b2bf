"""The life of a real process against a real Valkey."""

import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.http.admission import FREE_REFUSALS_A_SECOND
from app.telemetry.requests import LONGEST_METHOD, LONGEST_PATH, LONGEST_USER_AGENT, shown
from dev.valkey import free_port
from tests.conftest import StartService, ValkeyServer
from tests.service import Service, eventually, run_to_end
from tests.visitors import Visitors

pytestmark = pytest.mark.usefixtures("each_transport")

VISIT = b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"


def test_start_never_resets_the_counter(valkey: ValkeyServer, start_service: StartService) -> None:
    valkey.set("counter", "41")
    first = start_service(valkey).wait_until_ready()
    assert valkey.get("counter") == "41"
    assert first.count() == 42
    first.signal(signal.SIGTERM)
    assert first.wait() == 0
    second = start_service(valkey).wait_until_ready()
    assert second.count() == 43


def test_two_keys_count_apart(valkey: ValkeyServer, start_service: StartService) -> None:
    one, two = start_service(valkey), start_service(valkey, COUNTER_KEY="other")
    one.wait_until_ready()
    two.wait_until_ready()
    assert [one.count(), one.count(), two.count()] == [1, 2, 1]
    assert (valkey.get("counter"), valkey.get("other")) == ("2", "1")


def test_redis_away_at_start_is_no_crash(valkey: ValkeyServer, start_service: StartService) -> None:
    valkey.stop()
    service = start_service(valkey, REQUEST_TIMEOUT=1)
    assert (service.get("/readyz").status, service.get("/readyz").body) == (503, b"starting\n")
    assert service.get("/healthz").body == b"degraded\n"
    assert service.get("/").status == 503
    service.line("waiting for redis", reason="connection")
    valkey.start()
    service.wait_until_ready()
    assert service.count() == 1


def test_probes_through_an_outage_and_back(valkey: ValkeyServer, start_service: StartService) -> None:
    service = start_service(valkey, REQUEST_TIMEOUT=1).wait_until_ready()
    assert service.count() == 1
    valkey.stop()
    eventually(lambda: service.get("/readyz").body == b"redis: connection\n", "not ready")
    assert service.get("/healthz").body == b"degraded\n"
    answer = service.get("/")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    valkey.start()
    service.wait_until_ready()
    assert service.get("/healthz").body == b"ok\n"
    assert service.count() == 2


def test_a_redis_that_is_away_for_a_moment_costs_time_and_no_error(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    """Visits and reads alike."""
    service = start_service(valkey, ADMIN_PORT=free_port()).wait_until_ready()
    service.count()
    valkey.stop()
    with ThreadPoolExecutor(8) as visitors:
        visits = [visitors.submit(service.count) for _ in range(4)]
        reads = [visitors.submit(service.value) for _ in range(4)]
        eventually(lambda: service.get("/readyz").body == b"redis: connection\n", "Redis is missed")
        eventually(lambda: service.in_flight() == 8, "all of them wait")
        valkey.start()
    assert sorted(visit.result() for visit in visits) == [2, 3, 4, 5]
    assert all(1 <= read.result() <= 5 for read in reads)


def test_a_hung_redis_is_a_503_in_time_and_the_probes_answer(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    service = start_service(valkey, REDIS_TIMEOUT=0.2, REQUEST_TIMEOUT=1).wait_until_ready()
    service.count()
    valkey.pause()
    for path, status in (("/", 503), ("/api/v1/counter", 503), ("/readyz", 503), ("/healthz", 200)):
        started = time.monotonic()
        assert service.get(path).status == status
        assert time.monotonic() - started < 1
    valkey.resume()
    service.wait_until_ready()
    # The visit that timed out may have been applied, but never twice.
    assert service.count() in {2, 3}


def test_too_many_in_flight_is_a_503_at_once_but_not_for_probes(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    service = start_service(
        valkey, ADMIN_PORT=free_port(), MAX_IN_FLIGHT=2, REDIS_TIMEOUT=3, REQUEST_TIMEOUT=4
    ).wait_until_ready()
    valkey.pause()
    held = [service.connect() for _ in range(2)]
    for connection in held:
        connection.sendall(VISIT)
    eventually(lambda: service.in_flight() == 2, "no place is left")
    started = time.monotonic()
    answer = service.get("/")
    assert time.monotonic() - started < 1
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    # They wait for Redis; what matters is that they are let in.
    results: list[int] = []
    probe = threading.Thread(target=lambda: results.append(service.get("/healthz").status))
    probe.start()
    valkey.resume()
    probe.join()
    assert results == [200]
    for connection in held:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.close()
    assert valkey.get("counter") == "2"


def test_a_crowd_that_is_refused_keeps_nobody_else_out(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    service = start_service(valkey, MAX_IN_FLIGHT=10).wait_until_ready()
    crowd = [service.connect() for _ in range(50)]
    assert service.get("/version").status == 200
    # While it does not run they all arrive, and are read in one turn of its loop.
    service.signal(signal.SIGSTOP)
    for connection in crowd:
        connection.sendall(VISIT)
    service.signal(signal.SIGCONT)
    answers = [connection.recv(65536).split()[1] for connection in crowd]
    for connection in crowd:
        connection.close()
    assert answers.count(b"200") >= 10
    assert set(answers) == {b"200", b"503"}
    assert valkey.get("counter") == str(answers.count(b"200"))


@pytest.fixture
def full(valkey: ValkeyServer, start_service: StartService) -> Iterator[Service]:
    """A service whose only place is taken by a visitor who waits for Redis."""
    service = start_service(
        valkey, ADMIN_PORT=free_port(), MAX_IN_FLIGHT=1, REDIS_TIMEOUT=5, REQUEST_TIMEOUT=6
    ).wait_until_ready()
    valkey.pause()
    with service.connect() as connection:
        connection.sendall(VISIT)
        eventually(lambda: service.in_flight() == 1, "no place is left")
        yield service


def test_a_crowd_that_comes_back_at_once_is_read_at_a_pace(full: Service) -> None:
    refusals = 2 * FREE_REFUSALS_A_SECOND
    began = time.monotonic()
    with Visitors(full.address, count=20, pause=0) as crowd:
        eventually(lambda: crowd.statuses().get(503, 0) >= refusals, "refused")
        assert set(crowd.statuses()) == {503}
    # The first and the last refusal of each connection are not paced.
    assert time.monotonic() - began > (refusals - 2 * 20) / FREE_REFUSALS_A_SECOND


def test_a_drain_ends_the_rest_of_a_refused_connection(full: Service, valkey: ValkeyServer) -> None:
    crowd = [full.connect() for _ in range(FREE_REFUSALS_A_SECOND)]
    for connection in crowd:
        connection.sendall(VISIT)
    for connection in crowd:
        assert connection.recv(65536).startswith(b"HTTP/1.1 503 ")
    crowd[-1].sendall(VISIT)
    full.signal(signal.SIGTERM)
    valkey.resume()
    assert crowd[-1].recv(65536).startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 503 "))
    for connection in crowd:
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_drain_answers_what_is_in_flight(
    valkey: ValkeyServer, start_service: StartService, number: signal.Signals
) -> None:
    service = start_service(
        valkey, ADMIN_PORT=free_port(), REDIS_TIMEOUT=3, REQUEST_TIMEOUT=4
    ).wait_until_ready()
    valkey.pause()
    with service.connect() as connection:
        connection.sendall(VISIT)
        eventually(lambda: service.in_flight() == 1, "in flight")
        service.signal(number)
        service.line("draining", in_flight=1)
        valkey.resume()
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert connection.recv(1) == b""
    assert service.wait() == 0
    service.line("stopped")
    assert service.errors() == ""


def test_a_response_after_sigterm_ends_keep_alive_whenever_its_request_was_read(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    """Otherwise its client sends another request, into a connection that the drain is about to close."""
    service = start_service(
        valkey, ADMIN_PORT=free_port(), REDIS_TIMEOUT=3, REQUEST_TIMEOUT=4
    ).wait_until_ready()
    valkey.pause()
    with service.connect() as connection:
        connection.sendall(VISIT)
        eventually(lambda: service.in_flight() == 1, "in flight")
        service.signal(signal.SIGTERM)
        service.line("draining", in_flight=1)
        valkey.resume()
        assert b"Connection: close" in connection.recv(65536)
    assert service.wait() == 0


def test_drain_under_steady_requests_fails_none(valkey: ValkeyServer, start_service: StartService) -> None:
    """Clients stop coming once /readyz says so, as behind a Service; none of theirs may fail."""
    service = start_service(valkey, DRAIN_DELAY=0.5).wait_until_ready()
    withdrawn = threading.Event()
    statuses: list[object] = []

    def visit(*, keep_alive: bool) -> None:
        while not withdrawn.is_set():
            try:
                if keep_alive:
                    statuses.extend(visits_on_one_connection(service, withdrawn))
                else:
                    statuses.append(service.get("/", Accept="application/json").status)
            except OSError as error:
                statuses.append(error)

    kinds = (True, True, False, False)
    clients = [threading.Thread(target=visit, kwargs={"keep_alive": kind}) for kind in kinds]
    for client in clients:
        client.start()
    eventually(lambda: len(statuses) > 50, "load")
    service.signal(signal.SIGTERM)
    eventually(lambda: service.get("/readyz").status == 503, "not ready")
    assert service.get("/readyz").body == b"draining\n"
    assert service.get("/healthz").status == 200
    before = len(statuses)
    eventually(lambda: len(statuses) > before + 20, "still served during the delay")
    withdrawn.set()
    for client in clients:
        client.join()
    assert service.wait() == 0
    assert set(statuses) == {200}
    assert valkey.get("counter") == str(len(statuses))


def visits_on_one_connection(service: Service, withdrawn: threading.Event) -> list[int]:
    statuses = []
    with service.connect() as connection:
        while not withdrawn.is_set():
            connection.sendall(VISIT)
            answer = connection.recv(65536)
            statuses.append(int(answer.split()[1]))
            if b"Connection: close" in answer:
                break
    return statuses


def test_drain_waits_for_a_request_that_is_still_arriving(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    service = start_service(valkey, ADMIN_PORT=free_port()).wait_until_ready()
    with service.connect() as connection:
        head = b"POST /api/v1/counter HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
        connection.sendall(head + b"Content-Type: application/json\r\n\r\n{")
        eventually(lambda: service.in_flight() == 1, "in flight")
        service.signal(signal.SIGTERM)
        service.line("draining", in_flight=1)
        connection.sendall(b"}")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert service.wait() == 0


def test_a_visitor_who_left_is_in_flight_until_the_work_is_done(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    service = start_service(
        valkey, ADMIN_PORT=free_port(), REDIS_TIMEOUT=3, REQUEST_TIMEOUT=4
    ).wait_until_ready()
    valkey.pause()
    with service.connect() as connection:
        connection.sendall(VISIT)
        eventually(lambda: service.in_flight() == 1, "in flight")
    # The end of the connection is seen before an answer on a later one.
    assert service.get("/version").status == 200
    assert service.in_flight() == 1
    valkey.resume()
    eventually(lambda: service.in_flight() == 0, "done")


def test_a_draining_service_ends_keep_alive(valkey: ValkeyServer, start_service: StartService) -> None:
    service = start_service(valkey, DRAIN_DELAY=5).wait_until_ready()
    with service.connect() as connection:
        connection.sendall(VISIT)
        assert b"Connection: close" not in connection.recv(65536)
        service.signal(signal.SIGTERM)
        service.line("draining")
        connection.sendall(VISIT)
        assert b"Connection: close" in connection.recv(65536)
        assert connection.recv(1) == b""


def test_drain_ends_at_its_timeout(valkey: ValkeyServer, start_service: StartService) -> None:
    service = start_service(
        valkey, ADMIN_PORT=free_port(), DRAIN_TIMEOUT=0.3, REDIS_TIMEOUT=8, REQUEST_TIMEOUT=9
    ).wait_until_ready()
    valkey.pause()
    with service.connect() as connection:
        connection.sendall(VISIT)
        eventually(lambda: service.in_flight() == 1, "in flight")
        service.signal(signal.SIGTERM)
        assert service.wait(5) == 0
    service.line("drain timed out", in_flight=1)


def test_a_second_signal_ends_at_once(valkey: ValkeyServer, start_service: StartService) -> None:
    service = start_service(valkey, DRAIN_DELAY=60).wait_until_ready()
    service.signal(signal.SIGTERM)
    service.line("draining")
    service.signal(signal.SIGTERM)
    assert service.wait(3) == 128 + signal.SIGTERM


def test_a_signal_while_redis_is_away_drains_too(valkey: ValkeyServer, start_service: StartService) -> None:
    valkey.stop()
    service = start_service(valkey)
    service.line("waiting for redis")
    service.signal(signal.SIGTERM)
    assert service.wait(5) == 0


@pytest.mark.parametrize("setting", ["PORT", "ADMIN_PORT"])
def test_a_port_in_use_is_one_clear_line(setting: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run_to_end("app", **({"HOST": "127.0.0.1", "PORT": 0, "ADMIN_PORT": 0} | {setting: port}))
    assert ended.returncode == 1
    assert ended.stderr == (
        f"visits: cannot listen on 127.0.0.1:{port}: Address already in use; "
        f"stop what listens there, or set {setting} to another port\n"
    )


@pytest.mark.parametrize("host", ["h..h", "h" * 64])
def test_a_host_that_can_be_no_name_is_one_clear_line(host: str) -> None:
    ended = run_to_end("app", HOST=host, PORT=0, ADMIN_PORT=0)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"visits: cannot listen on {host}:0: ")
    assert len(ended.stderr.splitlines()) == 1


def test_allowed_hosts_spare_the_probes(valkey: ValkeyServer, start_service: StartService) -> None:
    service = start_service(valkey, ALLOWED_HOSTS="visits.example.com, other.example.com").wait_until_ready()
    for host, status in (("visits.example.com", 200), ("VISITS.example.com:443", 200), ("evil.example", 400)):
        assert service.get("/", Host=host).status == status
        assert service.get("/readyz", Host=host).status == 200
    assert service.get("/", Host="evil.example").headers["Content-Type"] == "application/problem+json"
    assert valkey.get("counter") == "2"


def test_hsts_when_set(valkey: ValkeyServer, start_service: StartService) -> None:
    service = start_service(valkey, HSTS_SECONDS=600).wait_until_ready()
    assert service.get("/").headers["Strict-Transport-Security"] == "max-age=600"


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


def test_metrics_are_on_the_admin_port_only(valkey: ValkeyServer, start_service: StartService) -> None:
    port = free_port()
    service = start_service(valkey, ADMIN_PORT=port, ENVIRONMENT="PROD", REQUEST_TIMEOUT=1).wait_until_ready()
    service.count()
    service.get("/nope")
    text = service.metrics()
    assert 'http_request_duration_seconds_count{method="GET",route="/",status="200"} 1.0' in text
    assert 'route="unmatched",status="404"' in text
    assert 'environment="PROD"' in text
    assert "\nready 1.0" in text
    assert "process_resident_memory_bytes" in text
    assert service.get("/metrics").status == 404
    assert service.request("GET", "/", port=port).status == 404
    head = service.request("HEAD", "/metrics", port=port)
    assert (head.status, head.body) == (200, b"")
    for path in ("/static/style.css", "/robots.txt", "/favicon.ico", "/nope"):
        answer = service.request("GET", path, port=port, Accept="text/html")
        assert "Server" not in answer.headers
        assert answer.status == (200 if path in {"/static/style.css", "/robots.txt"} else 404)
    assert not any("Traceback" in raw or '"exception"' in raw for raw in service.raw)
    valkey.stop()
    assert service.get("/").status == 503
    eventually(lambda: service.get("/readyz").status == 503, "not ready")
    text = service.metrics()
    assert re.search(r'^redis_failures_total{reason="connection"} [1-9]', text, re.MULTILINE)
    assert "\nready 0.0" in text
