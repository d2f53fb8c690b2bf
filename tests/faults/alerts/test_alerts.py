"""Every fault that a visitor could notice rings its bell and no other, with real processes."""

from pathlib import Path

import pytest

from tests.alerts.promtool import rules
from tests.faults.alerts.ground import Line
from tests.faults.alerts.lines import LINES
from tests.faults.alerts.verdict import run
from tests.faults.alerts.windows import SHORTENED
from tests.faults.service.line import Record


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_the_right_alerts_and_no_others(line: Line, tmp_path: Path, record: Record) -> None:
    record(run(line, tmp_path, rules(SHORTENED)).cells())
