"""Document the metrics in docs/metrics.md, from the code that makes them.

python -m dev.metrics_docs           # write it (`make docs`)
python -m dev.metrics_docs --check   # exit 1 if it is not as it would be written
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from app.counting import counting
from app.handlers.base import BaseHandler
from app.handlers.metrics import metrics_routes
from app.handlers.probes import probe_routes
from app.handlers.static import StaticHandler
from app.handlers.version import version_routes
from app.health import NOT_READY, Health
from app.http.connections import Connections
from app.http.metrics import HttpMetrics
from app.http.policy import make_policy
from app.http.refusals import REFUSED
from app.server import expect_requests
from app.settings import Settings
from app.telemetry.metrics import METHODS, OTHER_METHOD, Metrics
from app.workers.metrics import workers_gauge
from dev.values_docs import row

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "metrics.md"

INTRODUCTION = """\
<!-- Made from the code by `make docs`: change the metrics in app/, or dev/metrics_docs.py. -->
# Metrics

What `GET /metrics` of the admin listener (`ADMIN_PORT`) shows, in Prometheus' text format. All of it is there
from the first scrape: each counter begins at 0 for every value of its labels, so that `rate` and `increase`
see the first event, too. `http_request_duration_seconds` begins so for the statuses 200, 500 and 503 of what
visitors ask for; its other series begin with their first request. Every label has a fixed set of values: no
visitor can make a new one.

