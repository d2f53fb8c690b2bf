"""The load: wrk with a script that prints what it measured as JSON."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.http.servers import LOAD_CORE, on_core

SCRIPT = Path(__file__).parent / "wrk.lua"
CONNECTIONS = 64
MARK = "measured "
HOW_TO_INSTALL = "wrk is not installed, which makes the load: apt-get install wrk on Debian and Ubuntu"


class LoadFailed(Exception):
    """wrk is not there, did not measure, or met errors."""


@dataclass(frozen=True)
class Load:
    """What wrk measured."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float


def parse(output: str) -> Load:
    """Read what wrk.lua printed. Raises LoadFailed where a request failed."""
    lines = [line for line in output.splitlines() if line.startswith(MARK)]
    if len(lines) != 1:
        raise LoadFailed(
            f"wrk printed {len(lines)} lines that begin with '{MARK}', expected: 1; it said: {output}"
        )
    told = json.loads(lines[0].removeprefix(MARK))
    errors = {name: told.pop(name) for name in ("not_2xx", "connect", "read", "write", "timeout")}
    if any(errors.values()):
        met = ", ".join(f"{name}: {count}" for name, count in errors.items() if count)
        raise LoadFailed(f"of {told['requests']} answers to wrk some failed ({met}), expected: none")
    if not told["requests"]:
        raise LoadFailed("wrk got no answer at all")
    return Load(**told)


def load(method: str, url: str, seconds: int) -> Load:
    """Ask for so long on 64 connections. Raises LoadFailed."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise LoadFailed(HOW_TO_INSTALL)
    with on_core(LOAD_CORE):
        done = subprocess.run(
            [
                *(wrk, "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds}s"),
                *("--timeout", "10s", "--script", str(SCRIPT), url, "--", method),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise LoadFailed(f"wrk ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return parse(done.stdout)
