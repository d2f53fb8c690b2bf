"""A collector: it takes what the service exports by OTLP over HTTP, and decodes it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan, Status

from tests.service import PATIENCE, eventually

Attributes = dict[str, object]


class Span(NamedTuple):
    """What arrived of one, with numbers as people write them."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    tracestate: str
    links: list[tuple[str, str]]
    """Trace and span IDs."""
    attributes: Attributes
    events: list[tuple[str, Attributes]]
    is_error: bool
    begin: int
    end: int
    resource: Attributes

    @property
    def ids(self) -> tuple[str, str]:
        return self.trace_id, self.span_id


class Collector:
    """Listens on a port of its own, from the first moment."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.hangs = False
        """Whether it takes a request and does not answer it."""
        self._ended = threading.Event()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            """One export."""

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if collector.hangs:
                    collector.paths.append(self.path)
                    collector._ended.wait()
                    return
                collector.headers.append(dict(self.headers.items()))
                collector.spans += _decoded(body)
                collector.paths.append(self.path)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def named(self, name: str) -> list[Span]:
        return [span for span in list(self.spans) if span.name == name]

    def wait_for(self, name: str, count: int = 1, seconds: float = PATIENCE) -> list[Span]:
        """Wait for so many spans of a name, and return them."""
        eventually(lambda: len(self.named(name)) >= count, f"{count} spans {name}", seconds)
        return self.named(name)


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    try:
        yield collector
    finally:
        collector.close()


def _decoded(body: bytes) -> Iterator[Span]:
    for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = _attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield Span(
                    name=span.name,
                    kind=WireSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    tracestate=span.trace_state,
                    links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
                    attributes=_attributes(span.attributes),
                    events=[(event.name, _attributes(event.attributes)) for event in span.events],
                    is_error=span.status.code == Status.STATUS_CODE_ERROR,
                    begin=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                    resource=resource,
                )


def _attributes(pairs: "Iterator[KeyValue] | list[KeyValue]") -> Attributes:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, str(kind))
