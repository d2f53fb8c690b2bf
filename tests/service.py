"""The service as a real process, and small clients for it."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.processes import stands_still

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 10.0
VISIT = b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"


def eventually(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.01)


class Answer(NamedTuple):
    """One HTTP response."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever the service sent
        return json.loads(self.body)


def clean_environment(**settings: object) -> dict[str, str]:
    """Return an environment without settings of the machine that runs the tests.

    HTTP_SERVER is one of the fixture `each_transport`.
    """
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "HTTP_SERVER") if name in os.environ
    }
    return kept | {name: str(value) for name, value in settings.items()}


def run_to_end(module: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run a module that is expected to end by itself."""
    return _run_to_end("-m", module, **settings)


def run_without(package: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run the service, which is expected to end by itself, where a package is not installed."""
    program = f"import sys, app.__main__; sys.modules[{package!r}] = None; sys.exit(app.__main__.start())"
    return _run_to_end("-c", program, **settings)


def _run_to_end(*arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


class Service:
    """One process; its log lines are read as they come."""

    def __init__(
        self,
        module: str = "app",
        settings: Mapping[str, object] | None = None,
        through: Sequence[str] = (),
        folder: Path = ROOT,
        patience: float = PATIENCE,
    ) -> None:
        """`through` is a command that starts the service in its own place, such as `prlimit --nofile=64`.

        `folder` has the module. A log line is awaited for `patience` seconds, the first one too.
        """
        self._patience = patience
        defaults = {"PORT": 0, "ADMIN_PORT": 0, "HOST": "127.0.0.1", "LOG_FORMAT": "json"}
        self.settings: dict[str, object] = defaults | dict(settings or {})
        self.process = subprocess.Popen(
            [*through, sys.executable, "-m", module],
            cwd=folder,
            env=clean_environment(**self.settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[dict[str, Any]] = []
        self.raw: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            listening = self.line("listening")
        except BaseException:
            # Nobody has it yet who could end it.
            self.process.kill()
            self.process.wait()
            raise
        self.port = int(listening["url"].rpartition(":")[2])
        self.admin_port = int(listening.get("admin_url", ":0").rpartition(":")[2])

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.raw.append(line)
            if line.startswith("{"):
                self.lines.append(json.loads(line))

    def has_said(self, event: str) -> bool:
        return any(line["event"] == event for line in list(self.lines))

    def line(self, event: str, **fields: object) -> dict[str, Any]:
        """Wait for a log line and return it."""

        def found() -> dict[str, Any] | None:
            wanted = {"event": event, **fields}
            return next((line for line in list(self.lines) if wanted.items() <= line.items()), None)

        def found_or_ended() -> bool:
            if found() is None and self.process.poll() is not None:
                self._reader.join(PATIENCE)
                assert found() is not None, f"ended without {event}: {self.raw} {self.errors()}"
            return found() is not None

        eventually(found_or_ended, f"log line {event} {fields}", self._patience)
        line = found()
        assert line is not None
        return line

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def wait_until_ready(self) -> Self:
        eventually(lambda: self.get("/readyz").status == 200, "ready")
        return self

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        port: int | None = None,
        patience: float = PATIENCE,
        **headers: str,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=patience)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, named)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", path, None, None, PATIENCE, **headers)

    def in_flight(self) -> int:
        """Read the gauge; needs ADMIN_PORT."""
        found = re.search(r"^http_requests_in_flight (\d+)", self.metrics(), re.MULTILINE)
        assert found
        return int(found[1])

    def metrics(self) -> str:
        return self.request("GET", "/metrics", port=self.admin_port).body.decode()

    def count(self) -> int:
        """Visit once; return the value."""
        answer = self.get("/", Accept="application/json")
        assert answer.status == 200, answer
        value: int = answer.json["counter"]
        return value

    def value(self) -> int:
        value: int = self.get("/api/v1/counter").json["counter"]
        return value

    def connect(self, port: int | None = None) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port or self.port), timeout=PATIENCE)

    def raw_exchange(self, *pieces: bytes) -> bytes:
        """Send bytes as they are, and return all that comes back until the connection is closed."""
        with self.connect() as connection:
            for piece in pieces:
                try:
                    connection.sendall(piece)
                except (BrokenPipeError, ConnectionResetError):
                    break
            return b"".join(_received(connection))

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Let the process do nothing meanwhile: what is sent to it arrives, and stays unread."""
        self.signal(signal.SIGSTOP)
        eventually(self._does_nothing, "frozen")
        yield
        self.signal(signal.SIGCONT)

    def _does_nothing(self) -> bool:
        return self.process.poll() is not None or stands_still(self.process.pid)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait for the end; return the exit code."""
        code = self.process.wait(seconds)
        self._reader.join(PATIENCE)
        return code

    def errors(self) -> str:
        """Return what an ended process wrote to stderr."""
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def _received(connection: socket.socket) -> Iterator[bytes]:
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            return
        if not piece:
            return
        yield piece


def parse_answers(data: bytes) -> list[Answer]:
    """Split raw bytes into the responses that they hold."""
    answers = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        status_line, _, header_text = head.partition(b"\r\n")
        headers = http.client.HTTPMessage()
        for line in header_text.decode().split("\r\n"):
            name, _, value = line.partition(": ")
            headers[name] = value
        length = int(headers["Content-Length"])
        answers.append(Answer(int(status_line.split()[1]), headers, rest[:length]))
        data = rest[length:]
    return answers
