"""Traces of the real service, as a collector gets them."""

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.telemetry.spans import FLUSH_SECONDS
from bench.footprint import resident_megabytes
from dev.valkey import LOOPBACK, free_port
from tests.conftest import StartService, ValkeyServer
from tests.service import Service, eventually
from tests.telemetry.collector import Collector, collecting

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{CALLER}-01", f"00-{TRACE}-{CALLER}-00"
VISIT = "EVALSHA count_batch"
LONG = 60_000
"""Milliseconds, in which no test is still under way: only a drain exports."""

TracedService = Callable[..., Service]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def traced(valkey: ValkeyServer, collector: Collector, start_service: StartService) -> TracedService:
    """Start a service that exports at once what it has."""

    def start(**settings: object) -> Service:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": 50}
        return start_service(valkey, **(variables | settings)).wait_until_ready()

    return start


def access_line(service: Service, **fields: object) -> dict[str, object]:
    return service.line("request", **fields)


@pytest.mark.usefixtures("each_transport")
def test_a_visit(collector: Collector, traced: TracedService) -> None:
    service = traced(
        ENVIRONMENT="TEST",
        VERSION="1.2",
        OTEL_RESOURCE_ATTRIBUTES="k8s.pod.name=one",
        TRUSTED_PROXIES=LOOPBACK,
    )
    answer = service.get("/?secret=1", User_Agent="browser " * 50, X_Forwarded_For="192.0.2.7")
    assert answer.status == 200
    (span,) = collector.wait_for("GET /")
    (batch,) = collector.wait_for(VISIT)

    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/",
        "http.response.status_code": 200,
        "http.response.header.x-request-id": [answer.headers["X-Request-ID"]],
        "url.path": "/",
        "url.scheme": "http",
        "server.address": "127.0.0.1",
        "server.port": service.port,
        "client.address": "192.0.2.7",
        "network.protocol.version": "1.1",
        "user_agent.original": ("browser " * 50)[:200] + "…",
    }
    assert (span.kind, span.parent_id, span.is_error) == ("SERVER", "", False)
    assert {
        "service.name": "visits",
        "service.version": "1.2",
        "deployment.environment.name": "TEST",
        "k8s.pod.name": "one",
    }.items() <= span.resource.items()
    assert span.resource["service.instance.id"]

    assert batch.attributes == {
        "db.system.name": "redis",
        "db.operation.name": "EVALSHA",
        "db.stored_procedure.name": "count_batch",
        "db.namespace": "0",
        "server.address": LOOPBACK,
        "server.port": service.settings["REDIS_PORT"],
        "visits.batch.size": 1,
    }
    assert (batch.kind, batch.parent_id, batch.is_error, batch.events) == ("CLIENT", "", False, [])
    # Neither is a part of the other, and each leads to the other.
    assert batch.links == [span.ids]
    assert span.links == [batch.ids]
    assert batch.trace_id != span.trace_id
    assert span.begin <= batch.begin <= batch.end <= span.end

    line = access_line(service, route="/")
    assert (line["trace_id"], line["span_id"]) == span.ids
    assert line["duration_ms"] == pytest.approx((span.end - span.begin) / 1e6, abs=5)


def test_names_are_those_of_the_variables(collector: Collector, traced: TracedService) -> None:
    traced(OTEL_SERVICE_NAME="shop", OTEL_RESOURCE_ATTRIBUTES="service.version=9,service.name=other").count()
    (span,) = collector.wait_for("GET /")
    assert (span.resource["service.name"], span.resource["service.version"]) == ("shop", "9")


def test_headers_and_path_of_the_variables(collector: Collector, traced: TracedService) -> None:
    traced(
        OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20token",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{collector.endpoint}/elsewhere",
    ).count()
    collector.wait_for("GET /")
    assert collector.paths[0] == "/elsewhere"
    assert collector.headers[0]["authorization"] == "Bearer token"


def test_no_span_of_probes_and_scrapes(collector: Collector, traced: TracedService) -> None:
    service = traced(ADMIN_PORT=free_port(), LOG_LEVEL="debug")
    for path in ("/healthz", "/readyz"):
        service.get(path, traceparent=SAMPLED)
    service.metrics()
    assert service.get("/version").status == 200
    service.signal(signal.SIGTERM)
    assert service.wait() == 0
    assert [span.name for span in collector.spans] == ["GET /version"]
    assert "trace_id" not in access_line(service, route="/readyz")


@pytest.mark.parametrize("sampler", ["parentbased_always_on", "parentbased_always_off"])
def test_a_caller_s_trace_is_taken_over(sampler: str, collector: Collector, traced: TracedService) -> None:
    service = traced(OTEL_TRACES_SAMPLER=sampler)
    service.get("/version", traceparent=SAMPLED, tracestate="vendor=1,other=2")
    service.get("/version", traceparent=UNSAMPLED)
    service.signal(signal.SIGTERM)
    assert service.wait() == 0
    (span,) = collector.spans
    assert (span.trace_id, span.parent_id, span.tracestate) == (TRACE, CALLER, "vendor=1,other=2")
    with_ids = [line for line in service.lines if "trace_id" in line]
    assert [(line["event"], line["trace_id"], line["span_id"]) for line in with_ids] == [
        ("request", *span.ids)
    ]


