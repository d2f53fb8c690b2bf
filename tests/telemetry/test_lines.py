"""Access lines leave together, in order, and none is lost."""

import asyncio
import fcntl
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from select import PIPE_BUF

import pytest

from app.telemetry.lines import Lines
from tests.service import PATIENCE, ROOT, clean_environment

PROGRAM = """
import asyncio, logging, os, signal, sys
from app.settings import Settings
from app.telemetry.logs import configure_logs, log_loop_trouble
from app.telemetry.metrics import Metrics
from app.telemetry.requests import RequestTelemetry
import structlog
settings = Settings()
configure_logs(settings)
telemetry = RequestTelemetry(Metrics(settings))
log = structlog.get_logger("ours")

def answer(number, quiet=False):
    telemetry.record(
        request_id=str(number), method="GET", route="/", target="/", status=200, seconds=0.1,
        client="::1", user_agent="", quiet=quiet,
    )
"""


class Written(io.StringIO):
    """Keeps what each flush found new."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def flush(self) -> None:
        if text := self.getvalue():
            self.writes.append(text)
            self.seek(0)
            self.truncate()


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
def lines(written: Written) -> Iterator[Lines]:
    lines = Lines(written)
    yield lines
    lines.close()


def say(lines: Lines, message: str) -> None:
    lines.handle(logging.makeLogRecord({"msg": message}))


def test_lines_of_one_turn_leave_in_one_write_when_the_next_begins(lines: Lines, written: Written) -> None:
    async def turns() -> None:
        for turn in "ab":
            lines.write_soon(f"{turn}1\n")
            lines.write_soon(f"{turn}2\n")
            assert len(written.writes) == "ab".index(turn)
            await asyncio.sleep(0)
            assert written.writes[-1] == f"{turn}1\n{turn}2\n"

    asyncio.run(turns())
    assert written.writes == ["a1\na2\n", "b1\nb2\n"]


def test_without_a_loop_a_line_leaves_at_once(lines: Lines, written: Written) -> None:
    lines.write_soon("a\n")
    assert written.writes == ["a\n"]


def test_what_is_logged_overtakes_nothing(lines: Lines, written: Written) -> None:
    async def turn() -> None:
        lines.write_soon("a\n")
        say(lines, "b")
        lines.write_soon("c\n")
        assert written.writes == ["a\n", "b\n"]

    asyncio.run(turn())
    lines.flush()
    assert written.writes == ["a\n", "b\n", "c\n"]


def test_a_loop_that_ended_before_its_next_turn_keeps_no_later_line(lines: Lines, written: Written) -> None:
    for line in ("a\n", "b\n"):
        loop = asyncio.new_event_loop()
        loop.call_soon(lines.write_soon, line)
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()
    assert written.writes == []

    async def turn() -> None:
        lines.write_soon("c\n")
        await asyncio.sleep(0)

    asyncio.run(turn())
    assert written.writes == ["a\nb\nc\n"]


def test_no_write_is_larger_than_what_stays_together_in_a_pipe(lines: Lines, written: Written) -> None:
    line = "x" * 300 + "\n"

    async def turn() -> None:
        for _ in range(100):
            lines.write_soon(line)

    asyncio.run(turn())
    lines.flush()
    assert "".join(written.writes) == line * 100
    assert all(len(write) <= PIPE_BUF and write.endswith("\n") for write in written.writes)
    assert len(written.writes) == 100 // (PIPE_BUF // len(line)) + 1


def test_a_stream_that_takes_nothing_is_no_trouble_to_who_writes(lines: Lines, written: Written) -> None:
    written.close()
    lines.write_soon("a\n")

    async def turn() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: pytest.fail(str(context)))
        lines.write_soon("b\n")
        await asyncio.sleep(0)

    asyncio.run(turn())


def run(program: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM + program],
        cwd=ROOT,
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def told(output: str) -> list[str]:
    """What tells the lines apart."""
    return [line.get("request_id", line["event"]) for line in map(json.loads, output.splitlines())]


@pytest.mark.parametrize(
    ("end", "code", "last"),
    [
        ("pass", 0, []),
        ("sys.exit(3)", 3, []),
        ("raise RuntimeError", 1, ["uncaught exception"]),
        ("log.warning('ended'); os._exit(4)", 4, ["ended"]),
    ],
)
def test_no_line_is_lost_when_the_process_ends_in_the_turn_of_its_answer(
    end: str, code: int, last: list[str]
) -> None:
    """In each way that says so: `os._exit` after a line, as server.py does at a second signal."""
    ended = run(f"""
async def main():
    for number in range(30):
        answer(number)
    {end}
asyncio.run(main())
""")
    assert (ended.returncode, ended.stderr) == (code, "")
    assert told(ended.stdout) == [*map(str, range(30)), *last]


def test_no_line_is_lost_when_the_loop_has_no_next_turn() -> None:
    ended = run("""
loop = asyncio.new_event_loop()
loop.call_soon(answer, 1)
loop.call_soon(loop.stop)
loop.run_forever()
""")
    assert told(ended.stdout) == ["1"]


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize(
    ("level", "expected"),
    [("debug", ["visit-1", "probe-2"]), ("info", ["visit-1"]), ("warning", []), ("error", [])],
)
def test_levels_hold_for_access_lines(log_format: str, level: str, expected: list[str]) -> None:
    ended = run("answer('visit-1'); answer('probe-2', quiet=True)", LOG_LEVEL=level, LOG_FORMAT=log_format)
    assert [name for name in ("visit-1", "probe-2") if name in ended.stdout] == expected
    assert len(ended.stdout.splitlines()) == len(expected)


def test_a_handler_beside_ours_gets_access_lines_too() -> None:
    """For a team that sends its log elsewhere as well; set up before the telemetry."""
    ended = run("""
logging.getLogger().addHandler(logging.StreamHandler(sys.stderr))
telemetry = RequestTelemetry(Metrics(settings))
answer(1)
""")
    assert told(ended.stdout) == ["1"]
    assert "'request_id': '1'" in ended.stderr


def test_lines_through_a_full_pipe_arrive_whole_and_in_order(tmp_path: Path) -> None:
    """From the loop and from threads, as fast as they come."""
    program = tmp_path / "program.py"
    program.write_text(
        PROGRAM
        + """
import threading

def thread(name):
    for number in range(300):
        log.info(f"{name}-{number}", padding="x" * 100)

async def main():
    threads = [threading.Thread(target=thread, args=(name,)) for name in "ab"]
    for one in threads:
        one.start()
    for number in range(600):
        answer(number)
        if number % 7 == 0:
            await asyncio.sleep(0)
    while any(one.is_alive() for one in threads):
        await asyncio.sleep(0.01)
asyncio.run(main())
"""
    )
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BUF)
    with subprocess.Popen(
        [sys.executable, program], cwd=ROOT, env=clean_environment(PYTHONPATH=str(ROOT)), stdout=writing
    ) as process:
        os.close(writing)
        with os.fdopen(reading) as output:
            names = told(output.read())
        assert process.wait(PATIENCE) == 0
    assert [name for name in names if name.isdecimal()] == [str(number) for number in range(600)]
    for thread in "ab":
        assert [name for name in names if name.startswith(thread)] == [f"{thread}-{n}" for n in range(300)]
