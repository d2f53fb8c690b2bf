"""Prometheus metrics, in a registry of their own.

What a room of the house counts of its own work is in that room (app/http/metrics.py, app/counter/metrics.py),
in this registry. All are listed in docs/metrics.md, which is made from them.
"""

from collections.abc import Callable, Collection, Iterable
from typing import ClassVar, Literal, TypeAlias

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from app.settings import Settings

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER_METHOD = "other"
EXPECTED_STATUSES = (200, 500, 503)
"""Those that alerts compare."""
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
OTHER_REASON = "error"
"""Stands for each reason that is not in its fixed set."""

OfWorkers: TypeAlias = Literal["livesum", "livemin", "livemax"]
"""What several workers show together of a gauge, see app/workers/metrics.py."""

# A counter's birth is the process': a series more for each says nothing new.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """All metrics of one process. Labels come from small fixed sets, so a visitor cannot grow them."""

    CONTENT_TYPE: ClassVar[str] = CONTENT_TYPE_LATEST

    def __init__(self, settings: Settings) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._requests = Histogram(
            "http_request_duration_seconds",
            "Time from a request's header to its answer, refusals included",
            ("method", "route", "status"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._requests_like: dict[tuple[str, str, int], Histogram] = {}
        """By method, route and status: to look a child up by its labels takes longer than to observe."""
        self._lag = Histogram(
            "event_loop_lag_seconds",
            "How late a timer of half a second fired: so long the event loop lets everybody wait",
            buckets=BUCKETS,
            registry=self.registry,
        )
        Gauge(
            "build_info",
            "What runs here: always 1, and told by the labels",
            ("version", "commit", "environment"),
            registry=self.registry,
            multiprocess_mode="livemax",
        ).labels(settings.version, settings.git_commit, settings.environment).set(1)

    def watch(self, name: str, what: str, value: Callable[[], float], of_workers: OfWorkers) -> None:
        """Make a gauge, which is read at every scrape."""
        self._read(Gauge(name, what, registry=self.registry, multiprocess_mode=of_workers), value)

    def watch_health(self, not_ready_because: Callable[[], str | None], reasons: Collection[str]) -> None:
        """Read at every scrape why visitors should not come; None if they may. `reasons`: all of them."""
        self.watch(
            "ready",
            "1 when started, not draining, and Redis did all that a visit needs when it was asked last",
            lambda: float(not_ready_because() is None),
            "livemin",
        )
        gauge = Gauge(
            "not_ready",
            "1 for the reason why /readyz would say 503, as of when it was asked last, else 0",
            ("reason",),
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        known = {*reasons, OTHER_REASON}

        def is_because(reason: str) -> Callable[[], float]:
            def value() -> float:
                present = not_ready_because()
                return float(reason == (present if present is None or present in known else OTHER_REASON))

            return value

        for reason in sorted(known):
            self._read(gauge.labels(reason), is_because(reason))

    def _read(self, gauge: Gauge, value: Callable[[], float]) -> None:
        gauge.set_function(value)

    def expect_requests(self, route: str, methods: Iterable[str]) -> None:
        """Show these from the first scrape: of a series that begins with a failure, no rate tells of it."""
        for method in methods:
            for status in EXPECTED_STATUSES:
                self._like(method, route, status)

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        requests = self._requests_like.get((method, route, status))
        if requests is None:
            requests = self._like(method if method in METHODS else OTHER_METHOD, route, status)
        requests.observe(seconds)

    def _like(self, method: str, route: str, status: int) -> Histogram:
        like = method, route, status
        requests = self._requests_like.get(like)
        if requests is None:
            requests = self._requests_like[like] = self._requests.labels(*like)
        return requests

    def observe_lag(self, seconds: float) -> None:
        self._lag.observe(seconds)

    def render(self) -> bytes:
        """Return the text exposition format."""
        return generate_latest(self.registry)