def test_what_is_no_tracestate_is_left_out_and_in_no_log(collector: Collector, traced: TracedService) -> None:
    service = traced(LOG_LEVEL="debug")
    service.get("/version", traceparent=SAMPLED, tracestate=f"password=hunter2&{'A' * 4000}")
    service.get("/version", traceparent=SAMPLED, tracestate="one=1,one=hunter2")
    service.signal(signal.SIGTERM)
    assert service.wait() == 0
    assert [span.trace_id for span in collector.spans] == [TRACE, TRACE]
    assert "hunter2" not in service.errors() + json.dumps(service.lines)


@pytest.mark.parametrize(
    "traceparent",
    [
        "nonsense",
        f"ff-{TRACE}-{CALLER}-00",
        f"00-{'0' * 32}-{CALLER}-00",
        f"00-{TRACE}-{'0' * 16}-00",
        f"{UNSAMPLED}-more",
        f"{UNSAMPLED},{UNSAMPLED}",
        UNSAMPLED.upper(),
    ],
)
def test_what_is_no_traceparent_begins_a_trace(
    traceparent: str, module_traced: tuple[Service, Collector]
) -> None:
    service, collector = module_traced
    before = len(collector.named("GET /version"))
    service.get("/version", traceparent=traceparent, tracestate="vendor=1")
    span = collector.wait_for("GET /version", before + 1)[-1]
    assert (span.parent_id, span.tracestate) == ("", "")
    assert span.trace_id != TRACE


@pytest.fixture(scope="module")
def module_traced() -> Iterator[tuple[Service, Collector]]:
    """One service for what changes nothing in it; its Redis is away."""
    with collecting() as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": 50}
        service = Service(settings={"REDIS_HOST": LOOPBACK, "REDIS_PORT": free_port(), **variables})
        yield service, collector
        service.close()


def test_a_later_version_of_traceparent(module_traced: tuple[Service, Collector]) -> None:
    service, collector = module_traced
    service.get("/version", traceparent=f"01-{TRACE}-{CALLER}-01-more")
    eventually(lambda: any(span.parent_id == CALLER for span in collector.spans), "taken over")


