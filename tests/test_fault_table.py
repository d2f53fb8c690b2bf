"""The table of a suite of faults: only a whole green run replaces what a document says."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service import PATIENCE, ROOT, clean_environment

CONFTEST = """
import pytest
from pathlib import Path
from tests.faults.table import FaultTable

TABLE = FaultTable("small", Path(__file__).parents[3])

def pytest_configure():
    TABLE.begin()

def pytest_terminal_summary(terminalreporter, exitstatus):
    TABLE.show(terminalreporter, exitstatus, "some server")

@pytest.fixture
def record():
    return TABLE.add
"""
TEST = """
import pytest

def test_{name}(record):
    record({{"fault": "{name}", "server": "new"}})

@pytest.mark.xfail(strict=True)
def test_control_of_{name}():
    raise AssertionError
"""
BEFORE = (
    "# Faults\n\nWhat it survives.\n\n| fault | server |\n|---|---|\n| one | old |\n\nMeasured long ago.\n"
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    suite = tmp_path / "tests" / "faults" / "small"
    suite.mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (suite / "conftest.py").write_text(CONFTEST)
    for name in ("one", "two"):
        (suite / f"test_{name}.py").write_text(TEST.format(name=name))
    (tmp_path / "docs" / "small-faults.md").write_text(BEFORE)
    return tmp_path


def run(project: Path, *arguments: str, **environment: str) -> tuple[str, str]:
    """Run the suite; return the document after it, and what the run printed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *(arguments or ["tests/faults/small"])],
        cwd=project,
        env=clean_environment(PYTHONPATH=ROOT, **environment),
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE,
        check=False,
    )
    return (project / "docs" / "small-faults.md").read_text(), done.stdout


def test_a_whole_green_run_replaces_the_table(project: Path) -> None:
    for _ in range(2):
        document, _ = run(project, KEEP_TABLE="1")
        head, _, table = document.partition("| fault |")
        assert head == BEFORE.partition("| fault |")[0]
        assert "| one | new |\n| two | new |\n\n2 lines" in table
        assert f"Python {platform.python_version()}" in table
        assert table.endswith(": some server.\n")
        assert "old" not in document


def test_without_being_asked_to_it_only_prints(project: Path) -> None:
    document, printed = run(project)
    assert document == BEFORE
    assert "| one | new |" in printed


FILE = "tests/faults/small/test_one.py"


@pytest.mark.parametrize(
    "arguments",
    [
        ["tests/faults/small", "-k", "one"],
        ["tests/faults/small", "--deselect", f"{FILE}::test_one"],
        ["tests/faults/small", "--ignore", FILE],
        [FILE],
        [f"{FILE}::test_one", "tests/faults/small/test_two.py"],
    ],
    ids=" ".join,
)
def test_a_run_of_a_part_keeps_what_was_there(project: Path, arguments: list[str]) -> None:
    document, printed = run(project, *arguments, KEEP_TABLE="1")
    assert document == BEFORE
    assert "small-faults.md stays as it was" in printed


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("assert False", []),
        ("assert False", ["-x"]),
        ("pytest.skip('no such server')", []),
        ("raise KeyboardInterrupt", []),
    ],
)
def test_a_run_that_was_not_green_keeps_what_was_there(project: Path, line: str, options: list[str]) -> None:
    (project / "tests/faults/small/test_three.py").write_text(
        f"import pytest\ndef test_three():\n    {line}\n"
    )
    document, printed = run(project, "tests/faults/small", *options, KEEP_TABLE="1")
    assert document == BEFORE
    assert "small-faults.md stays as it was" in printed


def test_a_control_that_did_not_fail_keeps_what_was_there(project: Path) -> None:
    file = project / FILE
    file.write_text(file.read_text().replace("raise AssertionError", "pass"))
    document, _ = run(project, KEEP_TABLE="1")
    assert document == BEFORE
