"""Each metric of a real service is 0 until its event happens, and moves then; no visitor adds a label."""

import re
import signal
import time

import pytest

from dev.valkey import free_port
from tests.conftest import StartService, ValkeyServer
from tests.service import VISIT, Service, eventually
from tests.telemetry.scrape import Scrape, scrape

pytestmark = pytest.mark.usefixtures("each_transport")

IDS = b"X-Request-ID: a\r\nX-Request-ID: b\r\n"
FOREIGN = ("process_", "python_")
AT_READY = ("redis_command_duration_seconds", "event_loop_lag_seconds", "http_request_duration_seconds")
"""What happens without a visitor."""


@pytest.fixture
def service(valkey: ValkeyServer, start_service: StartService) -> Service:
    limits = {"MAX_IN_FLIGHT": 1, "BODY_TIMEOUT": 0.3, "MAX_BODY_SIZE": 100, "ALLOWED_HOSTS": "localhost"}
    times = {"REDIS_TIMEOUT": 3, "REQUEST_TIMEOUT": 4, "DRAIN_DELAY": 5}
    return start_service(valkey, ADMIN_PORT=free_port(), **limits, **times).wait_until_ready()


def test_counters_begin_at_zero(service: Service) -> None:
    counted = {
        (one.name, *one.labels.values()): one.value
        for one in scrape(service).samples
        if one.name.endswith(("_total", "_count")) and not one.name.startswith((*FOREIGN, *AT_READY))
    }
    assert len(counted) > 30
    assert {name for name, value in counted.items() if value} == set()


REFUSED = (
    (b"GARBAGE\r\n\r\n", "invalid"),
    (b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", "invalid"),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + IDS + b"Connection: close\r\n\r\n", "invalid"),
    (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", "too large"),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"a" * 100_000 + b"\r\n\r\n", "too large"),
    (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n", "too large"),
    (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n", "too slow"),
    (b"GET / HTTP/1.1\r\nHost: elsewhere\r\nConnection: close\r\n\r\n", "host"),
)


def test_refusals_have_their_reason(service: Service) -> None:
    expected = dict.fromkeys(("full", "host", "invalid", "too large", "too slow"), 0.0)
    for request_bytes, reason in REFUSED:
        assert scrape(service).by("http_requests_refused_total", "reason") == expected
        service.raw_exchange(request_bytes)
        expected[reason] += 1
    assert scrape(service).by("http_requests_refused_total", "reason") == expected


def test_places_and_connections(service: Service, valkey: ValkeyServer) -> None:
    eventually(lambda: scrape(service).value("http_connections_open") == 0, "who asked for /readyz has left")
    visitors = [service.connect() for _ in range(3)]
    eventually(lambda: scrape(service).value("http_connections_open") == 3, "all are there")
    assert scrape(service).value("http_connections_idle") == 3
    valkey.pause()
    visitors[0].sendall(VISIT)
    eventually(lambda: scrape(service).value("http_connections_idle") == 2, "one is held")
    assert scrape(service).value("http_connections_open") == 3
    assert scrape(service).value("http_requests_in_flight") == 1
    visitors[1].sendall(VISIT)
    assert visitors[1].recv(65536).startswith(b"HTTP/1.1 503 ")
    assert scrape(service).value("http_requests_refused_total", reason="full") == 1
    valkey.resume()
    for visitor in visitors:
        visitor.close()
    eventually(lambda: scrape(service).value("http_connections_open") == 0, "all have left")


def test_visits_and_commands(service: Service) -> None:
    def commands(told: Scrape) -> dict[str, float]:
        return told.by("redis_command_duration_seconds_count", "command")

    before = commands(scrape(service))
    assert (before["count"], before["register"], before["read"]) == (0, 0, 0)
    assert before["check"] >= 2
    for _ in range(3):
        assert service.get("/", Host="localhost").status == 200
    assert service.get("/api/v1/counter", Host="localhost").status == 200
    told = scrape(service)
    assert told.value("visits_counted_total") == 3
    assert told.value("visit_batches_total") == told.value("visit_batch_size_count") == 3
    after = commands(told)
    assert (after["count"], after["register"], after["read"]) == (3, 1, 1)


def test_redis_leaves_and_returns(service: Service, valkey: ValkeyServer) -> None:
    assert scrape(service).value("redis_reconnects_total") == 0
    assert set(scrape(service).by("not_ready", "reason").values()) == {0.0}
    valkey.stop()
    eventually(lambda: service.get("/readyz").status == 503, "not ready")
    told = scrape(service)
    because = told.by("not_ready", "reason")
    assert [reason for reason, present in because.items() if present] == ["connection"]
    assert told.value("ready") == 0
    assert told.value("redis_failures_total", reason="connection") >= 1
    valkey.start()
    service.wait_until_ready()
    told = scrape(service)
    assert told.value("redis_reconnects_total") >= 1
    assert set(told.by("not_ready", "reason").values()) == {0.0}


def test_starting_and_draining_are_reasons(valkey: ValkeyServer, start_service: StartService) -> None:
    valkey.stop()
    service = start_service(valkey, ADMIN_PORT=free_port(), DRAIN_DELAY=5)
    assert scrape(service).value("not_ready", reason="starting") == 1
    valkey.start()
    service.wait_until_ready()
    service.signal(signal.SIGTERM)
    service.line("draining")
    because = scrape(service).by("not_ready", "reason")
    assert [reason for reason, present in because.items() if present] == ["draining"]


def test_what_holds_up_the_loop_is_seen(service: Service) -> None:
    eventually(lambda: scrape(service).value("event_loop_lag_seconds_count") > 0, "a timer fired")
    assert scrape(service).value("event_loop_lag_seconds_sum") < 1
    with service.frozen():
        began = time.monotonic()
        eventually(lambda: time.monotonic() - began > 2, "time passes")
    eventually(lambda: scrape(service).value("event_loop_lag_seconds_sum") > 1, "it came late")


def test_no_visitor_adds_a_label(service: Service) -> None:
    def ask_oddly(number: int) -> set[tuple[str, ...]]:
        odd = b"%d" % number
        for method in (b"GET", b"BREW" + odd):
            head = method + b" /odd" + odd + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            service.raw_exchange(head + b"\r\n")
            service.raw_exchange(head.replace(b"localhost", b"odd" + odd) + b"X-Request-ID: odd\r\n\r\n")
        service.raw_exchange(b"ODD" + odd + b"\r\n\r\n")
        return {(one.name, *one.labels.values()) for one in scrape(service).samples}

    known = ask_oddly(0)
    scrape(service)  # a scrape is a request, too
    known |= ask_oddly(1)
    assert ask_oddly(2) == known
    assert not [series for series in known if "odd" in "".join(series[1:]).lower()]


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
