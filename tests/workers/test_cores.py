"""WORKERS=0: one a core that this process may use."""

import os
from pathlib import Path

import pytest

from app.workers.cores import usable_cores


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


@pytest.mark.parametrize(
    ("own", "above", "cores"),
    [
        ("max 100000\n", "max 100000\n", 8),
        ("200000 100000\n", "max 100000\n", 2),
        ("150000 100000\n", "max 100000\n", 2),
        ("50000 100000\n", "max 100000\n", 1),
        ("1600000 100000\n", "max 100000\n", 8),
        ("max 100000\n", "300000 100000\n", 3),
        (None, None, 8),
    ],
)
def test_no_more_than_there_is_time_for(
    tmp_path: Path, own: str | None, above: str | None, cores: int
) -> None:
    unit = tmp_path / "groups" / "system.slice" / "visits.service"
    unit.mkdir(parents=True)
    for folder, text in ((unit, own), (unit.parent, above)):
        if text is not None:
            (folder / "cpu.max").write_text(text)
    (tmp_path / "group").write_text("0::/system.slice/visits.service\n")
    assert usable_cores(tmp_path / "group", tmp_path / "groups") == cores


@pytest.mark.parametrize("text", ["", "4:cpu:/a\n3:memory:/b\n"])
def test_without_the_unified_hierarchy_only_the_cores_count(tmp_path: Path, text: str) -> None:
    (tmp_path / "group").write_text(text)
    assert usable_cores(tmp_path / "group", tmp_path) == 8
    assert usable_cores(tmp_path / "not there", tmp_path) == 8
