"""A server that does not do its duties is not measured."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from app.http.policy import make_policy
from app.settings import Settings
from bench.http.duties import Duties, DutyNotDone, comparable, expected_page
from bench.http.measure import check_moved
from bench.http.peers.headers import SECURITY_HEADERS, request_id_of
from bench.http.servers import COUNTER, ROOT, SERVERS, NotRunning, Server, running

TEMPLATE = ROOT / "bench" / "http" / "peers" / "templates" / "page.html"
LIES = {
    "does not count": "counter after GET / is 0, expected: 1",
    "counts reads": f"counter after GET {COUNTER} is 2, expected: 1",
    "shows another page": "page is",
    "shows another number": "document is",
    "sends no identity": "X-Request-ID of GET / is None",
    "makes one identity for all": "expected: one made for each",
    "sends no policy": "Content-Security-Policy of GET / is None",
    "logs nothing": "no access line of request",
    "logs no user agent": "the access line lacks user_agent",
    "logs another status": "access line is",
    "observes nothing": "histogram's count of GET / is 0, expected: 1",
    "answers 500": "status of GET / is 500, expected: 200",
}


class Peer(ThreadingHTTPServer):
    """Does its duties, but for one lie."""

    daemon_threads = True

    def __init__(self, log: Path, lie: str = "") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.log, self.lie, self.counter = log, lie, 0
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "http_request_duration_seconds", "-", ("method", "route", "status"), registry=self.registry
        )
        log.touch()

    def duties(self) -> Duties:
        return Duties(self.server_port, self.server_port, self.log, lambda: self.counter)


class Handler(BaseHTTPRequestHandler):
    """One request to it."""

    server: Peer

    def do_GET(self) -> None:
        lie = self.server.lie
        if self.path == "/metrics":
            self.answer(200, "text/plain", generate_latest(self.server.registry).decode(), "-")
            return
        if self.path == "/" or self.command == "POST" or lie == "counts reads":
            self.server.counter += lie != "does not count"
        request_id = request_id_of(self.headers["X-Request-ID"])
        if lie == "makes one identity for all" and not self.headers["X-Request-ID"]:
            request_id = "0"
        self.report(request_id)
        status = 500 if lie == "answers 500" else 200
        if self.path == "/":
            page = TEMPLATE.read_text().replace("{{ environment }}", "DEV")
            page = page.replace("{{ counter }}", str(self.server.counter))
            self.answer(status, "text/html", "Hello" if lie == "shows another page" else page, request_id)
        else:
            told = self.server.counter + (lie == "shows another number")
            body = json.dumps({"counter": told, "environment": "DEV"})
            self.answer(status, "application/json", body, request_id)

    do_POST = do_GET  # noqa: N815 - the library's name

    def report(self, request_id: str) -> None:
        lie = self.server.lie
        line: dict[str, object] = {
            "time": "now",
            "level": "info",
            "request_id": request_id,
            "method": self.command,
        }
        line |= {"route": self.path, "path": self.path, "duration_ms": 1.0, "client": "127.0.0.1"}
        line["status"] = 204 if lie == "logs another status" else 200
        if lie != "logs no user agent":
            line["user_agent"] = self.headers["User-Agent"]
        if lie != "logs nothing":
            with self.server.log.open("a") as log:
                log.write(json.dumps(line) + "\n")
        if lie != "observes nothing":
            self.server.requests.labels(self.command, self.path, "200").observe(0.001)

    def answer(self, status: int, kind: str, body: str, request_id: str) -> None:
        self.send_response(status)
        headers = SECURITY_HEADERS | {"X-Request-ID": request_id, "Content-Type": kind}
        unsent = {"sends no identity": "X-Request-ID", "sends no policy": "Content-Security-Policy"}
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            if name != unsent.get(self.server.lie):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Not to standard error."""


@pytest.fixture
def peer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Peer]:
    with Peer(tmp_path / "log", getattr(request, "param", "")) as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.01,))
        thread.start()
        yield served
        served.shutdown()
        thread.join()


def test_a_server_that_does_its_duties_is_measured(peer: Peer) -> None:
    peer.duties().check()
    assert peer.counter == 2


@pytest.mark.parametrize(("peer", "complaint"), LIES.items(), indirect=["peer"], ids=LIES)
def test_a_server_that_lies_is_not_measured(peer: Peer, complaint: str) -> None:
    with pytest.raises(DutyNotDone) as raised:
        peer.duties().check()
    assert complaint in str(raised.value)


@pytest.mark.parametrize(("moved", "done"), [(999, False), (1000, True), (1128, True), (1145, False)])
def test_what_the_load_got_is_held_against_the_books(moved: int, done: bool) -> None:
    if done:
        check_moved("the counter", moved, 1000)
    else:
        with pytest.raises(DutyNotDone, match=f"the counter moved by {moved} for 1000 answers"):
            check_moved("the counter", moved, 1000)


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    # A server of the service's kind, as that runs on this Python.
    broken = Server("broken", "service", ("-c", "raise SystemExit('no such thing')"), ())
    with (
        pytest.raises(NotRunning, match="broken ended with 1 before it answered; it said: no such thing"),
        running(broken, 1, tmp_path),
    ):
        pass


def test_peers_send_and_show_what_the_service_does() -> None:
    assert make_policy(Settings()).headers == SECURITY_HEADERS
    page = TEMPLATE.read_text().replace("{{ environment }}", "DEV").replace("{{ counter }}", "7")
    assert comparable(page) == expected_page(7)


def test_every_server_has_its_module() -> None:
    for server in SERVERS:
        modules = [argument for argument in server.arguments if argument.startswith("bench.http.peers.")]
        for module in modules:
            path = module.partition(":")[0].replace(".", "/")
            assert (ROOT / f"{path}.py").is_file(), server
        assert modules or server.python == sys.executable
