"""The controls of the deploy's fault suite take out what is there; the suite itself needs a cluster."""

import pytest

from tests.deploy.shell import ROOT
from tests.faults.deploy import test_controls

EDITS = {
    name: edit
    for name, edit in vars(test_controls).items()
    if isinstance(edit, tuple) and all(isinstance(part, str) for part in edit)
}


@pytest.mark.parametrize("name", EDITS)
def test_what_a_control_takes_out_is_there_once(name: str) -> None:
    path, old, new = EDITS[name]
    assert (ROOT / path).read_text().count(old) == 1
    assert old != new


def test_each_guarantee_has_its_control() -> None:
    assert len(EDITS) >= 7
