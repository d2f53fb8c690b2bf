"""What the dashboard shows, row by row: the source of dev/dashboard.py."""

from collections.abc import Sequence
from dataclasses import dataclass

PODS = 'job="<job>"'
VISITS = f'{PODS},route!~"/healthz|/readyz|/metrics|/version|/static/.*|unmatched|refused"'
FAILED = f'{VISITS},status=~"5.."'
ANSWERED = f'{VISITS},status!~"5.."'
IN_TIME = f'{ANSWERED},le="<le>"'
PAGES = f'{PODS},method="GET",route="/"'
POSTS = f'{PODS},method="POST",route="/api/v1/counter"'
REQUESTS = "http_request_duration_seconds"
COUNT = f"{REQUESTS}_count"
RATE = "$__rate_interval"


@dataclass(frozen=True)
class Query:
    """One PromQL expression, and how its series are called."""

    expression: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """One picture: what it shows, and what a reader is to make of it."""

    title: str
    meaning: str
    queries: Sequence[Query]
    unit: str = "short"
    kind: str = "timeseries"
    stacked: bool = False


@dataclass(frozen=True)
class Row:
    title: str
    panels: Sequence[Panel]


def rate(metric: str, labels: str = PODS, by: str = "") -> str:
    """How often a second, of all pods."""
    return f"sum{f' by ({by}) ' if by else ''}(rate({metric}{{{labels}}}[{RATE}]))"


def or_none(expression: str) -> str:
    """With 0 where there is nothing of the kind yet."""
    return f"({expression} or vector(0))"


def within(quantile: float, histogram: str, labels: str = PODS, by: str = "le") -> str:
    return f"histogram_quantile({quantile}, {rate(f'{histogram}_bucket', labels, by)})"


