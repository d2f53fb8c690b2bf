"""What the values mean is written once, and everything made from it is up to date."""

from pathlib import Path

import pytest

from dev import values_docs
from dev.values_docs import REDIS, ROOT, SERVICE, comments, stale, written


def test_nothing_made_from_the_values_has_drifted() -> None:
    assert [str(path.relative_to(ROOT)) for path in stale()] == [], "run `make docs`"


def test_every_value_is_in_the_table() -> None:
    table = written()[ROOT / "docs" / "values.md"]
    for chart in (SERVICE, REDIS):
        for name in comments((chart / "values.yaml").read_text()):
            assert f"| `{name}` |" in table


def test_comments_belong_to_the_key_below_them() -> None:
    text = "# Of the file.\n\n# Of a,\n# in two lines.\na:\n  # Of b.\n  b: 1\n  c: 2\n\n# Of d.\nd: []\n"
    assert comments(text) == {"a": "Of a, in two lines.", "a.b": "Of b.", "d": "Of d."}


def test_a_value_without_a_comment_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Break the source once to see it noticed."""
    broken = tmp_path / "chart"
    broken.mkdir()
    (broken / "values.yaml").write_text(
        (SERVICE / "values.yaml").read_text().replace("  # Port of Redis.\n", "")
    )
    (broken / "values.schema.json").write_text((SERVICE / "values.schema.json").read_text())
    monkeypatch.setattr(values_docs, "SERVICE", broken)
    with pytest.raises(SystemExit, match=r"redis\.port has no comment"):
        written()
