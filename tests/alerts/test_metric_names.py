"""What alerts and dashboard ask for is what the service shows: each metric, each label, each reason."""

import re
from collections import defaultdict

from prometheus_client.parser import text_string_to_metric_families

from app.telemetry.metrics import BUCKETS
from dev.valkey import free_port
from tests.alerts.phases import REASONS, STATES
from tests.alerts.promtool import EVERYTHING, rules
from tests.alerts.test_dashboard import expressions
from tests.conftest import StartService, ValkeyServer
from tests.deploy.charts import SERVICE
from tests.deploy.test_charts_values import schema

OF_OTHERS = re.compile(r"(nginx_ingress_controller|kube|kubelet|prober|redis_(aof|rdb|memory)|certmanager)_")
"""Metrics of the entrance, kube-state-metrics, the kubelet, Redis' exporter and cert-manager."""
OF_THE_TARGET = {"job", "pod", "instance"}
"""Labels that a scrape brings."""
SELECTOR = re.compile(r"\b([a-z_]+)\{([^}]*)\}")
MATCHER = re.compile(r'([a-z_]+)(=~|!~|!=|=)"([^"]*)"')


def asked() -> set[tuple[str, str]]:
    """Every metric with its labels, as some expression selects it; not those of others."""
    texts = [rule["expr"] for rule in rules(EVERYTHING)] + expressions()
    found = {pair for text in texts for pair in SELECTOR.findall(text)}
    return {(name, labels) for name, labels in found if name != "up" and not OF_OTHERS.match(name)}


def test_the_service_shows_what_is_asked_for(valkey: ValkeyServer, start_service: StartService) -> None:
    """From its first scrape, so that an alert sees the first failure."""
    service = start_service(valkey, ADMIN_PORT=free_port()).wait_until_ready()
    shown: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for family in text_string_to_metric_families(service.metrics()):
        for sample in family.samples:
            for label, value in {**sample.labels, "": ""}.items():
                shown[sample.name][label].add(value)
    unknown = [
        f"{name}: {label} {matches} {value}"
        for name, labels in sorted(asked())
        for label, matches, value in [("", "", ""), *MATCHER.findall(labels)]
        if label not in OF_THE_TARGET
        and (
            label not in shown[name]
            # What is looked for is there; what is left out need not be.
            or (matches in {"=", "=~"} and not any(re.fullmatch(value, one) for one in shown[name][label]))
        )
    ]
    assert unknown == []
    assert len(asked()) > 30
    assert shown["redis_failures_total"]["reason"] == set(REASONS)
    assert shown["not_ready"]["reason"] - {*STATES} <= set(REASONS)


def test_an_answer_is_late_at_a_bound_of_the_buckets() -> None:
    rules_schema = schema(SERVICE)["properties"]["monitoring"]["properties"]["rules"]["properties"]
    assert tuple(rules_schema["latencySeconds"]["enum"]) == BUCKETS


def test_every_reason_in_an_expression_is_one() -> None:
    """A misspelt one would match nothing, for ever."""
    found = {
        word
        for _, labels in asked()
        for label, _, value in MATCHER.findall(labels)
        if label == "reason"
        for word in value.split("|")
    }
    assert found <= {*REASONS, *STATES}
    assert "cannot persist" in found
