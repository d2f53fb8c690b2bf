"""A service that answers as deploy/good_answers.sh wants it to, or worse."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class AnsweringService(ThreadingHTTPServer):
    """Counts as the real one does; a test makes it worse by its attributes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.counter = 0
        self.requests: list[str] = []
        self.step = 1
        self.error_every = 0
        self.error_status = 500
        self.seconds = 0.0
        # The number of the request whose answer ends before it is whole.
        self.cut_at = 0
        self.ports: list[tuple[str, int]] = []
        self.digest = "sha256:ab"
        self.caching = "no-store"
        self.environment = "DEV"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answering(BaseHTTPRequestHandler):
    """One connection of it."""

    protocol_version = "HTTP/1.1"
    server: AnsweringService

    def answer(self, status: int, body: str, kind: str = "application/json") -> None:
        content = body.encode()
        if self.command == "HEAD":
            content = b""
        # In one piece, as two would wait for each other's acknowledgement.
        lines = [
            f"HTTP/1.1 {status} Whatever",
            f"Content-Type: {kind}",
            f"Cache-Control: {self.server.caching}",
        ]
        head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
        if len(self.server.requests) == self.server.cut_at:
            self.wfile.write(head.encode() + content[:1])
            self.close_connection = True
            return
        self.wfile.write(head.encode() + content)

    def do_GET(self) -> None:
        service = self.server
        service.requests.append(f"{self.command} {self.path}")
        service.ports.append((service.requests[-1], self.client_address[1]))
        time.sleep(service.seconds)
        if service.error_every and len(service.requests) % service.error_every == 0:
            self.answer(service.error_status, "an error")
            return
        if self.command == "POST" or (self.path == "/" and self.command == "GET"):
            service.counter += service.step
        match self.path:
            case "/version":
                self.answer(200, json.dumps({"image_digest": service.digest, "git_commit": "abc123"}))
            case "/healthz" | "/readyz":
                self.answer(200, "ok\n", "text/plain")
            case "/static/style.css":
                self.answer(200, "body {}", "text/css")
            case "/" if "html" in self.headers["Accept"]:
                shown = f'<p id="environment">{service.environment}</p>'
                self.answer(200, f"{shown}\n<p>Counter: <b>{service.counter}</b></p>", "text/html")
            case "/" | "/api/v1/counter":
                self.answer(200, json.dumps({"counter": service.counter}))
            case _:
                self.answer(404, json.dumps({"status": 404}), "application/problem+json")

    do_POST = do_HEAD = do_GET  # noqa: N815 - named as the base class wants

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def answering_service() -> Iterator[AnsweringService]:
    with AnsweringService() as service:
        thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield service
        finally:
            service.shutdown()
            thread.join()
