"""docs/security.md names tests that exist."""

import re

from tests.service import ROOT

DOCS = (ROOT / "docs" / "security.md").read_text()


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", DOCS))
    assert len(named) > 30
    there = {
        (file.name, name)
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^ *(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    assert sorted(named - there) == []
    assert DOCS.count("::") == len(re.findall(r"`test_\w+\.py::test_\w+`", DOCS)), "one is written otherwise"
