"""Prometheus metrics, in a registry of their own."""

from collections.abc import Callable
from typing import ClassVar, Literal

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from app.settings import Settings

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """All metrics of one process. Labels come from small fixed sets, so a visitor cannot grow them."""

    CONTENT_TYPE: ClassVar[str] = CONTENT_TYPE_LATEST

    def __init__(self, settings: Settings) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._requests = Histogram(
            "http_request_duration_seconds",
            "Time to answer a request",
            ("method", "route", "status"),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._requests_like: dict[tuple[str, str, int], Histogram] = {}
        """By method, route and status: to look a child up by its labels takes longer than to observe."""
        self._redis_failures = Counter(
            "redis_failures", "Redis commands and pings that failed", ("reason",), registry=self._registry
        )
        self._drops = Counter(
            "http_connections_dropped",
            "Connections closed because of too many, or because of a client that reads no answer",
            ("reason",),
            registry=self._registry,
        )
        Gauge(
            "build_info",
            "What runs here",
            ("version", "commit", "environment"),
            registry=self._registry,
            multiprocess_mode="livemax",
        ).labels(settings.version, settings.git_commit, settings.environment).set(1)

    def watch(
        self, in_flight: Callable[[], float], resting: Callable[[], float], is_ready: Callable[[], bool]
    ) -> None:
        """Read these at every scrape."""
        self._watch("http_requests_in_flight", "Requests not flushed yet", in_flight, "livesum")
        self._watch(
            "http_requests_resting",
            "Requests that wait because one before on their connection was refused",
            resting,
            "livesum",
        )
        self._watch(
            "ready",
            "1 when started, not draining, and Redis did all that a visit needs when it was asked last",
            lambda: float(is_ready()),
            "livemin",
        )

    def _watch(
        self, name: str, what: str, value: Callable[[], float], of_workers: Literal["livesum", "livemin"]
    ) -> None:
        """`of_workers`: what several workers show together, see app/workers/metrics.py."""
        Gauge(name, what, registry=self._registry, multiprocess_mode=of_workers).set_function(value)

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        like = method if method in METHODS else "other", route, status
        requests = self._requests_like.get(like)
        if requests is None:
            requests = self._requests_like[like] = self._requests.labels(*like)
        requests.observe(seconds)

    def count_redis_failure(self, reason: str) -> None:
        self._redis_failures.labels(reason).inc()

    def count_drop(self, reason: str) -> None:
        self._drops.labels(reason).inc()

    def render(self) -> bytes:
        """Return the text exposition format."""
        return generate_latest(self._registry)