ROWS = [
    Row(
        "Are visitors served?",
        [
            Panel(
                "Pods that are ready",
                "0: nobody is served, though the service's own ratio of good answers stays perfect.",
                [Query(f"sum(ready{{{PODS}}})", "ready"), Query(f"count(ready{{{PODS}}})", "seen")],
                kind="stat",
            ),
            Panel(
                "Answers",
                "To visitors, by status. Without probes and scrapes.",
                [Query(rate(COUNT, VISITS, "status"), "{{status}}")],
                unit="reqps",
                stacked=True,
            ),
            Panel(
                "Failed",
                "Share of the visitors' requests answered with 5xx. The objective: <objective> % are not.",
                [
                    Query(
                        f"{or_none(rate(COUNT, FAILED))} / {rate(COUNT, VISITS)}",
                        "failed",
                    )
                ],
                unit="percentunit",
            ),
            Panel(
                "Visits counted",
                "Beside those asked for: where they part, visitors come and are not counted.",
                [
                    Query(rate("visits_counted_total"), "counted"),
                    Query(
                        f"{or_none(rate(COUNT, PAGES))} + {or_none(rate(COUNT, POSTS))}",
                        "asked for",
                    ),
                ],
                unit="reqps",
            ),
            Panel(
                "Turned away",
                "Refused requests, those given up after REQUEST_TIMEOUT, and dropped connections.",
                [
                    Query(rate("http_requests_refused_total", by="reason"), "refused: {{reason}}"),
                    Query(rate("http_request_timeouts_total"), "timed out"),
                    Query(rate("http_connections_dropped_total", by="reason"), "dropped: {{reason}}"),
                ],
                unit="reqps",
            ),
        ],
    ),
    Row(
        "How fast?",
        [
            Panel(
                "Time to answer",
                "Of visitors' requests.",
                [Query(within(part, REQUESTS, VISITS), f"{part:.0%} within") for part in (0.5, 0.9, 0.99)],
                unit="s",
            ),
            Panel(
                "Late",
                "Share of answers after <latencySeconds> s. The objective: <latencyObjective> % are in time.",
                [
                    Query(
                        f"1 - {rate(f'{REQUESTS}_bucket', IN_TIME)} / {rate(COUNT, ANSWERED)}",
                        "late",
                    )
                ],
                unit="percentunit",
            ),
            Panel(
                "At work",
                "Requests in flight, and those that rest: one before on their connection found no place.",
                [
                    Query(f"sum(http_requests_in_flight{{{PODS}}})", "in flight"),
                    Query(f"sum(http_requests_resting{{{PODS}}})", "resting"),
                ],
            ),
            Panel(
                "Lag of the event loop",
                "How late a timer fires: everything in the pod waits that long.",
                [
                    Query(
                        within(0.99, "event_loop_lag_seconds"),
                        "99% within",
                    )
                ],
                unit="s",
            ),
        ],
    ),
    Row(
        "Is Redis well?",
        [
            Panel(
                "Failures",
                "By reason. The probes ask, too, so a Redis that is away shows without visitors.",
                [Query(rate("redis_failures_total", by="reason"), "{{reason}}")],
                unit="ops",
            ),
            Panel(
                "Time of a command",
                "99 of 100 took less.",
                [
                    Query(
                        within(0.99, "redis_command_duration_seconds", by="le, command"),
                        "{{command}}",
                    )
                ],
                unit="s",
            ),
            Panel(
                "Visits a batch",
                "The more visitors come at once, the more one command counts.",
                [
                    Query(
                        f"{rate('visit_batch_size_sum')} / {rate('visit_batch_size_count')}",
                        "visits",
                    ),
                    Query(rate("visit_batches_total"), "batches a second"),
                ],
            ),
            Panel(
                "Doubt",
                "Batches whose answer was lost, copies sent again, writers given up, connections made anew.",
                [
                    Query(rate("visit_batches_in_doubt_total"), "in doubt"),
                    Query(rate("visit_batch_resends_total"), "sent again"),
                    Query(rate("visit_writers_given_up_total"), "given up"),
                    Query(rate("redis_reconnects_total"), "reconnects"),
                ],
                unit="ops",
            ),
        ],
    ),
    Row(
        "What changed?",
        [
            Panel(
                "Pods by version",
                "Two versions side by side are a rollout. Deploys are the marks in every picture.",
                [Query(f"count by (version, commit) (build_info{{{PODS}}})", "{{version}} {{commit}}")],
                stacked=True,
            ),
            Panel(
                "Processes begun",
                "Restarts and new pods.",
                [
                    Query(
                        f"sum by (pod) (changes(process_start_time_seconds{{{PODS}}}[{RATE}]))",
                        "{{pod}} restarted",
                    )
                ],
            ),
        ],
    ),
    Row(
        "Pods",
        [
            Panel(
                "Not ready",
                "Pods by the reason that /readyz gives.",
                [Query(f"sum by (reason) (not_ready{{{PODS}}}) > 0", "{{reason}}")],
            ),
            Panel(
                "CPU",
                "Cores, a pod each. One process uses one at most.",
                [Query(f"rate(process_cpu_seconds_total{{{PODS}}}[{RATE}])", "{{pod}}")],
            ),
            Panel(
                "Memory",
                "Resident, a pod each.",
                [Query(f"process_resident_memory_bytes{{{PODS}}}", "{{pod}}")],
                unit="bytes",
            ),
            Panel(
                "Connections",
                "Of visitors and proxies; idle ones ask for nothing.",
                [
                    Query(f"sum by (pod) (http_connections_open{{{PODS}}})", "{{pod}} open"),
                    Query(f"sum by (pod) (http_connections_idle{{{PODS}}})", "{{pod}} idle"),
                ],
            ),
            Panel(
                "Open files",
                "Share of what the process may open.",
                [Query(f"process_open_fds{{{PODS}}} / process_max_fds{{{PODS}}}", "{{pod}}")],
                unit="percentunit",
            ),
        ],
    ),
]

DEPLOYS = (
    f"count by (version, commit) (build_info{{{PODS}}}) "
    f"unless count by (version, commit) (build_info{{{PODS}}} offset 5m)"
)
"""A version that was not there five minutes ago."""
