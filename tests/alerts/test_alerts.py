"""Each alert fires for its fault and no other, is quiet otherwise, and ends: as Prometheus evaluates it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.alerts.faults_elsewhere import ELSEWHERE
from tests.alerts.faults_of_pods import IN_THE_KEY, PODS, REDIS_CAUSES, TRAP, redis_scenarios
from tests.alerts.faults_of_visits import COUNTER, PEOPLE, SLOW
from tests.alerts.phases import REASONS, Phase, series
from tests.alerts.promtool import EVERYTHING, NEEDS_PROMTOOL, promtool, rules, rules_file
from tests.alerts.scenario import Bells, Scenario, bell
from tests.deploy.charts import Document
from tests.faults.alerts.lines import LINES
from tests.faults.alerts.windows import TIMES

SCENARIOS = [TRAP, *redis_scenarios(), *PODS, *COUNTER, *PEOPLE, *SLOW, *ELSEWHERE]
FIRING = 'group by (alertname, severity, source) (ALERTS{alertstate="firing"})'


def expected(bells: Bells) -> list[Document]:
    """As promtool wants it."""
    samples = []
    for one in sorted(bells):
        pairs = zip(("alertname", "severity", "source"), one.split(), strict=False)
        labels = ", ".join(f'{name}="{value}"' for name, value in pairs)
        samples.append({"labels": f"{{{labels}}}", "value": 1})
    return samples


def unit_test(scenario: Scenario, rules: Path) -> dict[str, Any]:
    everything = {**series(scenario.pods), **scenario.others}
    return {
        "rule_files": [str(rules)],
        "evaluation_interval": f"{scenario.evaluate_seconds}s",
        "tests": [
            {
                "interval": f"{scenario.scrape_seconds}s",
                "input_series": [{"series": name, "values": values} for name, values in everything.items()],
                "promql_expr_test": [
                    {
                        "expr": FIRING,
                        "eval_time": f"{round(minute * 60)}s",
                        "exp_samples": expected(bells),
                    }
                    for minute, bells in scenario.rings.items()
                ],
            }
        ],
    }


@NEEDS_PROMTOOL
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_right_alerts_and_no_others(scenario: Scenario, tmp_path: Path) -> None:
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump(unit_test(scenario, rules_file(tmp_path, EVERYTHING))))
    promtool("test", "rules", str(file))


@NEEDS_PROMTOOL
def test_the_ratio_that_is_told_is_of_the_requests_that_came(tmp_path: Path) -> None:
    """Also where so few came that the ratio that rings is of minimumRequests."""
    few = Phase(30, good=0.5), Phase(60, good=0, failed=0.5)
    rule = next(rule for rule in rules(EVERYTHING) if rule["alert"] == "VisitsFailFast")
    given = unit_test(Scenario("few come", [few], {}), rules_file(tmp_path, EVERYTHING))
    given["tests"][0]["promql_expr_test"] = [
        {"expr": rule["expr"], "eval_time": "44m", "exp_samples": [{"labels": "{}", "value": 1}]}
    ]
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump(given))
    promtool("test", "rules", str(file))


@NEEDS_PROMTOOL
def test_prometheus_reads_the_rules(tmp_path: Path) -> None:
    said = promtool("check", "rules", "--lint=all", "--lint-fatal", str(rules_file(tmp_path, EVERYTHING)))
    assert f"{len(rules(EVERYTHING))} rules found" in said


def test_every_alert_is_seen_to_fire_and_to_end() -> None:
    every = {bell({"alertname": rule["alert"], **rule["labels"]}) for rule in rules(EVERYTHING)}
    ends: set[str] = set()
    for scenario in SCENARIOS:
        moments = [bells for _, bells in sorted(scenario.rings.items())]
        rung = frozenset().union(*moments)
        assert rung <= every, scenario.name
        if not moments[0]:
            ends |= rung - moments[-1]
    assert every - ends == set()


def test_every_alert_of_the_service_alone_is_rung_for_real() -> None:
    every = {bell({"alertname": rule["alert"], **rule["labels"]}) for rule in rules()}
    from_the_service = {name for name in every if len(name.split()) == 2}
    assert frozenset().union(*(line.rings for line in LINES)) == from_the_service == TIMES.keys()


def test_every_reason_of_redis_has_its_alert() -> None:
    told = [reason for reasons in REDIS_CAUSES.values() for reason in reasons]
    assert sorted([*told, *IN_THE_KEY]) == REASONS


def test_who_is_woken_is_told_what_to_do() -> None:
    for rule in rules(EVERYTHING):
        name, told = rule["alert"], rule["annotations"]
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert told["summary"].endswith("."), name
        assert ". " not in told["summary"], f"{name}: the summary is one sentence"
        assert "shop" in told["summary"], f"{name}: the summary says which service"
        assert "ook at" in told["description"] or "Open" in told["description"], name
        assert told["runbook_url"] == f"docs/runbook.md#{name.lower()}"
        assert "<" not in told["summary"] + told["description"] + rule.get("for", ""), name


def test_without_their_values_only_the_service_and_the_kubelet_are_asked() -> None:
    sources = {rule["labels"].get("source") for rule in rules()}
    assert sources == {None, "kubelet"}
    assert {"EntranceFails", "CertificateEnds"} & {rule["alert"] for rule in rules()} == set()
    external = {"redis": {"mode": "external", "host": "redis.test"}, "secret": {"mode": "existing"}}
    assert {rule["labels"].get("source") for rule in rules(external)} == {None, "kubelet"}
