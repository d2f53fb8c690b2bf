"""Rounds of measurements: every server once in each, in an order that rotates."""

import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from redis import Redis

from bench.http.duties import Duties, DutyNotDone
from bench.http.incr_limit import incr_limit
from bench.http.load import CONNECTIONS, LoadFailed, load
from bench.http.process_tree import cpu_seconds, proportional_megabytes
from bench.http.servers import COUNTER, LOAD_CORE, Running, Server, on_core, running
from dev.valkey import LOOPBACK, Valkey

ENDPOINTS = (("GET", "/"), ("POST", COUNTER))
WARM_UP_SECONDS = 1
OWN_COMMANDS = {"cmdstat_info", "cmdstat_getrange"}
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - so that no disk has a part in the log


def measure(servers: Sequence[Server], rounds: int, seconds: int, *, short: bool) -> dict[str, Any]:
    """Measure the servers; return the raw results. Raises DutyNotDone, LoadFailed, NotRunning."""
    runs: dict[str, list[dict[str, Any]]] = {server.name: [] for server in servers}
    incr: list[float] = []
    place = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    told = {"machine": machine(), "versions": {server.name: versions(server) for server in servers}}
    with tempfile.TemporaryDirectory(dir=place) as folder, on_core(LOAD_CORE):
        # Nothing is written to a disk: what is measured is the servers.
        valkey = Valkey(Path(folder) / "valkey", "--appendonly", "no")
        valkey.start()
        try:
            with Redis(host=LOOPBACK, port=valkey.port) as redis:
                version = str(redis.info("server")["valkey_version"])
                for number in range(rounds):
                    incr.append(incr_limit(valkey.port, 1.0))
                    first = number % len(servers)
                    for server in (*servers[first:], *servers[:first]):
                        print(f"round {number + 1} of {rounds}: {server.name}", flush=True)
                        runs[server.name].append(measured(server, valkey.port, redis, Path(folder), seconds))
        finally:
            valkey.stop()
    return {
        "short": short,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": told["machine"],
        "load": {"connections": CONNECTIONS, "seconds": seconds, "rounds": rounds, "wrk": wrk_version()},
        "valkey": {"version": version, "incr_a_second": [round(value) for value in incr]},
        "servers": [
            {
                "name": server.name,
                "kind": server.kind,
                "versions": told["versions"][server.name],
                "runs": runs[server.name],
            }
            for server in servers
        ],
    }


def measured(server: Server, redis_port: int, redis: Redis, folder: Path, seconds: int) -> dict[str, Any]:
    """Start a server anew and measure it, and once more if its answers were not all good: a machine that
    paused need not end ten minutes. Raises LoadFailed if it happens again.
    """
    for is_last in (False, True):
        redis.flushall()
        with running(server, redis_port, folder) as started:
            try:
                return measure_one(started, redis, seconds)
            except LoadFailed as error:
                if is_last:
                    raise
                print(f"{server.name}: {error}; measured once more", flush=True)
    raise AssertionError


def measure_one(started: Running, redis: Redis, seconds: int) -> dict[str, Any]:
    """Check a server's duties, then load each endpoint."""
    process = started.process.pid
    run: dict[str, Any] = {
        "ready_seconds": round(started.ready_after, 3),
        "idle_mb": round(proportional_megabytes(process), 1),
    }
    if started.server.kind == "limit":
        run["endpoints"] = {"GET /": loaded(started, redis, "GET", "/", seconds)}
    else:
        duties = Duties(started.port, started.metrics_port, started.log, lambda: counter(redis))
        try:
            duties.check()
            run["endpoints"] = {
                f"{method} {path}": watched(started, redis, duties, method, path, seconds)
                for method, path in ENDPOINTS
            }
        except DutyNotDone as lack:
            raise DutyNotDone(f"{started.server.name}: {lack}") from lack
    run["loaded_mb"] = round(proportional_megabytes(process), 1)
    return run


