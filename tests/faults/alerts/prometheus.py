"""A real Prometheus that scrapes the service and evaluates the chart's alerts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from dev import prometheus
from dev.valkey import LOOPBACK
from tests.alerts.promtool import written
from tests.alerts.scenario import bell
from tests.deploy.charts import Document

JOB = "shop/shop"
"""As the operator calls the PodMonitor's targets."""
SCRAPE = "2s"


class Firing(NamedTuple):
    """When an alert fired, in seconds of the clock."""

    first: float
    last: float


class Prometheus(prometheus.Prometheus):
    """One process with nothing but these rules and targets."""

    def __init__(self, folder: Path, rules: list[Document]) -> None:
        self._targets = folder / "targets.json"
        every = {"evaluation_interval": "1s", "scrape_interval": SCRAPE, "scrape_timeout": SCRAPE}
        scrape = {"job_name": JOB, "file_sd_configs": [{"files": [str(self._targets)]}]}
        folder.mkdir()
        rule_file = str(written(folder, rules))
        super().__init__(
            folder / "process", {"global": every, "rule_files": [rule_file], "scrape_configs": [scrape]}
        )
        self.see({})

    def see(self, pods: Mapping[str, int]) -> None:
        """Scrape these from now on, or once it runs: each pod's admin listener, by the pod's name."""
        groups = [{"targets": [f"{LOOPBACK}:{port}"], "labels": {"pod": name}} for name, port in pods.items()]
        # Replaced at once: it may be read at any moment.
        new = self._targets.with_suffix(".new")
        new.write_text(json.dumps(groups))
        new.replace(self._targets)

    def sees(self, pods: int) -> bool:
        """Whether so many targets answered their last scrape, and their counters are known."""
        found = self.query("count(up == 1 and on (pod) ready)")
        return bool(found) and int(found[0]["value"][1]) == pods

    def firing(self) -> set[str]:
        """The alerts that fire at this moment, as a scenario names them."""
        alerts = self.ask("alerts")["alerts"]
        return {bell(one["labels"]) for one in alerts if one["state"] == "firing"}

    def fired(self, since: float) -> dict[str, Firing]:
        """Every alert that has fired since then."""
        moments: dict[str, list[float]] = {}
        for series in self.query('ALERTS{alertstate="firing"}[1h]'):
            found = moments.setdefault(bell(series["metric"]), [])
            found += [moment for moment, _ in series["values"] if moment >= since]
        return {name: Firing(min(found), max(found)) for name, found in moments.items() if found}