def test_texts_of_clients_are_bounded_and_can_be_encoded(module_traced: tuple[Service, Collector]) -> None:
    service, collector = module_traced
    answer = service.raw_exchange(
        b"GET /\xff\xfe\xed\xa0\x80" + b"x" * 3000 + b"?secret HTTP/1.1\r\nHost: a:99999999999999999999\r\n"
        b"User-Agent: \xff\xed\xa0\x80\r\nConnection: close\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 404 ")
    service.raw_exchange(b"BREW / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    (span,) = collector.wait_for("GET")
    assert "http.route" not in span.attributes
    assert "server.port" not in span.attributes
    assert max(len(value) for value in span.attributes.values() if isinstance(value, str)) <= 201
    assert "secret" not in str(span.attributes)


def test_a_failure_is_one(valkey: ValkeyServer, collector: Collector, traced: TracedService) -> None:
    service = traced(REQUEST_TIMEOUT=0.5, REDIS_TIMEOUT=0.1)
    service.count()
    (first,) = collector.wait_for(VISIT)
    assert not first.is_error
    valkey.pause()
    answer = service.get("/")
    valkey.resume()
    assert answer.status == 503
    span = collector.wait_for("GET /", 2)[-1]
    assert span.is_error
    assert (span.attributes["http.response.status_code"], span.attributes["error.type"]) == (503, "503")
    batch = collector.wait_for(VISIT, 2)[-1]
    assert batch.is_error
    assert batch.attributes["error.type"] == "timeout"
    assert batch.events
    assert dict(batch.events) == {"attempt failed": {"reason": "timeout"}}
    assert batch.ids in span.links
    lines = [line for line in service.lines if line.get("trace_id") == span.trace_id]
    assert {line["event"] for line in lines} == {"counter unavailable", "request"}
    assert {line["span_id"] for line in lines} == {span.span_id}


def test_a_batch_links_all_visits_that_it_carries(
    valkey: ValkeyServer, collector: Collector, traced: TracedService
) -> None:
    service = traced(REDIS_TIMEOUT=5)
    service.count()
    collector.wait_for(VISIT)
    valkey.pause()
    with ThreadPoolExecutor(20) as pool:
        visits = [pool.submit(service.count) for _ in range(20)]
        eventually(lambda: sum(1 for _ in in_flight(service)) == 20, "all wait")
        valkey.resume()
        assert sorted(visit.result() for visit in visits) == list(range(2, 22))
    requests = {span.ids: span for span in collector.wait_for("GET /", 21)}
    batches = collector.named(VISIT)
    assert len(batches) < 10
    for batch in batches:
        assert batch.attributes["visits.batch.size"] == len(batch.links)
        assert all(requests[link].links == [batch.ids] for link in batch.links)
    assert sorted(link for batch in batches for link in batch.links) == sorted(requests)


def in_flight(service: Service) -> Iterator[int]:
    """Its connections that are established, by the system's list."""
    port = f":{service.port:04X}"
    for line in Path(f"/proc/{service.process.pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(port) and fields[3] == "01":
            yield 1


def test_a_batch_without_a_visit_in_a_trace_has_no_span(collector: Collector, traced: TracedService) -> None:
    service = traced(OTEL_TRACES_SAMPLER="parentbased_always_off")
    for _ in range(3):
        service.count()
    service.get("/", traceparent=SAMPLED)
    collector.wait_for(VISIT)
    service.signal(signal.SIGTERM)
    assert service.wait() == 0
    assert sorted(span.name for span in collector.spans) == [VISIT, "GET /"]


def test_a_ratio(collector: Collector, traced: TracedService) -> None:
    """Of 400 at a half: fewer than 140 or more than 260 come once in 10⁹ runs."""
    service = traced(OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG="0.5")
    pieces = [b"GET /version HTTP/1.1\r\nHost: a\r\n\r\n"] * 399
    service.raw_exchange(*pieces, b"GET /version HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    # A caller's trace is decided by its ID, whatever the caller decided.
    low, high = f"{'f' * 16}{'0' * 15}1", f"{'0' * 15}1{'f' * 16}"
    service.get("/version", traceparent=f"00-{low}-{CALLER}-00")
    service.get("/version", traceparent=f"00-{high}-{CALLER}-01")
    service.signal(signal.SIGTERM)
    assert service.wait() == 0
    assert [span.trace_id for span in collector.spans if span.parent_id] == [low]
    assert 140 < len(collector.spans) < 260


def test_a_drain_exports_the_last_spans(collector: Collector, traced: TracedService) -> None:
    service = traced(OTEL_BSP_SCHEDULE_DELAY=LONG)
    service.count()
    assert collector.spans == []
    service.signal(signal.SIGTERM)
    assert service.wait() == 0
    assert sorted(span.name for span in collector.spans) == [VISIT, "GET /"]
    assert not service.has_said("spans lost")


@pytest.mark.parametrize("collector_is", ["away", "hanging"])
def test_no_visitor_and_no_drain_waits_for_a_collector(
    collector_is: str, collector: Collector, traced: TracedService
) -> None:
    collector.hangs = True
    endpoint = collector.endpoint if collector_is == "hanging" else f"http://{LOOPBACK}:{free_port()}"
    service = traced(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    service.count()
    if collector_is == "hanging":
        eventually(lambda: bool(collector.paths), "an export is under way")
    for _ in range(50):
        service.count()
    slowest = max(float(line["duration_ms"]) for line in service.lines if line["event"] == "request")
    assert slowest < 1000
    began = time.monotonic()
    service.signal(signal.SIGTERM)
    assert service.wait() == 0
    # A drain of nobody takes well below a second more.
    assert time.monotonic() - began < FLUSH_SECONDS + 3
    service.line("spans lost", seconds=FLUSH_SECONDS)
    assert service.errors() == ""


def test_memory_is_bounded_by_the_queue(collector: Collector, traced: TracedService) -> None:
    collector.hangs = True
    service = traced(OTEL_BSP_MAX_QUEUE_SIZE=512, OTEL_BSP_MAX_EXPORT_BATCH_SIZE=128)
    ask(service, 2000)
    full = resident_megabytes(service.process.pid)
    ask(service, 6000)
    # 6000 more spans would be more than 15 MB.
    assert resident_megabytes(service.process.pid) - full < 4
    assert service.has_said("Queue full, dropping Span.")


def ask(service: Service, times: int) -> None:
    for _ in range(times // 100):
        pieces = b"GET /version HTTP/1.1\r\nHost: a\r\n\r\n" * 99
        answers = service.raw_exchange(
            pieces + b"GET /version HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        assert len(re.findall(rb"HTTP/1.1 200 ", answers)) == 100


@pytest.mark.parametrize("variables", [{}, {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}])
def test_off_nothing_is_loaded(valkey: ValkeyServer, variables: dict[str, str]) -> None:
    service = Service(
        "tests.telemetry.loaded", {"REDIS_HOST": LOOPBACK, "REDIS_PORT": valkey.port, **variables}
    )
    try:
        assert service.wait_until_ready().count() == 1
        assert "trace_id" not in access_line(service, route="/")
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
        assert service.raw[-1] == "loaded: []\n"
    finally:
        service.close()
