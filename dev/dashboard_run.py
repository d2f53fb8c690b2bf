"""Run the service, Redis and Prometheus, let things happen, and ask every query of the dashboard.

python -m dev.dashboard_run FILE   # writes what dev/dashboard_picture.py draws; `make dashboard`
"""

import hashlib
import json
import math
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from dev import dashboard, dashboard_story as story
from dev.prometheus import Prometheus, PrometheusError, version
from tests.deploy.charts import PROJECT, SERVICE, Document, Values, document
from tests.faults.service.products import valkey

SCRAPE = 5
"""Seconds between scrapes; by default a PodMonitor's are longer, and these few minutes too short for it."""
LEAD = 375.0
"""Seconds that all runs before the picture begins: a version is marked as a deploy for its first 5 minutes,
and the marks are asked for from the full minute on."""
VALUES: Values = {
    "monitoring": {
        "podMonitor": {"enabled": True, "interval": f"{SCRAPE}s"},
        "dashboard": {"enabled": True},
    }
}
LEGEND = re.compile(r"\{\{ *(\w+) *\}\}")
EXIT_FAILED, EXIT_USAGE = 1, 2


def rendered() -> Document:
    """The dashboard that the chart gives to Grafana."""
    (text,) = document(SERVICE, "ConfigMap", values=VALUES, name=f"{PROJECT}-dashboard")["data"].values()
    found: Document = json.loads(text)
    return found


def scrape(targets: Path) -> tuple[Document, dict[str, str]]:
    """The scrape that the operator makes of the chart's PodMonitor, and the labels that all targets have."""
    monitor = document(SERVICE, "PodMonitor", values=VALUES)
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    (container,) = document(SERVICE, "Deployment")["spec"]["template"]["spec"]["containers"]
    labels = {"namespace": PROJECT, "container": container["name"], "endpoint": endpoint["port"]}
    configuration = {
        "job_name": f"{PROJECT}/{monitor['metadata']['name']}",
        "metrics_path": endpoint["path"],
        "scrape_interval": endpoint["interval"],
        "scrape_timeout": endpoint["interval"],
        "file_sd_configs": [{"files": [str(targets)]}],
    }
    return configuration, labels


def digest() -> str:
    """Changes with any query of the dashboard."""
    return hashlib.sha256("\n".join(dashboard.queries()).encode()).hexdigest()[:16]


def as_grafana_asks(expression: str) -> str:
    """With its variable in place: 4 scrapes, or a step and a scrape if that is more; a step is one scrape."""
    return expression.replace("$__rate_interval", f"{4 * SCRAPE}s")


def named(legend: str, labels: dict[str, str]) -> str:
    """A series' name as Grafana writes it."""
    return LEGEND.sub(lambda found: labels.get(found[1], ""), legend).strip()


def drawable(values: Sequence[tuple[float, str]]) -> list[tuple[float, float | None]]:
    """NaN, where there is nothing to divide by, as a gap."""
    numbers = [(moment, float(value)) for moment, value in values]
    return [(moment, value if math.isfinite(value) else None) for moment, value in numbers]


def series(prometheus: Prometheus, target: Document, start: int, end: int) -> list[Document]:
    """What a query finds. Raises PrometheusError if that is nothing."""
    expression = as_grafana_asks(target["expr"])
    found = [
        {"name": named(target["legendFormat"], one["metric"]), "values": drawable(one["values"])}
        for one in prometheus.query_range(expression, start, end, SCRAPE)
    ]
    if not any(value is not None for one in found for _, value in one["values"]):
        raise PrometheusError(f"no series: {expression}")
    return found


def marks(prometheus: Prometheus, annotation: Document, start: int, end: int) -> list[Document]:
    """The deploys, as Grafana marks them: its moments one step apart are one mark."""
    step = int(annotation["step"].removesuffix("s"))
    first = start - start % step
    return [
        {"name": named(annotation["titleFormat"], one["metric"]), "from": one["values"][0][0]}
        for one in prometheus.query_range(as_grafana_asks(annotation["expr"]), first, end, step)
    ]


def asked(prometheus: Prometheus, start: int, end: int) -> Document:
    """Every panel with its series. Raises PrometheusError, which names each query that found none."""
    what = rendered()
    wrong: list[str] = []
    for panel in what["panels"]:
        panel["series"] = []
        for target in panel.get("targets", []):
            try:
                panel["series"] += series(prometheus, target, start, end)
            except PrometheusError as error:
                wrong.append(f"{panel['title']}, {target['legendFormat']}: {error}")
    (annotation,) = what["annotations"]["list"]
    deploys = marks(prometheus, annotation, start, end)
    if not deploys:
        wrong.append(f"{annotation['name']}: no series: {annotation['expr']}")
    if wrong:
        raise PrometheusError("; ".join(wrong))
    return {"title": what["title"], "panels": what["panels"], "marks": deploys}


def run(folder: Path) -> Document:
    """All of it, in some 12 minutes."""
    targets = folder / "targets.json"
    configuration, labels = scrape(targets)
    with story.Cluster(folder, targets, labels) as cluster:
        with Prometheus(folder / "prometheus", {"scrape_configs": [configuration]}) as prometheus:
            print(f"dashboard: {LEAD:g} s without trouble", flush=True)
            began = time.time() + LEAD
            time.sleep(LEAD)
            happened = story.told(cluster, began)
            start = math.ceil(began / SCRAPE) * SCRAPE
            found = asked(prometheus, start, int(start + story.SECONDS))
    span = {"start": start, "end": start + story.SECONDS, "step": SCRAPE}
    return {**found, **span, "happened": happened, "ran": f"{version()}, {valkey()}", "digest": digest()}


def main() -> int:
    if len(sys.argv) != 2:  # noqa: PLR2004 - its own name and the file
        print("usage: python -m dev.dashboard_run FILE", file=sys.stderr)
        return EXIT_USAGE
    try:
        version()
        with tempfile.TemporaryDirectory() as folder:
            found = run(Path(folder))
    except PrometheusError as error:
        print(f"dashboard: {error}", file=sys.stderr)
        return EXIT_FAILED
    file = Path(sys.argv[1])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
