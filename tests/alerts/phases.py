"""Series of the service's metrics, made of phases in which everything goes on at one pace."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from app.redis.failures import MENDS_ITSELF, NOTHING_APPLIED

REASONS = sorted(MENDS_ITSELF | NOTHING_APPLIED | {"refused", "refused command", "error"})
"""Why Redis may fail."""
STATES = ["starting", "draining"]
PROBES_A_STEP = 15


COUNTERS = [
    ("http_request_duration_seconds_count", 'method="GET",route="/",status="200"'),
    ("http_request_duration_seconds_bucket", 'method="GET",route="/",status="200",le="0.25"'),
    ("http_request_duration_seconds_count", 'method="GET",route="/",status="503"'),
    ("http_request_duration_seconds_bucket", 'method="GET",route="/",status="503",le="0.25"'),
    ("http_request_duration_seconds_count", 'method="GET",route="/readyz",status="200"'),
    ("http_request_duration_seconds_count", 'method="GET",route="/readyz",status="503"'),
    ("http_request_duration_seconds_count", 'method="other",route="refused",status="505"'),
    ("http_request_duration_seconds_count", 'method="GET",route="/static/(.*)",status="404"'),
    ("http_request_duration_seconds_count", 'method="GET",route="/version",status="200"'),
    ("visits_counted_total", ""),
    ("process_start_time_seconds", ""),
    *(("redis_failures_total", f'reason="{reason}"') for reason in REASONS),
]


@dataclass(frozen=True)
class Phase:
    """So many scrapes of a pod; what is counted is per scrape."""

    steps: int
    good: float = 20
    """Visits answered in time, and counted."""
    late: float = 0
    failed: float = 0
    """Visits answered with 503."""
    uncounted: float = 0
    """Visits answered in time, and not counted."""
    refused: float = 0
    """Requests that were refused unread, with 505."""
    aside: float = 0
    """Requests for a file that is not there, and as many for the version."""
    not_ready: str = ""
    """The reason; empty means ready."""
    redis_fails: str = ""
    """The reason of Redis' failures, at each probe."""
    is_probed: bool = True
    """Whether the kubelet's probes arrive."""
    is_seen: bool = True
    """Whether the scrape was answered."""
    is_there: bool = True
    version: str = "1.0.0"
    restarts: float = 0
    """Whether the process is another one at each scrape: 1, or 0."""

    def pace(self, name: str, labels: str) -> float:
        """What a counter of this name grows by."""
        good = self.good + self.uncounted
        grows = {
            ("http_request_duration_seconds_count", "2"): good + self.late,
            ("http_request_duration_seconds_bucket", "2"): good,
            ("http_request_duration_seconds_count", "5"): self.failed,
            ("http_request_duration_seconds_bucket", "5"): self.failed,
            ("visits_counted_total", ""): self.good + self.late,
            ("process_start_time_seconds", ""): self.restarts,
        }
        if 'route="/readyz"' in labels:
            is_the_answer = ('status="503"' in labels) == bool(self.not_ready)
            return PROBES_A_STEP if self.is_probed and is_the_answer else 0
        if 'route="refused"' in labels:
            return self.refused
        if 'route="/static' in labels or 'route="/version"' in labels:
            return self.aside
        if name == "redis_failures_total":
            return PROBES_A_STEP if f'reason="{self.redis_fails}"' in labels else 0
        status = labels.partition('status="')[2][:1]
        return grows[name, status]


def away(reason: str, steps: int) -> Phase:
    """Redis is, for this reason, not what it should be: the pod is not ready, so nobody comes."""
    return Phase(steps, good=0, not_ready=reason, redis_fails=reason)


def counter(phases: Sequence[Phase], name: str, labels: str) -> str:
    """Its values in promtool's notation, from 0."""
    written, total = [], 0.0
    for phase in phases:
        pace = phase.pace(name, labels)
        written.append(_shown(phase, f"{total:g}+{pace:g}x{phase.steps - 1}"))
        total += pace * phase.steps
    return " ".join(written)


def gauge(phases: Sequence[Phase], values: Sequence[float | None]) -> str:
    """One value a phase; None where there is none."""
    return " ".join(
        _missing(phase.steps) if value is None else _shown(phase, f"{value:g}x{phase.steps - 1}")
        for phase, value in zip(phases, values, strict=True)
    )


def _shown(phase: Phase, values: str) -> str:
    """What a scrape without an answer leaves of a series: nothing."""
    return values if phase.is_seen and phase.is_there else _missing(phase.steps)


def _missing(steps: int) -> str:
    return "stale" if steps == 1 else f"stale _x{steps - 1}"


def gauges_of_pod(target: str, phases: Sequence[Phase]) -> dict[str, str]:
    found = {
        f"up{{{target}}}": " ".join(
            f"{int(phase.is_seen)}x{phase.steps - 1}" if phase.is_there else _missing(phase.steps)
            for phase in phases
        ),
        f"ready{{{target}}}": gauge(phases, [not phase.not_ready for phase in phases]),
    }
    for reason in (*STATES, *REASONS):
        values = [phase.not_ready == reason for phase in phases]
        found[f'not_ready{{{target},reason="{reason}"}}'] = gauge(phases, values)
    for version in dict.fromkeys(phase.version for phase in phases):
        labels = f'{target},version="{version}",commit="{version}",environment="PROD"'
        values_of_version = [1 if phase.version == version else None for phase in phases]
        found[f"build_info{{{labels}}}"] = gauge(phases, values_of_version)
    return found


def series_of_pod(pod: str, number: int, phases: Sequence[Phase]) -> dict[str, str]:
    """All that the alerts read of one pod."""
    target = f'job="shop/shop",pod="{pod}",instance="10.0.0.{number}:8001"'
    found = gauges_of_pod(target, phases)
    for name, labels in COUNTERS:
        found[f"{name}{{{target}{',' if labels else ''}{labels}}}"] = counter(phases, name, labels)
    return found


def series(pods: Sequence[Sequence[Phase]]) -> dict[str, str]:
    """Of several pods, the phases of each."""
    lengths = {sum(phase.steps for phase in phases) for phases in pods}
    assert len(lengths) == 1, f"the pods' phases have {sorted(lengths)} steps"
    every = (series_of_pod(f"shop-{number}", number, phases) for number, phases in enumerate(pods, 1))
    return dict(itertools.chain.from_iterable(one.items() for one in every))
