"""Imports in app/ point down, as docs/architecture.md draws them, and no file is long."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service import ROOT

APP = ROOT / "app"
LAYERS = [
    {"__main__"},
    {"workers"},
    {"server"},
    {"counting"},
    {"feature"},
    {"handlers"},
    {"counter", "http", "health"},
    {"redis", "telemetry", "unavailable"},
    {"settings"},
    {"setting_kinds", "redis_url"},
]
"""From the top down. Those of one layer know nothing of each other."""
APART = {("http", "redis"), ("http", "unavailable"), ("handlers", "redis"), ("counter", "telemetry")}
"""Who knows nothing of whom, though it is above."""
LONGEST = 300
FILES = sorted(APP.rglob("*.py"))


def part_of(module: str) -> str:
    """The part of the house that `redis.client` belongs to; what has a layer of its own is one."""
    names = {name for layer in LAYERS for name in layer}
    return module if module in names else module.partition(".")[0]


def imported(file: Path) -> Iterator[str]:
    """Modules below app that a file imports, as `redis.client`."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("app."):
            yield node.module.removeprefix("app.")


def layer_of(part: str) -> int:
    (position,) = (position for position, layer in enumerate(LAYERS) if part in layer)
    return position


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(APP)))
def test_imports_point_down(file: Path) -> None:
    own = part_of(".".join(file.relative_to(APP).with_suffix("").parts))
    if own == "__init__":
        return
    others = {part_of(module) for module in imported(file)} - {own}
    assert [other for other in sorted(others) if layer_of(other) <= layer_of(own)] == []
    assert [other for other in sorted(others) if (own, other) in APART] == []


def test_no_file_is_long() -> None:
    assert [file.name for file in FILES if len(file.read_text().splitlines()) > LONGEST] == []
