"""Versions that come up and answer badly, written by somebody who had not read what deploy.sh asks of one.

What a fresh pod shows must reach nobody. What shows later, or only outside of a pod, must not stay.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.faults.bad_versions import BAD_VERSIONS, BadVersion, Visible
from tests.faults.deploy.conftest import BUSY, Line, assert_rate, coming_to, judge, record
from tests.faults.deploy.deployment import Deployment, Sources

INSIDE = [version for version in BAD_VERSIONS if version.visible is Visible.INSIDE]
ELSEWHERE = [version for version in BAD_VERSIONS if version.visible is not Visible.INSIDE]
MISSED = {
    "moves-to-another-port": "it serves for the 15 seconds in which a deploy ends",
    "same-number-under-load": "only visitors of the same moment see it; the test asks one after another",
}
"""Versions that stay, and why. What nobody sees while a deploy lasts is for monitoring to find."""
OFTEN_MISSED = {
    "memory-grows": "its first pod dies some 20 seconds after it was ready, and a quick deploy ends before",
    "places-leak": "it serves until each pod has answered a thousand requests, be it in time or not",
}
"""Versions that stay or go, by how long the deploy takes, or how many visitors come meanwhile."""


@contextmanager
def sources_of(version: BadVersion, sources: Sources) -> Iterator[None]:
    with ExitStack() as edits:
        for path, edit in version.edits.items():
            edits.enter_context(sources.edited(path, edit))
        yield


def deploy(version: BadVersion, installed: Deployment) -> Line:
    """Deploy it under many visitors, until it is over and they had time to see what serves then."""
    with coming_to(installed, BUSY) as visitors, sources_of(version, installed.sources):
        line = Line(installed, visitors)
        line.run = installed.run(f"11.{BAD_VERSIONS.index(version)}.0")
        visitors.await_answers(100)
    kind = f"visible {version.visible}"
    if line.run.process.returncode == 0 and (reason := (MISSED | OFTEN_MISSED).get(version.name)):
        kind = f"missed: {reason}"
    record(f"bad version ({kind}): {version.description}", line)
    return line


@pytest.mark.parametrize("version", INSIDE, ids=lambda version: version.name)
def test_it_reaches_nobody(installed: Deployment, version: BadVersion) -> None:
    before = installed.serving()
    line = deploy(version, installed)
    assert line.run is not None
    assert line.run.process.returncode in (8, 9), line.run.output
    judge(line, line.run.process.returncode, "nothing was changed, no visitor met it")
    assert line.load is not None
    assert line.load.met_bad_version == []
    assert line.load.failures == []
    assert installed.serving() == before
    assert_rate(line.load, BUSY)


@pytest.mark.parametrize("version", ELSEWHERE, ids=lambda version: version.name)
def test_it_does_not_stay(installed: Deployment, version: BadVersion) -> None:
    """What visitors met meanwhile is in the table."""
    before = installed.serving()
    line = deploy(version, installed)
    assert line.run is not None
    assert version.name not in MISSED or line.run.process.returncode == 0, "it is missed no longer: say so"
    if line.run.process.returncode == 0:
        assert version.name in MISSED | OFTEN_MISSED, line.run.output
        mended = installed.run("11.99.0")
        assert mended.process.returncode == 0, mended.output
        return
    assert line.run.process.returncode in (8, 9), line.run.output
    judge(line, line.run.process.returncode, "")
    assert installed.serving() == before
    assert line.load is not None
    assert_rate(line.load, BUSY)
