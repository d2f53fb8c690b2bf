"""What the counter tells Prometheus of its work, and of how Redis serves it."""

from contextlib import AbstractContextManager

from prometheus_client import CollectorRegistry, Counter, Histogram

from app.counter.waiting import REFUSED
from app.redis.failures import FAILURES, UNEXPECTED

COMMANDS = ("check", "count", "read", "register", "retire")
"""What Redis is asked for: see CounterRecords, and CounterCheck."""
FAILED_BECAUSE = tuple(sorted({*FAILURES, REFUSED}))
COMMAND_BUCKETS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
BATCH_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class CounterMetrics:
    """All of it is there from the first scrape, at 0."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.visits = Counter(
            "visits_counted", "Visits that were counted, and whose visitors were told so", registry=registry
        )
        self.batches = Counter(
            "visit_batches", "Batches of visits that are known to be counted", registry=registry
        )
        self.batch_size = Histogram(
            "visit_batch_size", "Visits in a counted batch", buckets=BATCH_BUCKETS, registry=registry
        )
        self.in_doubt = Counter(
            "visit_batches_in_doubt",
            "Batches of which an answer was lost, so that Redis may have counted them or not, once each",
            registry=registry,
        )
        self.resends = Counter(
            "visit_batch_resends", "Copies of batches in doubt that were sent again", registry=registry
        )
        self.given_up = Counter(
            "visit_writers_given_up",
            "Writers given up because a batch of theirs stayed in doubt, or Redis did not know them",
            registry=registry,
        )
        durations = Histogram(
            "redis_command_duration_seconds",
            "Time until Redis had answered a command, or it failed or was given up, connecting included",
            ("command",),
            buckets=COMMAND_BUCKETS,
            registry=registry,
        )
        self._durations = {command: durations.labels(command) for command in COMMANDS}
        failures = Counter(
            "redis_failures", "Redis commands and checks that failed", ("reason",), registry=registry
        )
        self._failures = {reason: failures.labels(reason) for reason in FAILED_BECAUSE}
        self._reconnects = Counter(
            "redis_reconnects",
            "Connections to Redis made anew, because the one before was lost or given up",
            registry=registry,
        )

    def timed(self, command: str) -> AbstractContextManager[object]:
        """Measure how long a command takes, however it ends."""
        return self._durations[command].time()

    def count_failure(self, reason: str) -> None:
        self._failures.get(reason, self._failures[UNEXPECTED]).inc()

    def count_reconnect(self) -> None:
        self._reconnects.inc()

    def counted(self, visits: int, answered: int) -> None:
        """Hear of a batch that is known to be counted, and how many of its visitors had stayed for it."""
        self.batches.inc()
        self.batch_size.observe(visits)
        self.visits.inc(answered)
