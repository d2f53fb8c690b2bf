"""The suite itself: a rule that is missing or wrong must turn a line red, and for that alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.alerts.promtool import rules
from tests.alerts.scenario import bell
from tests.deploy.charts import Document
from tests.faults.alerts.lines import BY_NAME
from tests.faults.alerts.verdict import WrongBells, run
from tests.faults.alerts.windows import SHORTENED
from tests.faults.service.verdict import DidNotStrike

pytestmark = pytest.mark.control


def named(rule: Document) -> str:
    return bell({"alertname": rule["alert"], **rule["labels"]})


def without(alert: str) -> list[Document]:
    return [rule for rule in rules(SHORTENED) if named(rule) != alert]


def changed(alert: str, **parts: str) -> list[Document]:
    """The rules, one of which says something else."""
    return [{**rule, **parts} if named(rule) == alert else rule for rule in rules(SHORTENED)]


def complaints(name: str, folder: Path, its_rules: list[Document]) -> dict[str, str]:
    with pytest.raises(WrongBells) as wrong:
        run(BY_NAME[name], folder, its_rules)
    return dict(wrong.value.complaints)


def test_a_rule_that_is_missing(tmp_path: Path) -> None:
    alert = "RedisUnreachable page"
    assert complaints("Redis killed", tmp_path, without(alert)) == {alert: "did not ring"}


def test_a_rule_that_is_too_late(tmp_path: Path) -> None:
    alert = "NoPodSeen page"
    late = complaints(
        "the only process killed, not started again", tmp_path, changed(alert, **{"for": "20s"})
    )
    assert late[alert].startswith("rang after ")
    assert set(late) == {alert}


def test_a_rule_that_takes_one_cause_for_another(tmp_path: Path) -> None:
    """NoPodReady without what leaves Redis' failures to others."""
    alert = "NoPodReady page"
    wrong = complaints("out of memory with noeviction", tmp_path, changed(alert, expr="max(ready) == 0"))
    assert wrong[alert].startswith("rang, ")
    assert set(wrong) == {alert}


def test_a_rule_that_does_not_end(tmp_path: Path) -> None:
    alert = "NoPodSeen page"
    expression = "absent_over_time(up[5m]) or min_over_time((min(up) or vector(0))[5m:1s]) == 0"
    lasting = complaints("no pod is there", tmp_path, changed(alert, expr=expression))
    assert set(lasting) == {alert}
    assert lasting[alert].startswith("rang on ")


def test_a_fault_that_does_not_strike(tmp_path: Path) -> None:
    calm = replace(BY_NAME["SIGKILL under load, started again"], strike=BY_NAME["nothing breaks"].strike)
    with pytest.raises(DidNotStrike):
        run(calm, tmp_path, rules(SHORTENED))


def test_a_fault_that_does_not_strike_and_should_ring(tmp_path: Path) -> None:
    calm = replace(BY_NAME["Redis killed"], strike=BY_NAME["nothing breaks"].strike)
    with pytest.raises(WrongBells, match="did not ring"):
        run(calm, tmp_path, rules(SHORTENED))
