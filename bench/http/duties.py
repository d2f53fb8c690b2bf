"""Whether a server does its duties: one that does not is not measured.

Asked once before the load, and held against what the load got: the counter, the log and the histogram must
have moved by as many as were answered.
"""

import http.client
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tornado.template import Loader

from app.http.policy import make_policy
from app.settings import Settings
from bench.http.servers import COUNTER, ROOT
from dev.valkey import LOOPBACK

FIELDS = {
    *("level", "request_id", "method", "route", "path", "status", "duration_ms", "client", "user_agent"),
}
TIMES = {"time", "timestamp"}
"""Either name will do."""
AGENT = "bench duties"
LINE_SECONDS = 1.0
"""For a line to be out after its answer."""
HISTOGRAM = re.compile(
    r'^http_request_duration_seconds_count\{method="(\w+)",route="([^"]+)",status="200"\} (\S+)$',
    re.MULTILINE,
)
HEADERS = make_policy(Settings(environment="DEV")).headers


class DutyNotDone(Exception):
    """The message says which, what was expected, and what came."""


class Duties:
    """What one server owes."""

    def __init__(self, port: int, metrics_port: int, log: Path, counter: Callable[[], int]) -> None:
        """`counter` reads Redis."""
        self._port = port
        self._metrics_port = metrics_port
        self._log = log
        self._counter = counter

    def check(self) -> None:
        """Ask for each endpoint. Raises DutyNotDone."""
        self._check_page()
        self._check_counter("GET", counts=False)
        self._check_counter("POST", counts=True)
        made = {self._ask("GET", COUNTER, None)[0]["X-Request-ID"] for _ in range(2)}
        if None in made or len(made) == 1:
            raise DutyNotDone(f"two requests without X-Request-ID got {made}, expected: one made for each")

    def _check_page(self) -> None:
        before = self._counter()
        headers, body = self._exchange("GET", "/")
        self._expect("counter after GET /", before + 1, self._counter())
        self._expect("Content-Type of GET /", "text/html", str(headers["Content-Type"]).partition(";")[0])
        self._expect("page", expected_page(before + 1), comparable(body.decode()))

    def _check_counter(self, method: str, *, counts: bool) -> None:
        expected = self._counter() + counts
        headers, body = self._exchange(method, COUNTER)
        self._expect(f"counter after {method} {COUNTER}", expected, self._counter())
        kind = str(headers["Content-Type"]).partition(";")[0]
        self._expect(f"Content-Type of {method} {COUNTER}", "application/json", kind)
        document = json.loads(body)
        self._expect("document", {"counter": expected, "environment": "DEV"}, document)

    def _exchange(self, method: str, path: str) -> tuple[http.client.HTTPMessage, bytes]:
        """Ask, and check what every answer owes: identity, headers, a line, an observation."""
        request_id = f"bench-{time.monotonic_ns()}"
        observed = self.observed(method, path)
        headers, body = self._ask(method, path, request_id)
        self._expect(f"X-Request-ID of {method} {path}", request_id, headers["X-Request-ID"])
        for name, value in HEADERS.items():
            self._expect(f"{name} of {method} {path}", value, headers[name])
        self._check_line(self._line(request_id), method, path)
        self._expect(f"histogram's count of {method} {path}", observed + 1, self.observed(method, path))
        return headers, body

    def _check_line(self, line: dict[str, Any], method: str, path: str) -> None:
        if missing := FIELDS - line.keys() or (set() if TIMES & line.keys() else {"time"}):
            raise DutyNotDone(f"the access line lacks {', '.join(sorted(missing))}: {line}")
        expected = {"level": "info", "method": method, "route": path, "path": path, "status": 200}
        expected |= {"client": LOOPBACK, "user_agent": AGENT}
        self._expect("access line", expected, {name: line[name] for name in expected})

    def _line(self, request_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + LINE_SECONDS
        while time.monotonic() < deadline:
            for line in self._log.read_text().splitlines():
                if line.startswith("{") and request_id in line:
                    document: dict[str, Any] = json.loads(line)
                    return document
            time.sleep(0.01)
        raise DutyNotDone(f"no access line of request {request_id} within {LINE_SECONDS:g} s")

    def observed(self, method: str, route: str) -> int:
        """Return how many requests the histogram has seen."""
        text = self._ask("GET", "/metrics", None, self._metrics_port)[1].decode()
        counts = {(found[1], found[2]): float(found[3]) for found in HISTOGRAM.finditer(text)}
        return int(counts.get((method, route), 0))

    def _ask(
        self, method: str, path: str, request_id: str | None, port: int | None = None
    ) -> tuple[http.client.HTTPMessage, bytes]:
        headers = {"User-Agent": AGENT} | ({"X-Request-ID": request_id} if request_id else {})
        connection = http.client.HTTPConnection(LOOPBACK, port or self._port, timeout=5)
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise DutyNotDone(f"{method} {path} got no answer: {error!r}") from error
        finally:
            connection.close()
        self._expect(f"status of {method} {path}", 200, response.status)
        return response.headers, body

    def _expect(self, what: str, expected: object, got: object) -> None:
        if expected != got:
            raise DutyNotDone(f"{what} is {got!r}, expected: {expected!r}")


def expected_page(counter: int) -> str:
    """Return this service's page as `comparable` gives it."""
    template = Loader(str(ROOT / "app" / "templates")).load("page.html")
    values = {"counter": counter, "environment": "DEV", "static_url": "/static/{}".format}
    return comparable(template.generate(**values).decode())


def comparable(page: str) -> str:
    """Return a page without what may differ: white space, and the hash in a static file's URL."""
    return re.sub(r"\s+", " ", re.sub(r"\?v=\w+", "", page)).replace("> <", "><").strip()
