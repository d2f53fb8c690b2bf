"""A real Prometheus on this machine: the program `prometheus`, from PATH."""

import http.client
import json
import shutil
import subprocess
import time
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from dev.valkey import LOOPBACK, free_port

PROGRAM = "prometheus"
STARTUP_SECONDS = 60.0
PATIENCE = 30.0
Series = dict[str, Any]
"""As Prometheus writes it: `metric`, its labels, and `value` or `values`."""


class PrometheusError(Exception):
    """It did not start, or refused a question; the message says why."""


def is_here() -> bool:
    return shutil.which(PROGRAM) is not None


def version() -> str:
    """What the program says of itself: `Prometheus 3.5.0`. Raises PrometheusError."""
    if not is_here():
        raise PrometheusError(
            f"{PROGRAM} is not on PATH: install Prometheus 3, or add the folder of its program to PATH"
        )
    done = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True)
    return f"Prometheus {done.stdout.split()[2]}"


class Prometheus:
    """One process with a configuration of its own, and nothing from before.

    `with Prometheus(folder, {"scrape_configs": […]}) as prometheus:` it scrapes until the block ends.
    """

    def __init__(self, folder: Path, configuration: Mapping[str, Any]) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        # JSON is YAML.
        (folder / "prometheus.yaml").write_text(json.dumps(configuration))

    def __enter__(self) -> Self:
        """Start and wait until it answers. Raises PrometheusError."""
        version()
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(PROGRAM, f"--config.file={self._folder / 'prometheus.yaml'}", "--log.level=warn"),
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address={LOOPBACK}:{self._port}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def query(self, expression: str, at: float | None = None) -> list[Series]:
        """What an expression is at a moment, by default now. Raises PrometheusError."""
        moment = {} if at is None else {"time": str(at)}
        return self._result("query", {"query": expression, **moment})

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """What it is every `step` seconds. Raises PrometheusError."""
        given = {"query": expression, "start": str(start), "end": str(end), "step": str(step)}
        return self._result("query_range", given)

    def ask(self, path: str, given: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - as asked
        """The data of an answer of its API, /api/v1/<path>. Raises PrometheusError."""
        target = f"/api/v1/{path}?{urllib.parse.urlencode(given or {})}"
        try:
            status, body = self._get(target)
        except OSError as error:
            raise PrometheusError(
                f"Prometheus does not answer {target}: {error}; {self._last_words()}"
            ) from None
        if status != http.client.OK:
            raise PrometheusError(
                f"Prometheus answers {status} to {path} {dict(given or {})}: {body.decode()}"
            )
        return json.loads(body)["data"]

    def _result(self, path: str, given: Mapping[str, str]) -> list[Series]:
        found: list[Series] = self.ask(path, given)["result"]
        return found

    def _get(self, target: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=PATIENCE)
        try:
            connection.request("GET", target)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + STARTUP_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if self._get("/-/ready")[0] == http.client.OK:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise PrometheusError(f"Prometheus did not start within {STARTUP_SECONDS:g} s; {self._last_words()}")

    def _last_words(self) -> str:
        log = self._folder / "log"
        return f"{log} ends with: {' '.join(log.read_text().splitlines()[-1:]) or 'nothing'}"
