"""How each server is started: on its core, its log in a file, and ended again."""

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dev.valkey import LOOPBACK, free_port

ROOT = Path(__file__).resolve().parents[2]
PEERS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
SERVER_CORE = 0
LOAD_CORE = 1
PATIENCE = 20.0
COUNTER = "/api/v1/counter"

Kind = Literal["service", "peer", "limit"]


class NotRunning(Exception):
    """A server did not start; the message says what it said."""


@dataclass(frozen=True)
class Server:
    """One line of the table."""

    name: str
    kind: Kind
    arguments: tuple[str, ...]
    """What its Python is given."""
    packages: tuple[str, ...]
    """Whose versions are told."""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def python(self) -> str:
        return sys.executable if self.kind == "service" else str(PEERS_PYTHON)


def service(transport: str, *packages: str) -> Server:
    """Return this service, started as in its image."""
    return Server(
        f"this service, {transport}",
        "service",
        ("-m", "app"),
        ("tornado", "redis", "hiredis", *packages),
        {"HTTP_SERVER": transport, "LOG_FORMAT": "json"},
    )


def peer(name: str, module: str, *packages: str, redis: str = "redis-py") -> Server:
    told = name if redis == "redis-py" else f"{name}, {redis} Redis"
    arguments = ("-m", f"bench.http.peers.{module}")
    used = ("redis", "hiredis") if redis == "redis-py" else ("hiredis",)
    return Server(told, "peer", arguments, (*packages, *used), {"REDIS_CLIENT": redis})


GUNICORN = (
    *("-m", "gunicorn", "--worker-class", "gthread", "--workers", "1", "--threads", "16"),
    *("--keep-alive", "75", "--log-level", "warning"),
    *("bench.http.peers.flask_gunicorn:application", "--bind", "{address}"),
)

SERVERS = (
    service("tornado"),
    service("httptools", "httptools", "uvloop"),
    peer("aiohttp", "aiohttp_uvloop", "aiohttp", "uvloop"),
    peer("Sanic", "sanic_uvloop", "sanic", "uvloop", "httptools"),
    peer("BlackSheep on granian", "blacksheep_granian", "blacksheep", "granian", "uvloop"),
    peer("Robyn", "robyn_actix", "robyn", "uvloop"),
    peer("FastAPI on uvicorn", "fastapi_uvicorn", "fastapi", "starlette", "uvicorn", "uvloop", "httptools"),
    peer("Tornado with uvloop", "tornado_uvloop", "tornado", "uvloop"),
    Server("Flask on gunicorn", "peer", GUNICORN, ("flask", "gunicorn", "redis", "hiredis")),
    peer("BlackSheep on granian", "blacksheep_granian", "blacksheep", "granian", "uvloop", redis="pipelined"),
    peer("Robyn", "robyn_actix", "robyn", "uvloop", redis="pipelined"),
    Server("bare httptools", "limit", ("-m", "bench.http.peers.bare_httptools"), ("httptools", "uvloop")),
)


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """Start what is started meanwhile on one core: processes inherit it."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass
class Running:
    """A server that answers."""

    server: Server
    process: subprocess.Popen[bytes]
    port: int
    metrics_port: int
    log: Path
    ready_after: float
    """Seconds from its start to its first 200."""

    def url(self, path: str) -> str:
        return f"http://{LOOPBACK}:{self.port}{path}"

    def log_lines(self) -> int:
        return self.log.read_bytes().count(b"\n")


@contextlib.contextmanager
def running(server: Server, redis_port: int, folder: Path) -> Iterator[Running]:
    """Start a server on its core and wait for its first 200. Raises NotRunning."""
    port, admin_port = free_port(), free_port()
    log, errors = folder / "stdout", folder / "stderr"
    # Byte code is kept, as the image has it.
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    environment |= {"HOST": LOOPBACK, "PORT": str(port), "ADMIN_PORT": str(admin_port)}
    environment |= {"REDIS_HOST": LOOPBACK, "REDIS_PORT": str(redis_port), "PYTHONUNBUFFERED": "1"}
    arguments = [argument.format(address=f"{LOOPBACK}:{port}") for argument in server.arguments]
    with log.open("wb") as output, errors.open("wb") as trouble, on_core(SERVER_CORE):
        began = time.monotonic()
        process = subprocess.Popen(
            [server.python, *arguments],
            cwd=ROOT,
            env=environment | server.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=trouble,
            start_new_session=True,
        )
    try:
        path = "/" if server.kind == "limit" else COUNTER
        while not answers(port, path):
            ended = process.poll()
            if ended is not None or time.monotonic() - began > PATIENCE:
                said = errors.read_text().strip() or log.read_text().strip() or "nothing"
                what = f"did not answer on port {port} within {PATIENCE:g} s"
                if ended is not None:
                    what = f"ended with {ended} before it answered"
                raise NotRunning(f"{server.name} {what}; it said: {said[-1000:]}")
            time.sleep(0.005)
        ready_after = time.monotonic() - began
        metrics_port = admin_port if server.kind == "service" else port
        yield Running(server, process, port, metrics_port, log, ready_after)
    finally:
        end(process)


def answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server and what it started, which is in its session."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(1)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
