"""The table that a suite of faults prints, and keeps at the end of a document."""

import json
import os
import platform
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from tests.service import ROOT


class FaultTable:
    """The rows of one run. Every worker of it adds to the same file, which the environment names."""

    def __init__(self, suite: str, root: Path = ROOT, document: str = "") -> None:
        """The suite is in tests/faults/<suite>, the document in docs/, <suite>-faults.md if not named; its
        table begins with the column "fault", and nothing comes after it but what is written here."""
        self._suite = suite
        self._folder = root / "tests" / "faults" / suite
        self._document = root / "docs" / (document or f"{suite}-faults.md")
        self._variable = f"{suite.upper()}_FAULT_ROWS"

    def begin(self) -> None:
        if self._variable not in os.environ:
            os.environ[self._variable] = tempfile.mkstemp(suffix=".jsonl")[1]

    def add(self, cells: Mapping[str, str]) -> None:
        """Add a row: what stands in each column, by its heading. Sorted by the first two columns."""
        with self._file.open("a") as rows:
            rows.write(json.dumps(cells) + "\n")

    def show(self, terminal: pytest.TerminalReporter, exitstatus: int, measured_on: str = "") -> None:
        """Print the table. With KEEP_TABLE in the environment a whole green run replaces the document's."""
        rows = [json.loads(line) for line in self._file.read_text().splitlines()]
        if not rows:
            return
        text = f"{markdown(rows)}\n{self._where(rows, measured_on)}\n"
        terminal.section(f"{self._suite} faults")
        terminal.write(text)
        if not os.environ.get("KEEP_TABLE"):
            return
        if partial := self._why_partial(terminal, exitstatus):
            terminal.write(f"\n{self._document.name} stays as it was: {partial}\n")
            return
        head = self._document.read_text().split("\n| fault |")[0]
        self._document.write_text(f"{head.rstrip()}\n\n{text}")

    def _why_partial(self, terminal: pytest.TerminalReporter, exitstatus: int) -> str:
        """Return why this run says less than the whole suite, nothing if it says as much."""
        stats = terminal.stats
        ran = {report.nodeid.partition("::")[0] for report in stats.get("passed", [])}
        missing = {path.name for path in self._folder.glob("test_*.py")} - {Path(path).name for path in ran}
        if exitstatus != pytest.ExitCode.OK:
            return f"the run failed or was stopped (exit status {int(exitstatus)})"
        if stats.get("skipped") or stats.get("deselected"):
            left_out = len(stats.get("skipped", [])) + len(stats.get("deselected", []))
            return f"{left_out} tests were skipped or deselected"
        if missing or any("::" in argument for argument in terminal.config.args):
            return f"only some of the tests ran: {' '.join(terminal.config.args)}"
        return ""

    def _where(self, rows: list[dict[str, str]], measured_on: str) -> str:
        machine = f"Python {platform.python_version()} on {os.cpu_count()} cores ({platform.machine()})"
        return f"{len(rows)} lines in one run, with {machine}{measured_on and ': '}{measured_on}."

    @property
    def _file(self) -> Path:
        return Path(os.environ[self._variable])


def markdown(rows: list[dict[str, str]]) -> str:
    return "".join(
        [
            line_of(rows[0]),
            f"|{'---|' * len(rows[0])}\n",
            *sorted(line_of(cell.replace("|", "\\|") for cell in row.values()) for row in rows),
        ]
    )


def line_of(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
