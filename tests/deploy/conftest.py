"""The fixture of the tests that run functions of deploy/*.sh."""

from pathlib import Path

import pytest

from tests.deploy.shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    folder = tmp_path / "shell"
    folder.mkdir()
    return Shell(folder)
