"""The rules with shortened windows, and the table at the end of docs/alerts.md."""

import pytest

from tests.faults.alerts import prometheus
from tests.faults.service.line import Record
from tests.faults.service.products import valkey
from tests.faults.table import FaultTable

TABLE = FaultTable("alerts", document="alerts.md")
LONGEST_TEST = 600.0


def pytest_configure() -> None:
    TABLE.begin()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.timeout(LONGEST_TEST))
        if not prometheus.is_here():
            item.add_marker(pytest.mark.skip(reason=prometheus.NO_PROMETHEUS))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    measured_on = f"{valkey()}, {prometheus.version()}" if prometheus.is_here() else ""
    TABLE.show(terminalreporter, exitstatus, measured_on)


@pytest.fixture
def record() -> Record:
    return TABLE.add
