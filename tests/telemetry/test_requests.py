"""The access line is the one that structlog would render."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
import structlog
from hypothesis import given, settings as hypothesis_settings, strategies

from app.settings import Settings
from app.telemetry.logs import configure_logs
from app.telemetry.metrics import Metrics
from app.telemetry.requests import RequestTelemetry, shown

TEXT = strategies.text(strategies.characters(codec=None, exclude_categories=()))
"""Any, with lone surrogates and control characters."""
EXAMPLES = 300


class Ways(NamedTuple):
    """Both to the same output."""

    by_itself: RequestTelemetry
    through_structlog: RequestTelemetry
    output: io.StringIO

    def line(self, telemetry: RequestTelemetry, **request: Any) -> str:  # noqa: ANN401 - as record has it
        """Record a request; return the line without its time."""
        telemetry.record(**request)
        # What other tests left behind may be complained about meanwhile.
        (line,) = [line for line in self.output.getvalue().splitlines() if '"logger": "access"' in line]
        self.output.seek(0)
        self.output.truncate()
        timestamp = json.loads(line)["timestamp"]
        assert datetime.fromisoformat(timestamp).tzinfo == UTC
        return line.replace(timestamp, "now")


@pytest.fixture(scope="module")
def ways() -> Iterator[Ways]:
    """The set-up of logging is put back afterwards."""
    root = logging.getLogger()
    handlers, level, raises = root.handlers, root.level, logging.raiseExceptions
    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", output)
        for hook in ("sys.excepthook", "sys.unraisablehook", "threading.excepthook"):
            patch.setattr(hook, None)
        configure_logs(Settings(log_format="json", log_level="debug"))
        metrics = Metrics(Settings())
        ways = Ways(RequestTelemetry(metrics), RequestTelemetry(metrics), output)
    ways.through_structlog._lines = None
    yield ways
    root.handlers, logging.raiseExceptions = handlers, raises
    root.setLevel(level)
    structlog.reset_defaults()


@given(
    texts=strategies.fixed_dictionaries(
        dict.fromkeys(("request_id", "method", "route", "target", "client", "user_agent"), TEXT)
    ),
    status=strategies.integers(100, 599),
    seconds=strategies.floats(0, 1e9),
    quiet=strategies.booleans(),
)
@hypothesis_settings(max_examples=EXAMPLES, deadline=None)
def test_the_same_bytes_as_by_structlog(
    ways: Ways, texts: dict[str, str], status: int, seconds: float, quiet: bool
) -> None:
    request = texts | {"target": f"/{texts['target']}", "status": status, "seconds": seconds, "quiet": quiet}
    assert ways.line(ways.by_itself, **request) == ways.line(ways.through_structlog, **request)


@pytest.mark.parametrize(
    "text", ['"', "\\", "\n\r\t\x00\x1f\x7f", "\x85\u2028", "ä€", "\U0001f600", "\ud800", "</"]
)
def test_each_kind_of_character(ways: Ways, text: str) -> None:
    request = dict.fromkeys(("request_id", "method", "route", "target", "client", "user_agent"), text)
    assert ways.line(ways.by_itself, status=200, seconds=0.0, **request) == ways.line(
        ways.through_structlog, status=200, seconds=0.0, **request
    )


def test_lines_are_ascii_so_their_length_is_their_size(ways: Ways) -> None:
    request = dict.fromkeys(("request_id", "method", "route", "target", "client", "user_agent"), "ä\ud800")
    assert ways.line(ways.by_itself, status=200, seconds=0.0, **request).isascii()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 8, "a" * 8),
        ("a" * 9, "a" * 8 + "…"),
        ("é" * 2, "\\xe9" * 2),
        ("é" * 3, "\\xe9" * 2 + "…"),
        # What is left of it needs no escape.
        ("a" * 8 + "é", "a" * 8 + "…"),
    ],
)
def test_what_is_cut_off_ends_in_an_ellipsis(text: str, expected: str) -> None:
    assert shown(text, 8) == expected


def test_a_clock_that_is_set_back_makes_no_time_negative(ways: Ways) -> None:
    request = dict.fromkeys(("request_id", "method", "route", "target", "client", "user_agent"), "back")
    line = ways.line(ways.by_itself, status=200, seconds=-3600.0, **request)
    assert json.loads(line)["duration_ms"] == 0
    labels = {"method": "other", "route": "back", "status": "200"}
    registry = ways.by_itself._metrics.registry
    assert registry.get_sample_value("http_request_duration_seconds_sum", labels) == 0
