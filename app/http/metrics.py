"""What the HTTP layer tells Prometheus: whom it sent away, and what it holds."""

from prometheus_client import Counter

from app.http.connections import MADE_ROOM, NO_ROOM, UNREAD, Connections
from app.http.policy import RefusedBecause, RequestPolicy
from app.telemetry.metrics import Metrics

DROPPED_BECAUSE = (MADE_ROOM, NO_ROOM, UNREAD)


class HttpMetrics:
    """All of it is there from the first scrape, the counters at 0."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        drops = Counter(
            "http_connections_dropped",
            "Connections closed because of too many, or because of a client that reads no answer",
            ("reason",),
            registry=metrics.registry,
        )
        self._drops = {reason: drops.labels(reason) for reason in DROPPED_BECAUSE}
        refusals = Counter(
            "http_requests_refused",
            "Requests answered with an error before any work of a handler",
            ("reason",),
            registry=metrics.registry,
        )
        self._refusals = {reason: refusals.labels(reason) for reason in RefusedBecause}
        self._timeouts = Counter(
            "http_request_timeouts",
            "Requests answered with 503 because their handlers took longer than REQUEST_TIMEOUT",
            registry=metrics.registry,
        )

    def count_drop(self, reason: str) -> None:
        self._drops[reason].inc()

    def count_refusal(self, reason: RefusedBecause) -> None:
        self._refusals[reason].inc()

    def count_timeout(self) -> None:
        self._timeouts.inc()

    def watch(self, policy: RequestPolicy, connections: Connections) -> None:
        """Read these of the visitors' listener at every scrape."""
        watch = self._metrics.watch
        watch(
            "http_requests_in_flight",
            "Requests that are worked on, or whose answers are not flushed yet",
            lambda: len(policy.in_flight),
            "livesum",
        )
        watch(
            "http_requests_resting",
            "Requests that wait because one before on their connection was refused",
            policy.admission.resting,
            "livesum",
        )
        watch(
            "http_connections_open", "Connections of visitors and proxies", connections.count_open, "livesum"
        )
        watch(
            "http_connections_idle",
            "Open connections on which no request is in flight",
            connections.count_idle,
            "livesum",
        )
