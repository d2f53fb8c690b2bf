"""A span of each batch that carries a visit with a span. Imported only where traces are wanted."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import cast
from urllib.parse import urlsplit

import structlog
from opentelemetry import context as contexts, trace
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer

from app.settings import Settings

MOST_LINKS = 128
"""Of a batch, as OpenTelemetry bounds them unless OTEL_SPAN_LINK_COUNT_LIMIT says less."""


class BatchSpan:
    """One batch, until it is settled; without a span if none of its visits has one."""

    def __init__(self, span: Span | None) -> None:
        self._span = span
        self._reason = "cancelled"

    def failed(self, reason: str) -> None:
        """Note that a copy of it came to nothing, or that its answer was lost."""
        if self._span is not None:
            self._reason = reason
            self._span.add_event("attempt failed", {"reason": reason})

    def end(self, *, counted: bool) -> None:
        """End it."""
        if self._span is None:
            return
        if not counted:
            self._span.set_attribute("error.type", self._reason)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


NO_SPAN = BatchSpan(None)


class BatchSpans:
    """What app.counter calls Traces.

    A batch belongs to no single request, so its span begins a trace of its own, with a link to each visit
    that has a span. Each of them has one to the batch: what shows traces may follow links one way only.
    """

    def __init__(
        self,
        tracer: Tracer,
        request_span: Callable[[], Span | None],
        settings: Settings,
        operation: str,
        script: str,
    ) -> None:
        self._tracer = tracer
        self._request_span = request_span
        self._now: ContextVar[BatchSpan] = ContextVar("batch", default=NO_SPAN)
        self._name = f"{operation} {script}"
        self._attributes: dict[str, str | int] = {
            "db.system.name": "redis",
            "db.operation.name": operation,
            "db.stored_procedure.name": script,
            **_server(settings),
        }

    def visit(self) -> object | None:
        """Return the span of the request that is being answered."""
        return self._request_span()

    @contextmanager
    def batch(self, size: int, visits: Sequence[object]) -> Iterator[BatchSpan]:
        """Begin the span of a batch of so many visits, of which these have spans."""
        if not visits:
            yield NO_SPAN
            return
        linked = cast("Sequence[Span]", visits)[:MOST_LINKS]
        span = self._tracer.start_span(
            self._name,
            contexts.Context(),
            SpanKind.CLIENT,
            {**self._attributes, "visits.batch.size": size},
            [Link(visit.get_span_context()) for visit in linked],
        )
        own = span.get_span_context()
        for visit in linked:
            # Whoever gave up meanwhile has none any more.
            if visit.is_recording():
                visit.add_link(own)
        batch = BatchSpan(span)
        before = self._now.set(batch)
        try:
            with (
                trace.use_span(span),
                structlog.contextvars.bound_contextvars(
                    trace_id=trace.format_trace_id(own.trace_id), span_id=trace.format_span_id(own.span_id)
                ),
            ):
                yield batch
        finally:
            self._now.reset(before)
            if span.is_recording():
                batch.end(counted=False)

    def failed(self, reason: str) -> None:
        """Note a failure of Redis, if it is one of the batch under way, in whose task this is called."""
        self._now.get().failed(reason)


def _server(settings: Settings) -> dict[str, str | int]:
    """Say where Redis is, as far as the settings tell: Sentinels name a server, and a Cluster has several."""
    if settings.redis_sentinels or settings.redis_cluster:
        return {}
    if settings.redis_url is None:
        return {
            "server.address": settings.redis_host,
            "server.port": settings.redis_port,
            "db.namespace": str(settings.redis_db),
        }
    url = urlsplit(settings.redis_url.get_secret_value())
    if url.scheme == "unix" or not url.hostname:
        return {}
    return {"server.address": url.hostname, "server.port": url.port or 6379}
