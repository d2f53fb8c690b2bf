"""Lines stay whole, and say whose they are."""

import json
import subprocess
import sys

from hypothesis import given, strategies

from app.workers.lines import pieces
from tests.conftest import ValkeyServer
from tests.service import ROOT
from tests.visitors import Visitors
from tests.workers.conftest import StartWorkers


@given(strategies.binary(max_size=60), strategies.integers(1, 20))
def test_pieces_end_where_lines_do(data: bytes, most: int) -> None:
    cut = list(pieces(data, most))
    assert b"".join(cut) == data
    assert all(piece.endswith(b"\n") for piece in cut[:-1])
    # Longer only where one line alone is.
    assert all(len(piece) <= most or b"\n" not in piece[:-1] for piece in cut)


WRITERS = """
import os, sys
from app.workers.lines import whole_lines
stream = whole_lines(sys.stdout)
who = "abcd"[2 * (os.fork() > 0) + (os.fork() > 0)]
for _ in range(300):
    stream.write("".join(f"{who * length}.\\n" for length in (10, 900, 2000, 300, 3000)))
"""


def test_lines_of_several_processes_never_mix_in_a_full_pipe() -> None:
    """Many lines in one text are more than a pipe takes in one piece."""
    with subprocess.Popen([sys.executable, "-c", WRITERS], cwd=ROOT, stdout=subprocess.PIPE) as writers:
        assert writers.stdout is not None
        lines = writers.stdout.read().splitlines()
    assert len(lines) == 4 * 300 * 5
    assert all(len(set(line)) == 2 and line.endswith(b".") for line in lines)


def test_every_line_is_json_and_names_its_worker(valkey: ValkeyServer, start_workers: StartWorkers) -> None:
    service = start_workers(valkey).wait_until_ready()
    service.wait_for_workers(2)
    with Visitors(service.address, count=8) as visitors:
        visitors.await_answers(100)
    lines = [json.loads(line) for line in service.raw]
    assert all({"event", "level", "logger", "timestamp"} <= line.keys() for line in lines)
    assert {line["worker"] for line in lines if line["event"] == "listening"} == {0, 1}
    assert all("worker" in line for line in lines if line["logger"] == "access")
    assert any(line["logger"] == "gunicorn.error" for line in lines)
