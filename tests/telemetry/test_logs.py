"""One shape for all log lines."""

import json
import subprocess
import sys

import pytest

from tests.service import ROOT, clean_environment

PROGRAM = """
import logging
from app.settings import Settings
from app.telemetry.logs import configure_logs
import structlog
configure_logs(Settings())
structlog.get_logger("ours").warning("event here", reason="x")
logging.getLogger("tornado.application").error("from %s", "tornado")
logging.getLogger("redis").warning("from redis")
structlog.get_logger("ours").debug("not shown")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger("ours").error("failed", exc_info=True)
"""


def run(**settings: str) -> list[str]:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout.splitlines()


def test_every_logger_writes_one_json_line() -> None:
    lines = [json.loads(line) for line in run()]
    assert [(line["logger"], line["level"], line["event"]) for line in lines] == [
        ("ours", "warning", "event here"),
        ("tornado.application", "error", "from tornado"),
        ("redis", "warning", "from redis"),
        ("ours", "error", "failed"),
    ]
    assert lines[0]["reason"] == "x"
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert "ZeroDivisionError" in json.dumps(lines[3]["exception"])


def test_level_and_console() -> None:
    lines = run(LOG_LEVEL="error", LOG_FORMAT="console")
    assert any("from tornado" in line for line in lines)
    assert not any("event here" in line for line in lines)


HELD = "swordfish"
LEAKS = f"""
import asyncio, logging, os, sys, threading, urllib.parse, warnings
from app.settings import Settings
from app.telemetry.logs import configure_logs, log_loop_trouble
import structlog
from tornado.ioloop import IOLoop
configure_logs(Settings())

def fail(password="{HELD}"):
    held = password.encode() + b"\\xff"
    held.decode()

try:
    fail()
except ValueError as error:
    structlog.get_logger("ours").error("failed", exc_info=True)
    structlog.get_logger("ours").error("failed", exc_info=error)
    logging.getLogger("tornado.application").error("Uncaught", exc_info=True)
    logging.getLogger("asyncio").exception("went wrong")

async def main():
    asyncio.get_running_loop().set_exception_handler(log_loop_trouble)
    async def lost():
        fail()
    task = asyncio.create_task(lost())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
    asyncio.get_running_loop().call_soon(fail)
    await asyncio.sleep(0)
    # As Tornado raises again what ended a task: whoever complains shows the task.
    async def lost_again():
        raise ArithmeticError("{HELD}")
    for note in (asyncio.Task.add_done_callback, IOLoop.current().add_future):
        task = asyncio.create_task(lost_again())
        note(task, lambda ended: ended.result())
        await asyncio.sleep(0.01)

asyncio.run(main())

class Ending:
    def __del__(self):
        fail()

Ending()
thread = threading.Thread(target=fail)
thread.start()
thread.join()
logging.getLogger("ours").error("%d", "{HELD}")
logging.getLogger("tornado.general").warning("error on read: %s", RuntimeError("{HELD}"))
logging.getLogger("redis").warning("%(error)r", {{"error": RuntimeError("{HELD}")}})
fail()
"""


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_logger_shows_what_an_exception_quotes_or_a_function_holds(log_format: str) -> None:
    """Logged, an argument of a line, in a task that a line shows, never awaited, raised where none can be,
    in a thread, not caught at all."""
    ended = subprocess.run(
        [sys.executable, "-c", LEAKS],
        cwd=ROOT,
        env=clean_environment(LOG_FORMAT=log_format),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    output = ended.stdout + ended.stderr
    assert output.count("UnicodeDecodeError") == 9
    assert output.count('"ArithmeticError"' if log_format == "json" else "\nArithmeticError\n") == 2
    assert output.count("RuntimeError") == 2
    assert HELD not in output
    assert ended.stderr == ""
