"""The rules with shortened windows, and the table at the end of docs/alerts.md."""

from pathlib import Path

import pytest

from dev import prometheus
from tests.faults.service.line import Record
from tests.faults.service.products import valkey
from tests.faults.table import FaultTable

NO_PROMETHEUS = "prometheus is not on PATH: it is in the archive of a release of Prometheus 3"
TABLE = FaultTable("alerts", document="alerts.md")
LONGEST_TEST = 600.0


def pytest_configure() -> None:
    TABLE.begin()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Those of other folders, too, are in a run that was given several.
    for item in (item for item in items if Path(__file__).parent in item.path.parents):
        item.add_marker(pytest.mark.timeout(LONGEST_TEST))
        if not prometheus.is_here():
            item.add_marker(pytest.mark.skip(reason=NO_PROMETHEUS))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    measured_on = f"{valkey()}, {prometheus.version()}" if prometheus.is_here() else ""
    TABLE.show(terminalreporter, exitstatus, measured_on)


@pytest.fixture
def record() -> Record:
    return TABLE.add
