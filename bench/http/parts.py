"""Where the time of a request goes, part by part: `python -m bench.http.parts` writes it into docs/speed.md.

The service is loaded as by `make bench-http`, and looked at a hundred times in a second of its CPU time. What
a part calls in the standard library or in C is the part's own.
"""

import json
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from bench.http.load import load
from bench.http.measure import ENDPOINTS, SHARED_MEMORY, machine
from bench.http.process_tree import cpu_seconds
from bench.http.report import Markers, number, put_between_markers, table
from bench.http.servers import ROOT, Server, running
from dev.valkey import Valkey

DOCUMENT = ROOT / "docs" / "speed.md"
MARKERS = Markers("<!-- made by `python -m bench.http.parts` -->", "<!-- end of the parts -->")
WARM_UP_SECONDS = 2
SECONDS = 30
PATIENCE = 10.0

LOOP = "event loop and system: waiting, reading, writing"
TORNADO = "Tornado: RequestHandler from its making to `finish`"
TELEMETRY = "access line and metrics"
COUNTING = "counting: batches, Redis' client"
OWED = "what every handler owes: request id, client's address, headers"
HANDLERS = "the handlers: page, document, negotiation"
HTTP = "HTTP/1.1: parse a request, encode an answer"
LIMITS = "limits, deadlines, drain"
PARTS = (
    ("app/http/httptools_sending.py:send", LOOP),
    ("app/http/httptools_http1.py:data_received", LOOP),
    ("app/telemetry/", TELEMETRY),
    ("app/server.py:record", TELEMETRY),
    ("prometheus_client/", TELEMETRY),
    ("app/counter/", COUNTING),
    ("app/redis/", COUNTING),
    ("/redis/", COUNTING),
    ("app/handlers/base.py", OWED),
    ("app/http/request_id.py", OWED),
    ("app/http/client_address.py", OWED),
    ("app/http/policy.py", OWED),
    ("app/handlers/", HANDLERS),
    ("app/http/httptools_", HTTP),
    ("app/http/request", HTTP),
    ("app/http/response_header.py", HTTP),
    ("app/http/headers.py", HTTP),
    ("app/http/dispatch.py", TORNADO),
    ("app/http/", LIMITS),
    ("tornado/", TORNADO),
)
"""The first that a place has in it is its part. A place that none of them has is its caller's."""


def part_of(stack: list[list[str]]) -> str:
    """Return the part that a stack, the innermost place first, is busy for."""
    for file, function in stack:
        place = f"{file}:{function}"
        for has, part in PARTS:
            if has in place:
                return part
    return LOOP


def measure(method: str, path: str, valkey: Valkey, folder: Path) -> tuple[Counter[str], float]:
    """Return how often each part was met, and the microseconds of CPU time of a request."""
    file = folder / f"{method}.json"
    server = Server(
        "this service, sampled",
        "service",
        ("-m", "bench.http.sampled", str(file)),
        (),
        {"HTTP_SERVER": "httptools", "LOG_FORMAT": "json"},
    )
    with running(server, valkey.port, folder) as started:
        load(method, started.url(path), WARM_UP_SECONDS)
        started.process.send_signal(signal.SIGUSR1)
        before = cpu_seconds(started.process.pid)
        requests = load(method, started.url(path), SECONDS).requests
        seconds = cpu_seconds(started.process.pid) - before
        started.process.send_signal(signal.SIGUSR2)
        deadline = time.monotonic() + PATIENCE
        while not file.exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"no samples in {file} within {PATIENCE:g} s after SIGUSR2")
            time.sleep(0.01)
    met: Counter[str] = Counter()
    for stack, count in json.loads(file.read_text()):
        met[part_of(stack)] += count
    return met, seconds / requests * 1e6


def report(measured: dict[str, tuple[Counter[str], float]]) -> str:
    """Return the table, the largest part of the first endpoint at its top."""
    first = next(iter(measured.values()))[0]
    rows = [
        [part, *(number(met[part] / met.total() * cpu, 0) for met, cpu in measured.values())]
        for part, _ in first.most_common()
    ]
    rows.append(["together", *(number(cpu, 0) for _, cpu in measured.values())])
    heads = ["CPU µs a request", *(f"`{endpoint}`" for endpoint in measured)]
    told, looks = machine(), min(met.total() for met, _ in measured.values())
    return (
        f"{table(heads, rows)}\n{number(looks, 0)} looks or more at each endpoint in {SECONDS} s; "
        f"{told['cpu']}, {told['cores']} cores, {time.strftime('%Y-%m-%d', time.gmtime())}.\n"
    )


def main() -> int:
    place = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        valkey = Valkey(Path(folder) / "valkey", "--appendonly", "no")
        valkey.start()
        try:
            measured = {
                f"{method} {path}": measure(method, path, valkey, Path(folder)) for method, path in ENDPOINTS
            }
        finally:
            valkey.stop()
    text = report(measured)
    put_between_markers(DOCUMENT, text, MARKERS)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
