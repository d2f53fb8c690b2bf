"""The table that a suite of faults prints, and keeps at the end of a document."""

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from tests.service import ROOT


class FaultTable:
    """The rows of one run. Every worker of it adds to the same file, which the environment names."""

    def __init__(self, suite: str) -> None:
        """The document is docs/<suite>-faults.md; its table begins with the column "fault"."""
        self._suite = suite
        self._document = ROOT / "docs" / f"{suite}-faults.md"
        self._variable = f"{suite.upper()}_FAULT_ROWS"

    def begin(self) -> None:
        if self._variable not in os.environ:
            os.environ[self._variable] = tempfile.mkstemp(suffix=".jsonl")[1]

    def add(self, cells: Mapping[str, str]) -> None:
        """Add a row: what stands in each column, by its heading. Sorted by the first two columns."""
        with self._file.open("a") as rows:
            rows.write(json.dumps(cells) + "\n")

    def show(self, terminal: pytest.TerminalReporter) -> None:
        """Print the table; with KEEP_TABLE in the environment it replaces the document's."""
        rows = [json.loads(line) for line in self._file.read_text().splitlines()]
        if not rows:
            return
        text = markdown(rows)
        terminal.section(f"{self._suite} faults")
        terminal.write(text)
        if os.environ.get("KEEP_TABLE"):
            head = self._document.read_text().split("\n| fault |")[0]
            self._document.write_text(f"{head.rstrip()}\n\n{text}")

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
