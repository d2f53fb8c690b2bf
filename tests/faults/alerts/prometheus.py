"""A real Prometheus that scrapes the service and evaluates the chart's alerts."""

import http.client
import json
import shutil
import subprocess
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import yaml

from dev.valkey import LOOPBACK, free_port
from tests.alerts.promtool import written
from tests.alerts.scenario import bell
from tests.deploy.charts import Document
from tests.service import PATIENCE, eventually

NO_PROMETHEUS = "prometheus is not on PATH: it is in the archive of a release of Prometheus 3"
JOB = "shop/shop"
"""As the operator calls the PodMonitor's targets."""
SCRAPE = "2s"
STARTUP_SECONDS = 60.0


class Firing(NamedTuple):
    """When an alert fired, in seconds of the clock."""

    first: float
    last: float


def version() -> str:
    """What the program says of itself: `Prometheus 3.5.0`."""
    done = subprocess.run(["prometheus", "--version"], capture_output=True, text=True, check=True)
    return f"Prometheus {done.stdout.split()[2]}"


def is_here() -> bool:
    return shutil.which("prometheus") is not None


class Prometheus:
    """One process with nothing but these rules and targets."""

    def __init__(self, folder: Path, rules: list[Document]) -> None:
        folder.mkdir()
        self._port = free_port()
        self._folder = folder
        self._targets = folder / "targets.json"
        self.see({})
        scrape = {"job_name": JOB, "file_sd_configs": [{"files": [str(self._targets)]}]}
        every = {"evaluation_interval": "1s", "scrape_interval": SCRAPE, "scrape_timeout": SCRAPE}
        configuration = {
            "global": every,
            "rule_files": [str(written(folder, rules))],
            "scrape_configs": [scrape],
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))

    def see(self, pods: Mapping[str, int]) -> None:
        """Scrape these from now on, or once it runs: each pod's admin listener, by the pod's name."""
        groups = [{"targets": [f"{LOOPBACK}:{port}"], "labels": {"pod": name}} for name, port in pods.items()]
        # Replaced at once: it may be read at any moment.
        new = self._targets.with_suffix(".new")
        new.write_text(json.dumps(groups))
        new.replace(self._targets)

    def __enter__(self) -> Self:
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *("prometheus", f"--config.file={self._folder / 'prometheus.yaml'}"),
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    *(f"--web.listen-address={LOOPBACK}:{self._port}", "--log.level=warn"),
                ],
                stdout=log,
                stderr=log,
            )
        try:
            eventually(self._is_ready, "Prometheus is ready", STARTUP_SECONDS)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(STARTUP_SECONDS)

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, (self._folder / "log").read_text()
        try:
            return self._get("/-/ready")[0] == 200
        except OSError:
            return False

    def _get(self, target: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=PATIENCE)
        try:
            connection.request("GET", target)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _ask(self, target: str) -> Any:  # noqa: ANN401 - as different as what is asked for
        status, body = self._get(f"/api/v1/{target}")
        assert status == 200, body
        return json.loads(body)["data"]

    def query(self, expression: str) -> Sequence[Any]:
        found: Sequence[Any] = self._ask(f"query?{urllib.parse.urlencode({'query': expression})}")["result"]
        return found

    def sees(self, pods: int) -> bool:
        """Whether so many targets answered their last scrape, and their counters are known."""
        found = self.query("count(up == 1 and on (pod) ready)")
        return bool(found) and int(found[0]["value"][1]) == pods

    def firing(self) -> set[str]:
        """The alerts that fire at this moment, as a scenario names them."""
        alerts = self._ask("alerts")["alerts"]
        return {bell(one["labels"]) for one in alerts if one["state"] == "firing"}

    def fired(self, since: float) -> dict[str, Firing]:
        """Every alert that has fired since then."""
        moments: dict[str, list[float]] = {}
        for series in self.query('ALERTS{alertstate="firing"}[1h]'):
            found = moments.setdefault(bell(series["metric"]), [])
            found += [moment for moment, _ in series["values"] if moment >= since]
        return {name: Firing(min(found), max(found)) for name, found in moments.items() if found}
