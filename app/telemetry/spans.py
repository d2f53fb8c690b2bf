"""Spans of requests, and their export. Imported only where traces are wanted, see tracing.py.

Whether a request has one is decided here, as OTEL_TRACES_SAMPLER says, before the SDK is asked: most requests
of a busy service have none, and the SDK takes several times as long to find that out. Its sampler takes all.
"""

import asyncio
import contextlib
import random
import re
import threading
import time
from contextvars import ContextVar

import structlog
from opentelemetry import context as contexts, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState
from tornado.httputil import HTTPServerRequest, split_host_and_port

from app.settings import Settings
from app.telemetry.batch_spans import BatchSpans
from app.telemetry.metrics import METHODS
from app.telemetry.requests import LONGEST_METHOD, LONGEST_PATH, LONGEST_USER_AGENT, path_in, shown
from app.telemetry.tracing import Sampling

FLUSH_SECONDS = 2.0
"""For the last spans to leave when the process ends; a collector that takes longer loses them."""
LONGEST_HOST = 200
HIGHEST_PORT = 65535
NO_ROUTE = "unmatched"
TRACE_IDS = 1 << 64
"""A ratio is of the lower half of a trace's ID, so that all who ask for the same one decide alike
about a caller's trace."""
SERVER_ERROR = 500
TRACEPARENT = re.compile(
    r"(?:(00)|(?!00|ff)[0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?(1)|(?:-.*)?)"
)
"""As W3C's Trace Context has it, level 1: later versions may say more at the end."""

log = structlog.get_logger(__name__)


class RequestSpan:
    """The span of one request, until it is answered."""

    __slots__ = ("_span", "fields")

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        spoken = span.get_span_context()
        trace_id, span_id = trace.format_trace_id(spoken.trace_id), trace.format_span_id(spoken.span_id)
        self.fields = f', "trace_id": "{trace_id}", "span_id": "{span_id}"'
        """Of the access line, as they stand in JSON."""
        structlog.contextvars.bind_contextvars(trace_id=trace_id, span_id=span_id)

    def end(self, status: int) -> None:
        """End it with the answer's status."""
        self._span.set_attribute("http.response.status_code", status)
        if status >= SERVER_ERROR:
            self._span.set_attribute("error.type", str(status))
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class Tracing:
    """Begins spans and exports them from a thread of its own. Each process makes one, after any fork."""

    def __init__(self, settings: Settings, sampling: Sampling) -> None:
        self._settings = settings
        self._follows_parent = sampling.follows_parent
        self._bound = round(sampling.ratio * TRACE_IDS)
        self._processor = BatchSpanProcessor(OTLPSpanExporter())
        resource = _resource(settings)
        own = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
        own.add_span_processor(self._processor)
        self._tracer = own.get_tracer("visits", settings.version)
        self._request: ContextVar[trace.Span | None] = ContextVar("request", default=None)
        # For spans that handlers begin by OpenTelemetry's API: they are recorded within a request that is.
        others = TracerProvider(
            sampler=ParentBased(root=ALWAYS_OFF), resource=resource, shutdown_on_exit=False
        )
        others.add_span_processor(self._processor)
        trace.set_tracer_provider(others)

    def begin(
        self, request: HTTPServerRequest, route: str, client: str, request_id: str
    ) -> RequestSpan | None:
        """Begin the span of a request, in the task that answers it; None if it is to have none."""
        # Its `get` raises and catches an error where there is none.
        given = request.headers.get_list("traceparent")
        parent = TRACEPARENT.fullmatch(given[0]) if len(given) == 1 else None
        if parent is None:
            if random.getrandbits(64) >= self._bound:
                return None
            around = contexts.Context()
        else:
            flags = int(parent[4], 16)
            is_sampled = (
                flags & TraceFlags.SAMPLED if self._follows_parent else int(parent[2][16:], 16) < self._bound
            )
            if not is_sampled:
                return None
            around = trace.set_span_in_context(
                NonRecordingSpan(
                    SpanContext(
                        int(parent[2], 16),
                        int(parent[3], 16),
                        is_remote=True,
                        trace_flags=TraceFlags(flags),
                        trace_state=TraceState.from_header(request.headers.get_list("tracestate")),
                    )
                ),
                contexts.Context(),
            )
        span = self._tracer.start_span(
            _name(request, route),
            around,
            SpanKind.SERVER,
            _attributes(request, route, client, request_id),
            # The access line's duration begins then, too.
            start_time=time.time_ns() - int(request.request_time() * 1e9),
        )
        # Never taken back: the task's context ends with it.
        contexts.attach(trace.set_span_in_context(span, around))
        self._request.set(span)
        return RequestSpan(span)

    def batches(self, operation: str, script: str) -> BatchSpans:
        """Return what makes a span of each batch that is sent to Redis by this command and script."""
        return BatchSpans(self._tracer, self._request.get, self._settings, operation, script)

    async def aclose(self) -> None:
        """Export what waits, for FLUSH_SECONDS at most."""
        loop = asyncio.get_running_loop()
        flushed = asyncio.Event()

        def shut_down() -> None:
            self._processor.shutdown()  # type: ignore[no-untyped-call]
            # Nobody waits any more where the loop is closed.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(flushed.set)

        # A thread that the end of the process does not wait for.
        threading.Thread(target=shut_down, name="flush spans", daemon=True).start()
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await flushed.wait()
        except TimeoutError:
            log.warning("spans lost", reason="the collector did not take them in time", seconds=FLUSH_SECONDS)


def _resource(settings: Settings) -> Resource:
    """Say who traces: OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win."""
    own = Resource(
        {
            "service.name": "visits",
            "service.version": settings.version,
            "deployment.environment.name": settings.environment,
            "vcs.ref.head.revision": settings.git_commit,
        }
    )
    return Resource.create(own.merge(OTELResourceDetector().detect()).attributes)


def _name(request: HTTPServerRequest, route: str) -> str:
    method = request.method if request.method in METHODS else "HTTP"
    return str(method) if route == NO_ROUTE else f"{method} {route}"


def _attributes(
    request: HTTPServerRequest, route: str, client: str, request_id: str
) -> dict[str, str | int | list[str]]:
    """Describe a request as the semantic conventions for HTTP have it.

    Texts of the client's are bounded, and plain ASCII: one that cannot be encoded would lose all spans that
    leave with it.
    """
    method = str(request.method)
    attributes: dict[str, str | int | list[str]] = {
        "http.request.method": method if method in METHODS else "_OTHER",
        "url.path": shown(path_in(str(request.uri)), LONGEST_PATH),
        "url.scheme": request.protocol,
        "server.address": shown(request.host_name, LONGEST_HOST),
        "client.address": shown(client, LONGEST_HOST),
        "network.protocol.version": request.version.removeprefix("HTTP/"),
        "http.response.header.x-request-id": [request_id],
    }
    if method not in METHODS:
        attributes["http.request.method_original"] = shown(method, LONGEST_METHOD)
    if route != NO_ROUTE:
        attributes["http.route"] = route
    _, port = split_host_and_port(request.host)
    # Of a port with more digits no number of 64 bits could be made.
    if port is not None and port <= HIGHEST_PORT:
        attributes["server.port"] = port
    if "User-Agent" in request.headers:
        attributes["user_agent.original"] = shown(request.headers["User-Agent"], LONGEST_USER_AGENT)
    return attributes