def watched(
    started: Running, redis: Redis, duties: Duties, method: str, path: str, seconds: int
) -> dict[str, Any]:
    """Load an endpoint, and hold its answers against the counter, the log and the histogram."""
    books: dict[str, Callable[[], int]] = {
        "the counter in Redis": lambda: counter(redis),
        "the lines of the access log": started.log_lines,
        "the histogram's count": lambda: duties.observed(method, path),
    }
    before = {name: book() for name, book in books.items()}
    measured = loaded(started, redis, method, path, seconds)
    for name, book in books.items():
        settled(book)
        check_moved(name, book() - before[name], measured["answers"])
    return measured


def check_moved(name: str, moved: int, answers: int) -> None:
    """Let pass what wrk did not wait for: a request a connection at the end of each of its two runs, and the
    few that this program asks for meanwhile. Raises DutyNotDone."""
    most = answers + 2 * CONNECTIONS + 16
    if not answers <= moved <= most:
        raise DutyNotDone(
            f"{name} moved by {moved} for {answers} answers, expected: from {answers} to {most}"
        )


def settled(read: Callable[[], int]) -> None:
    """Wait until a figure no longer moves: what wrk left behind is still worked on."""
    deadline = time.monotonic() + 5
    last = read()
    while time.monotonic() < deadline:
        time.sleep(0.05)
        last, before = read(), last
        # The reading itself may be observed.
        if last - before <= 1:
            return


def loaded(started: Running, redis: Redis, method: str, path: str, seconds: int) -> dict[str, Any]:
    """Warm an endpoint up, then load it."""
    url = started.url(path)
    warm_up = load(method, url, WARM_UP_SECONDS)
    visits, commands, cpu = counter(redis), executed(redis), cpu_seconds(started.process.pid)
    measured = load(method, url, seconds)
    settled(lambda: counter(redis))
    cpu = cpu_seconds(started.process.pid) - cpu
    commands = executed(redis) - commands
    # wrk does not count what it no longer waits for, and Redis does.
    visits = counter(redis) - visits or measured.requests
    return {
        "answers": warm_up.requests + measured.requests,
        "requests": measured.requests,
        "requests_a_second": round(measured.requests / measured.seconds, 1),
        "p50_ms": measured.p50_ms,
        "p99_ms": measured.p99_ms,
        "max_ms": measured.max_ms,
        "cpu_us": round(cpu * 1e6 / visits, 1),
        "commands": round(commands / visits, 4),
    }


def counter(redis: Redis) -> int:
    # By a command that no server uses, so that it can be told from theirs.
    return int(redis.getrange("counter", 0, -1) or 0)


def executed(redis: Redis) -> int:
    """Return how many commands Redis has executed: those inside scripts, but not this program's."""
    stats: dict[str, Any] = redis.info("commandstats")
    return sum(int(stat["calls"]) for name, stat in stats.items() if name not in OWN_COMMANDS)


def versions(server: Server) -> dict[str, str]:
    """Ask a server's Python for the versions of what it runs on."""
    script = "import importlib.metadata as m, json, platform, sys; print(json.dumps({'Python': platform.python_version()} | {name: m.version(name) for name in sys.argv[1:]}))"  # noqa: E501
    told = subprocess.run(
        [server.python, "-c", script, *server.packages], capture_output=True, text=True, check=True
    )
    found: dict[str, str] = json.loads(told.stdout)
    return found


def machine() -> dict[str, Any]:
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "cpu": model[1] if model else platform.machine(),
        "cores": len(list(Path("/sys/devices/system/cpu").glob("cpu[0-9]*"))),
        "load_average_before": round(os.getloadavg()[0], 1),
        "kernel": platform.release().partition("-")[0],
    }


def wrk_version() -> str:
    told = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+(\.\d+)?", told.stdout + told.stderr)
    return found[0] if found else "unknown"


def missing(servers: Iterable[Server]) -> str | None:
    """Return what this machine lacks."""
    for server in servers:
        if shutil.which(server.python) is None:
            return (
                f"{server.python} is not there, which has the peers: run `make bench-http`, which installs it"
            )
    return None
