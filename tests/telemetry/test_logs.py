"""One shape for all log lines."""

import json
import subprocess
import sys

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