A histogram has the series `…_bucket` (with the label `le`), `…_sum` and `…_count`. With several
[workers](workers.md#metrics) a counter or a histogram shows the sum of all, those that ended included; the
last column says what a gauge shows.
"""
REASONS = """\
## The reasons

`http_requests_refused_total`: the answer is an error, and no handler has done anything for it.

| reason | answered with | when |
|---|---|---|
| `full` | 503 | `MAX_IN_FLIGHT` requests have places already |
| `host` | 400 | `ALLOWED_HOSTS` does not name the host that is asked for |
| `invalid` | 400, 505 | it is no valid HTTP/1.1 or HTTP/1.0, or has a request ID that is none |
| `too large` | 413, 414, 431 | its body, target or headers exceed `MAX_BODY_SIZE` or `MAX_HEADER_SIZE` |
| `too slow` | 408 | its body did not arrive within `BODY_TIMEOUT` |

`http_connections_dropped_total`: the client did nothing to end it.

| reason | when |
|---|---|
| `made room` | it was idle, or its request was yet to arrive, when a new one needed the room |
| `no room` | it was new, and all the others are busy |
| `unread answer` | its client takes nothing of its answer, or too much of it waits |

`redis_failures_total` and `not_ready` have the words that `/readyz` says. In `redis_failures_total` there is
`refused`, too: Redis did not know the writer of a batch, as after a restart without its data. `not_ready` has
`starting` and `draining`, and `error` stands for what nobody expected. `refused command` is an error reply
that is in no list.

A check of `/readyz` is two commands, and `redis_command_duration_seconds` observes each. In a Redis Cluster
`redis_reconnects_total` has also the first connection to each further node.
"""
UNITS = (
    (r"_seconds(_total)?$", "seconds"),
    (r"_bytes$", "bytes"),
    (r"_fds$", "file descriptors"),
    (r"_info$|^(not_)?ready$", "1 or 0"),
    (r"^http_requests?_", "requests"),
    (r"^http_connections_", "connections"),
    (r"^visits_|^visit_batch_size$", "visits"),
    (r"^visit_batches_", "batches"),
    (r"^visit_batch_resends_", "copies"),
    (r"^visit_writers_", "writers"),
    (r"^redis_failures_", "failures"),
    (r"^redis_reconnects_", "connections"),
    (r"^workers$", "processes"),
    (r"^python_gc_objects_", "objects"),
    (r"^python_gc_collections_", "collections"),
)
"""The first that fits a name says what its values count."""
OF_WORKERS = {"livesum": "sum", "livemin": "least", "livemax": "greatest"}
"""By prometheus_client's own name."""


def open_labels(routes: list[str]) -> dict[str, str]:
    """What the values of labels are that are not all there from the start."""
    return {
        "method": ", ".join(f"`{method}`" for method in [*sorted(METHODS), OTHER_METHOD]),
        "route": ", ".join(f"`{one}`" for one in routes),
        "status": "the answer's",
        "version": "`VERSION`, or Python's",
        "commit": "`GIT_COMMIT`",
        "environment": "`ENVIRONMENT`",
        "implementation": "Python's",
        "major": "Python's",
        "minor": "Python's",
        "patchlevel": "Python's",
    }


def all_of_them() -> tuple[CollectorRegistry, list[str]]:
    """Make every metric as app/server.py and app/workers do; return them, and the routes that there are."""
    settings = Settings()
    metrics = Metrics(settings)
    policy = make_policy(settings)
    feature = counting(settings, metrics)
    health = Health(feature.needs, feature.check)
    HttpMetrics(metrics).watch(policy, Connections(policy))
    metrics.watch_health(health.found, {*NOT_READY, *feature.reasons})
    expect_requests(metrics, feature)
    workers_gauge(metrics.registry)
    routes = [*feature.routes, *probe_routes(health), *version_routes(), *metrics_routes(metrics)]
    named = [str(route.handler_class.route) for route in routes]
    return metrics.registry, [*named, StaticHandler.route, BaseHandler.route, REFUSED]


def families(registry: CollectorRegistry) -> Iterator[tuple[Metric, str]]:
    """Yield each metric, and what several workers show of it."""
    for collector in list(registry._collector_to_names):
        mode = getattr(collector, "_multiprocess_mode", "")
        for family in collector.collect():
            yield family, OF_WORKERS.get(mode, "")


def shown_name(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def unit_of(name: str) -> str:
    found = next((unit for pattern, unit in UNITS if re.search(pattern, name)), None)
    if found is None:
        raise SystemExit(f"dev/metrics_docs.py: {name} has no unit: add one to UNITS")
    return found


def labels_of(family: Metric, known: dict[str, str]) -> str:
    """Say which labels there are, with their values."""
    values: dict[str, dict[str, None]] = {}
    for sample in family.samples:
        for label, value in sample.labels.items():
            values.setdefault(label, {})[value] = None
    values.pop("le", None)
    return "; ".join(
        f"**{label}**: {known.get(label) or ', '.join(f'`{value}`' for value in values[label])}"
        for label in values
    )


def of_workers(family: Metric, mode: str) -> str:
    if family.name.startswith("process_"):
        return "each by the label **worker**: `0` …, `arbiter`"
    if family.name.startswith("python_gc_"):
        return "not there"
    if family.name == "python_info":
        return "once"
    return mode


def written() -> str:
    """The page as it should be."""
    registry, routes = all_of_them()
    known = open_labels(routes)
    chapters: dict[str, list[str]] = {"## The service\n": [], "## The process and Python\n": []}
    own, foreign = chapters.values()
    for family, mode in sorted(families(registry), key=lambda one: shown_name(one[0])):
        name = shown_name(family)
        is_foreign = family.name.startswith(("process_", "python_"))
        meaning = family.documentation.rstrip(".")
        cells = meaning, family.type, unit_of(name), labels_of(family, known), of_workers(family, mode)
        (foreign if is_foreign else own).append(row(f"`{name}`", *cells))
    head = "| metric | meaning | type | unit | labels | of several workers |\n|---|---|---|---|---|---|\n"
    tables = [f"{title}\n{head}" + "\n".join(rows) + "\n" for title, rows in chapters.items()]
    return "\n".join([INTRODUCTION, tables[0], REASONS, tables[1]])


def main() -> int:
    if "--check" in sys.argv[1:]:
        is_stale = not PAGE.exists() or PAGE.read_text() != written()
        if is_stale:
            print("docs/metrics.md is not what the code says: run `make docs`", file=sys.stderr)
        return int(is_stale)
    PAGE.write_text(written())
    return 0


if __name__ == "__main__":
    sys.exit(main())
