"""Measure this service beside its peers: `make bench-http`, see docs/speed.md.

With --only names are parts of servers' names, and docs/ stays as it was.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from bench.http.duties import DutyNotDone
from bench.http.load import HOW_TO_INSTALL, LoadFailed
from bench.http.measure import measure, missing
from bench.http.plot import plot
from bench.http.report import MARKERS, put_between_markers, report
from bench.http.servers import LOAD_CORE, ROOT, SERVERS, NotRunning

RAW = ROOT / "docs" / "bench" / "http.json"
PLOT = ROOT / "docs" / "bench" / "http.svg"
DOCUMENT = ROOT / "docs" / "speed.md"

ROUNDS = 4
SECONDS = 3
"""Less is a short run, and the tables say so."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="one round of 2 s: whether it works")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=0, help="of one measurement")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--report", action="store_true", help="make table and plot anew from the raw results")
    asked = parser.parse_args()
    if asked.report:
        keep(json.loads(RAW.read_text()))
        return 0
    servers = [
        server
        for server in SERVERS
        if not asked.only or any(name.lower() in server.name.lower() for name in asked.only)
    ]
    if lack := lacking() or missing(servers):
        return complain(lack)
    rounds = asked.rounds or (1 if asked.short else ROUNDS)
    seconds = asked.seconds or (2 if asked.short else SECONDS)
    short = rounds < ROUNDS or seconds < SECONDS
    try:
        raw = measure(servers, rounds, seconds, short=short)
    except (DutyNotDone, LoadFailed, NotRunning) as error:
        return complain(str(error))
    if asked.only:
        print(report(raw))
    else:
        RAW.parent.mkdir(exist_ok=True)
        RAW.write_text(json.dumps(raw, indent=1, ensure_ascii=False) + "\n")
        keep(raw)
    return 0


def keep(raw: dict[str, Any]) -> None:
    PLOT.write_text(plot(raw))
    text = report(raw)
    put_between_markers(DOCUMENT, text, MARKERS)
    print(f"{text}\nThe same in {shown(DOCUMENT)}; the raw results in {shown(RAW)}")


def shown(path: Path) -> Path:
    return path.relative_to(ROOT)


def lacking() -> str | None:
    cores = os.sched_getaffinity(0)
    if not {0, LOAD_CORE} <= cores:
        return (
            f"the cores that this may run on are {sorted(cores)}, needed: 0 (servers) and 1 (load and Redis)"
        )
    return None if shutil.which("wrk") else HOW_TO_INSTALL


def complain(what: str) -> int:
    print(f"bench-http: {what}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
