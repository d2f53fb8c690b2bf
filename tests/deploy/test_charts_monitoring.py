"""What the chart tells Prometheus: off by default, no pod changed, left out where nobody would read it."""

import json
import re

import pytest

from tests.deploy.charts import (
    CHARTS,
    DEPLOYED,
    HELMS,
    SERVICE,
    Values,
    container,
    document,
    documents,
    merged,
    pod,
    run,
    workload,
)

ON: Values = {"monitoring": {part: {"enabled": True} for part in ("podMonitor", "rules", "dashboard")}}
ROUTE: Values = {"httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}}
RULES: Values = {"monitoring": {"rules": {"enabled": True, "scrapedElsewhere": True}}}
GROUP = "monitoring.coreos.com/v1"
NO_MONITOR = f"PodMonitor, as the cluster does not have {GROUP}/PodMonitor"
NO_RULE = f"PrometheusRule, as the cluster does not have {GROUP}/PrometheusRule"


def test_off_by_default() -> None:
    assert {"PodMonitor", "PrometheusRule"} & {one["kind"] for one in documents(SERVICE)} == set()
    assert len([one for one in documents(SERVICE) if one["kind"] == "ConfigMap"]) == 1


def test_it_changes_nothing_that_is_there() -> None:
    """So it can be turned on and off at any time, and no pod is replaced."""
    with_it = documents(SERVICE, values=ON)
    assert [one for one in with_it if one in documents(SERVICE)] == documents(SERVICE)
    added = [one["kind"] for one in with_it if one not in documents(SERVICE)]
    assert sorted(added) == ["ConfigMap", "PodMonitor", "PrometheusRule"]


def test_the_pods_of_the_release_are_scraped_and_no_others() -> None:
    spec = document(SERVICE, "PodMonitor", values=ON)["spec"]
    assert spec["selector"] == workload(SERVICE)["spec"]["selector"]
    (endpoint,) = spec["podMetricsEndpoints"]
    listens = {port["name"]: port["containerPort"] for port in container(SERVICE)["ports"]}
    assert listens[endpoint["port"]] == 8001
    assert endpoint["path"] == "/metrics"
    chosen = spec["selector"]["matchLabels"].items()
    assert chosen <= pod(SERVICE)["metadata"]["labels"].items()
    candidate = document(SERVICE, "Pod", values={"candidate": {"enabled": True}}, name="shop-candidate")
    assert not chosen <= candidate["metadata"]["labels"].items()
    # The operator names the job after the object: a jobLabel would name it otherwise.
    assert "jobLabel" not in spec


def test_the_alerts_know_the_containers_by_their_names() -> None:
    rules = json.dumps(document(SERVICE, "PrometheusRule", values=ON))
    named = set(re.findall(r'container=\\"([^"\\]+)', rules))
    assert container(SERVICE)["name"] in named
    assert named <= {container(chart)["name"] for chart in CHARTS}


def test_prometheus_may_connect_to_what_it_is_to_scrape() -> None:
    _, admin = document(SERVICE, "NetworkPolicy", values=ON)["spec"]["ingress"]
    (endpoint,) = document(SERVICE, "PodMonitor", values=ON)["spec"]["podMetricsEndpoints"]
    assert [one["port"] for one in admin["ports"]] == [endpoint["port"]]
    assert admin["from"]


@pytest.mark.parametrize("part", ["podMonitor", "rules", "dashboard"])
def test_labels_by_which_each_is_found(part: str) -> None:
    kinds = {"podMonitor": "PodMonitor", "rules": "PrometheusRule", "dashboard": "ConfigMap"}
    values = merged(ON, {"monitoring": {part: {"labels": {"release": "stack", "team": "own"}}}})
    values["labels"] = {"team": "web"}
    name = "shop-dashboard" if part == "dashboard" else "shop"
    labels = document(SERVICE, kinds[part], values=values, name=name)["metadata"]["labels"]
    assert labels["release"] == "stack"
    assert labels["team"] == "own"
    assert labels["app.kubernetes.io/instance"] == "shop"
    assert labels["app.kubernetes.io/version"] == "1.0.0"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"podMonitor": {"enabled": False}}, "nothing scrapes the pods"),
        ({"podMonitor": {"enabled": False}, "rules": {"scrapedElsewhere": True}}, None),
        ({"podMonitor": {"interval": "31s"}}, "recent is 2m, but must hold four scrapes"),
        ({"podMonitor": {"interval": "30s500ms"}}, "must hold four scrapes"),
        ({"podMonitor": {"interval": "1m"}, "rules": {"windows": {"recent": "4m"}}}, None),
        ({"podMonitor": {"interval": "1m"}, "rules": {"windows": {"recent": "3m59s"}}}, "must hold four"),
        ({"podMonitor": {"interval": "1h"}, "rules": {"enabled": False}}, None),
    ],
    ids=str,
)
def test_alerts_that_would_see_too_little_are_refused(values: Values, told: str | None) -> None:
    given = json.dumps(merged(DEPLOYED[SERVICE], merged(ON, {"monitoring": values})))
    result = run(HELMS[0], SERVICE, "dev", given, "shop")
    if told is None:
        assert result.returncode == 0, result.stderr
    else:
        assert result.returncode != 0
        assert told in result.stderr


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize(
    ("values", "told"),
    [
        (ON, f"{NO_MONITOR}; {NO_RULE}"),
        (RULES, NO_RULE),
        ({"monitoring": {"dashboard": {"enabled": True}}}, None),
        (
            merged(ON, ROUTE),
            f"HTTPRoute, as the cluster does not have gateway.networking.k8s.io/v1; {NO_MONITOR}; {NO_RULE}",
        ),
    ],
    ids=["both", "rules", "dashboard", "with a route"],
)
def test_what_nobody_would_read_is_left_out_and_said_in_one_line(
    helm: str, values: Values, told: str | None
) -> None:
    given = json.dumps(merged(DEPLOYED[SERVICE], values))
    result = run(helm, SERVICE, "dev", given, "shop", api_versions="v1,apps/v1")
    assert result.returncode == 0, result.stderr
    assert "monitoring.coreos.com/v1\nkind" not in result.stdout
    # As deploy/charts.sh reads it.
    found = re.findall(r"^ *deploy/left-out: (.*)$", result.stdout, re.MULTILINE)
    assert found == ([told] if told else [])


@pytest.mark.parametrize(
    ("values", "there", "told"),
    [
        (ON, "PodMonitor", NO_RULE),
        (ON, "PrometheusRule", f"{NO_MONITOR}; PrometheusRule, as nothing would scrape the pods"),
        (RULES, "PrometheusRule", None),
    ],
    ids=["a PodMonitor alone", "rules alone", "rules, and somebody scrapes"],
)
def test_each_kind_is_looked_for(values: Values, there: str, told: str | None) -> None:
    """An agent may bring one without the other, and to apply a kind that is missing fails the deploy."""
    given = json.dumps(merged(DEPLOYED[SERVICE], values))
    result = run(HELMS[0], SERVICE, "dev", given, "shop", api_versions=f"v1,{GROUP},{GROUP}/{there}")
    assert result.returncode == 0, result.stderr
    kinds = set(re.findall(r"^kind: (PodMonitor|PrometheusRule)$", result.stdout, re.MULTILINE))
    assert kinds == (set() if told and "nothing would" in told else {there})
    found = re.findall(r"^ *deploy/left-out: (.*)$", result.stdout, re.MULTILINE)
    assert found == ([told] if told else [])
