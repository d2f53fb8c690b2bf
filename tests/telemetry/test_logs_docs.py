"""docs/logs.md lists every line of the service: those in the code, and those that a real one writes."""

import ast
import re
import signal
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from dev.valkey import free_port
from tests.conftest import StartService, ValkeyServer
from tests.service import ROOT, eventually

PAGE = ROOT / "docs" / "logs.md"
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}


class Event(NamedTuple):
    """A message and the level that it is logged at."""

    message: str
    level: str


def told(part: ast.expr) -> str | None:
    """The text of a message, with … for what is put into it; None if it is no text."""
    if isinstance(part, ast.Constant):
        return str(part.value)
    if isinstance(part, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else "…" for one in part.values)
    return None


def handed_in(tree: ast.Module, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """The messages that a function is called with, as its first argument."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            text = told(call.args[0]) if call.func.attr == function.name and call.args else None
            if text is not None:
                yield text


def logged(source: str) -> dict[Event, set[str]]:
    """Every event that a module logs, with its fields."""
    tree = ast.parse(source)
    found: dict[Event, set[str]] = {}
    functions = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
    for function in functions:
        for call in ast.walk(function):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
                continue
            is_log = isinstance(call.func.value, ast.Name) and call.func.value.id == "log"
            if not is_log or call.func.attr not in LEVELS:
                continue
            text = told(call.args[0])
            messages = [text] if text is not None else list(handed_in(tree, function))
            assert messages, f"line {call.lineno}: a message that is not written out"
            fields = {keyword.arg for keyword in call.keywords if keyword.arg is not None}
            if "exc_info" in fields or call.func.attr == "exception":
                fields = fields - {"exc_info"} | {"exception"}
            level = "error" if call.func.attr == "exception" else call.func.attr
            for message in messages:
                found.setdefault(Event(message, level), set()).update(fields)
    return found


def in_code() -> dict[Event, set[str]]:
    found: dict[Event, set[str]] = {}
    for file in sorted((ROOT / "app").rglob("*.py")):
        for event, fields in logged(file.read_text()).items():
            found.setdefault(event, set()).update(fields)
    return found


def chapter(title: str) -> str:
    return PAGE.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def fields_in(title: str) -> set[str]:
    """The fields that the tables of a chapter begin their rows with."""
    cells = re.findall(r"^\| (`.*?`) \|", chapter(title), re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def on_page() -> dict[Event, set[str]]:
    rows = re.findall(r"^\| `([^`]+)` \| (\w+) \| (.*?) ?\| ", chapter("The events"), re.MULTILINE)
    return {Event(message, level): set(re.findall(r"`(\w+)`", fields)) for message, level, fields in rows}


def test_the_page_lists_what_the_code_logs() -> None:
    code = in_code()
    # Two of them are handed over by one name.
    code[Event("listening", "info")] |= {"url", "admin_url"}
    assert on_page() == code


def test_an_event_that_nobody_lists_would_be_found() -> None:
    source = "def one(self):\n    log.exception('new', a=1)\n    log.info(f'of {self.kind}', b=2)\n"
    assert logged(source) == {Event("new", "error"): {"a", "exception"}, Event("of …", "info"): {"b"}}


def test_a_message_that_is_handed_over_is_found_where_it_is_written() -> None:
    source = "class A:\n def end(self, event):\n  log.info(event)\n def b(self):\n  self.end('over')\n"
    assert logged(source) == {Event("over", "info"): set()}
    with pytest.raises(AssertionError, match="not written out"):
        logged("def end(event):\n    log.info(event)\n")


def is_like(message: str, event: str) -> bool:
    return re.fullmatch(re.escape(message).replace("…", ".+"), event) is not None


def test_what_a_real_service_writes_is_on_the_page(valkey: ValkeyServer, start_service: StartService) -> None:
    settings = {"ADMIN_PORT": free_port(), "LOG_LEVEL": "debug", "REQUEST_TIMEOUT": 1}
    valkey.stop()
    service = start_service(valkey, **settings)
    service.line("waiting for redis")
    valkey.start()
    service.wait_until_ready()
    service.count()
    service.raw_exchange(b"GARBAGE\r\n\r\n")
    service.metrics()
    valkey.stop()
    eventually(lambda: service.get("/").status == 503, "a failure")
    service.signal(signal.SIGTERM)
    assert service.wait() == 0

    every = fields_in("Fields of every line")
    assert {"event", "level", "logger", "timestamp", "request_id", "trace_id"} <= every
    access = fields_in("The access line")
    seen = set()
    for line in service.lines:
        assert {"event", "level", "logger", "timestamp"} <= line.keys()
        if line["logger"] == "access":
            assert (line["event"], line["level"]) in {("request", "info"), ("request", "debug")}
            assert line.keys() - every == access
        else:
            assert line["logger"].startswith("app."), line
            (event,) = (one for one in on_page() if is_like(one.message, line["event"]))
            assert line["level"] == event.level
            assert line.keys() - every <= on_page()[event]
            seen.add(event.message)
    assert {"listening", "waiting for …", "ready", "… unavailable", "draining", "stopped"} <= seen
