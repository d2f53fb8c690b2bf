"""The suite itself: with a fault switched off, or a guarantee taken out, a line must go red."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from random import Random

import pytest

from tests.faults.bad_versions import BAD_VERSIONS, BadVersion
from tests.faults.deploy import conftest, test_bad_versions, test_candidate, test_lock, test_plan
from tests.faults.deploy.conftest import fault
from tests.faults.deploy.deployment import Deployment
from tests.faults.tcp_proxy import TcpProxy

pytestmark = pytest.mark.control

Without = Callable[[str, str, str], AbstractContextManager[None]]


@pytest.fixture(autouse=True)
def beside_the_table(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """The rows of controls are not the product's."""
    rows: list[dict[str, str]] = []
    monkeypatch.setattr(conftest.TABLE, "add", rows.append)
    return rows


@pytest.fixture
def installed(installed: Deployment) -> Iterator[Deployment]:
    """Whatever a control left behind, the next test finds a good version."""
    yield installed
    installed.project.kubectl("delete", "lease", f"{installed.project.name}-deploy", "--ignore-not-found")
    run = installed.run("12.99.0", "--no-candidate")
    assert run.process.returncode == 0, run.output


@pytest.fixture
def without(installed: Deployment) -> Without:
    """`with without(path, old, new):` the product lacks a guarantee: its only `old` is `new` instead."""

    def edited(path: str, old: str, new: str = "") -> AbstractContextManager[None]:
        def edit(text: str) -> str:
            assert text.count(old) == 1, f"«{old}» is {text.count(old)} times in {path}"
            return text.replace(old, new)

        return installed.sources.edited(path, edit)

    return edited


def goes_red(because: str) -> AbstractContextManager[object]:
    return pytest.raises(AssertionError, match=because)


def bad(name: str) -> BadVersion:
    return next(version for version in BAD_VERSIONS if version.name == name)


NO_CANDIDATE = ("deploy/candidate.sh", "  if ! candidate_is_wanted; then return; fi\n", "  return\n")
NO_SMOKE_TEST = ("deploy.sh", "    step smoke smoke_service\n", "")
NO_ROLLBACK = ("deploy/rollback.sh", '  step rollback restore_release "$release" "$target" "$reason"\n', "")
NO_LOCK = ("deploy.sh", "    step namespace prepare_namespace\n    step lock acquire_lock\n", "")
PRINTED_PASSWORD = (
    "deploy/status.sh",
    '  result "$image_name:',
    '  "${kubectl[@]}" get secret "$secret_name" -o jsonpath={.data.REDIS_PASSWORD}\n  result "$image_name:',
)
LEFT_CANDIDATE = (
    "deploy/candidate.sh",
    "  examine_drain\n  remove_candidate\n",
    "  stop_forward\n  candidate_made=\n",
)
PLAN_OF_LESS = (
    "deploy/objects_that_differ.awk",
    "if (before != after) print",
    'if (before != after && object !~ "^ConfigMap") print',
)


REDIRECTED_FOR_EVER = "more answers; .* 301:"
"""What the visitors of a version that stays say: they get no more answers."""


def test_without_a_candidate_visitors_meet_the_version(installed: Deployment, without: Without) -> None:
    with without(*NO_CANDIDATE):
        line = test_bad_versions.deploy(bad("one-in-twenty-fails"), installed)
    assert line.load is not None
    assert line.load.met_bad_version
    assert line.load.failures


def test_without_the_smoke_test_it_stays(installed: Deployment, without: Without) -> None:
    with without(*NO_SMOKE_TEST), goes_red(REDIRECTED_FOR_EVER):
        test_bad_versions.test_it_does_not_stay(installed, bad("redirects-behind-a-proxy"))


def test_without_a_rollback_it_stays(installed: Deployment, without: Without) -> None:
    with without(*NO_ROLLBACK), goes_red(REDIRECTED_FOR_EVER):
        test_bad_versions.test_it_does_not_stay(installed, bad("redirects-behind-a-proxy"))


def test_without_the_lock_two_deploy_at_once(installed: Deployment, without: Without, tmp_path: Path) -> None:
    # The first finds the second's version in its place, or the second is not refused.
    with without(*NO_LOCK), goes_red("assert 10 == 8|== 5"):
        test_lock.test_two_deploys_at_once(installed, tmp_path)


def test_a_version_that_does_not_crash(installed: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_candidate, "crashes", lambda text: f"{text}\n# good\n")
    with goes_red("== 8"):
        test_candidate.test_crash(installed)


def test_a_registry_that_is_not_cut(installed: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TcpProxy, "cut", lambda _: None)
    with goes_red("== 8"):
        test_candidate.test_the_nodes_cannot_pull_it(installed)


def test_a_lock_that_nobody_takes(installed: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_lock, "take_lease", lambda _: None)
    with goes_red("== 5"):
        test_lock.test_the_lock_is_lost_in_the_middle(installed)


def test_a_password_that_is_printed(installed: Deployment, without: Without) -> None:
    with without(*PRINTED_PASSWORD), goes_red("password"):
        with fault("nothing changed", installed, 0) as line:
            line.run = installed.run("12.1.0", "--no-candidate")


def test_a_candidate_that_is_left(installed: Deployment, without: Without) -> None:
    with without(*LEFT_CANDIDATE), goes_red("the candidate was left"):
        with fault("a new version", installed, 0) as line:
            line.run = installed.run("12.2.0")
    installed.project.kubectl("delete", "pod", f"{installed.project.name}-candidate", "--now")


def test_a_plan_that_names_less(installed: Deployment, without: Without, tmp_path: Path) -> None:
    with without(*PLAN_OF_LESS):
        with goes_red("Extra items in the right set:\\s+'ConfigMap/"):
            test_plan.test_thirty_random_changes(installed, tmp_path, Random(1))  # noqa: S311 - the same each time
