"""The candidate: the Deployment's own pod under another name, beside every selector, counting elsewhere."""

import json
import re

import pytest

from app.settings import HASH_TAG, Settings
from tests.deploy.charts import (
    DEPLOYED,
    ENVIRONMENTS,
    HELMS,
    SERVICE,
    Document,
    Values,
    configuration,
    document,
    documents,
    merged,
    pod,
    refusal,
)
from tests.deploy.pod_security import violations

CANDIDATE: Values = {"candidate": {"enabled": True}}


def candidate(values: Values | None = None, environment: str = "dev", helm: str = HELMS[0]) -> Document:
    (found,) = [
        one
        for one in documents(SERVICE, environment, merged(values or {}, CANDIDATE), helm)
        if one["kind"] == "Pod" and one["metadata"]["name"].endswith("-candidate")
    ]
    return found


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("helm", HELMS)
def test_it_is_the_deployments_own_pod(environment: str, helm: str) -> None:
    values: Values = {
        "priorityClassName": "high",
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "extraEnv": [{"name": "OTHER", "value": "1"}],
        "podAnnotations": {"a": "b"},
    }
    found = candidate(values, environment, helm)
    spec, ours = found["spec"], pod(SERVICE, environment, values)["spec"]
    own = {name: spec.pop(name) for name in ("restartPolicy", "activeDeadlineSeconds", "readinessGates")}
    assert own["restartPolicy"] == "Never"
    assert own["activeDeadlineSeconds"] == 600
    ours.pop("topologySpreadConstraints", None)
    key = [one for one in spec["containers"][0]["env"] if one["name"] == "COUNTER_KEY"]
    assert [one["value"] for one in key] == ["{counter}:candidate"]
    for one in (spec, ours):
        variables = one["containers"][0]["env"]
        one["containers"][0]["env"] = [each for each in variables if each["name"] != "COUNTER_KEY"]
    assert spec == ours
    assert found["metadata"]["annotations"] == {"a": "b"}
    assert violations(found["spec"]) == []


def test_no_selector_finds_it() -> None:
    values: Values = {"podLabels": {"team": "web"}}
    labels = candidate(values)["metadata"]["labels"]
    assert labels["team"] == "web"
    selectors = [
        document(SERVICE, "Service", values=values)["spec"]["selector"],
        document(SERVICE, "Deployment", values=values)["spec"]["selector"]["matchLabels"],
        document(SERVICE, "PodDisruptionBudget", values=values)["spec"]["selector"]["matchLabels"],
        document(SERVICE, "NetworkPolicy", values=values)["spec"]["podSelector"]["matchLabels"],
    ]
    for selector in selectors:
        assert not selector.items() <= labels.items()


@pytest.mark.parametrize("name", ["app.kubernetes.io/name", "app.kubernetes.io/instance"])
def test_pod_labels_cannot_lead_a_selector_to_it(name: str) -> None:
    refusal(SERVICE, merged(CANDIDATE, {"podLabels": {name: "visits"}}))


def test_a_foreign_service_never_sends_it_visitors() -> None:
    """One that selects the team's own label: the candidate is never ready, whatever its container says."""
    (gate,) = candidate()["spec"]["readinessGates"]
    assert re.fullmatch(r"visits/never", gate["conditionType"])


@pytest.mark.parametrize(
    ("key", "counts_under"),
    [(None, "{counter}:candidate"), ("shop:visits", "{shop:visits}:candidate"), ("a{b}c", "a{b}c:candidate")],
)
def test_it_counts_beside_the_counter_in_its_slot(key: str | None, counts_under: str) -> None:
    values: Values = {"settings": {"COUNTER_KEY": key}} if key else {}
    environment = candidate(values)["spec"]["containers"][0]["env"]
    assert {"name": "COUNTER_KEY", "value": counts_under} in environment
    assert HASH_TAG.match(counts_under)
    assert configuration(values=values).get("COUNTER_KEY") == key


def test_what_it_has_of_its_own_is_a_setting_of_the_service() -> None:
    """The service takes no notice of another variable, and the candidate would write among the real keys."""
    own, service = (
        {one["name"]: one.get("value") for one in spec["containers"][0]["env"]}
        for spec in (candidate()["spec"], pod(SERVICE)["spec"])
    )
    differing = {name.lower() for name in own.keys() | service.keys() if own.get(name) != service.get(name)}
    assert differing
    assert differing <= Settings.model_fields.keys()


def test_no_other_way_sets_the_key() -> None:
    """It would win over the candidate's."""
    values: Values = {"extraEnv": [{"name": "COUNTER_KEY", "value": "counter"}]}
    assert "extraEnv names COUNTER_KEY" in refusal(SERVICE, values)


@pytest.mark.parametrize("name", ["counter_key", "Counter_Key"])
def test_the_service_reads_names_in_any_case(name: str) -> None:
    """The last one wins, and extraEnv comes last: the candidate would count visitors' own counter."""
    assert f"extraEnv names {name}" in refusal(SERVICE, {"extraEnv": [{"name": name, "value": "counter"}]})


def test_nobody_may_ask_it_as_long_as_it_lives() -> None:
    """Its policy has no owner: one that goes with the pod would leave it open while it drains."""
    values = merged(CANDIDATE, {"networkPolicy": {"extraEgress": [{"ports": [{"port": 4317}]}]}})
    policy = document(SERVICE, "NetworkPolicy", values=values, name="shop-candidate")
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy["spec"]
    # It is to be the service in everything, so it asks whom the service asks.
    assert policy["spec"]["egress"] == document(SERVICE, "NetworkPolicy", values=values)["spec"]["egress"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= candidate()["metadata"]["labels"].items()
    assert "ownerReferences" not in policy["metadata"]


def test_it_runs_as_the_account_that_helm_will_take_over() -> None:
    account = document(SERVICE, "ServiceAccount", values={"annotations": {"owner": "web"}})
    assert candidate()["spec"]["serviceAccountName"] == account["metadata"]["name"] == "shop"
    assert account["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"
    assert account["metadata"]["annotations"] == {
        "meta.helm.sh/release-name": "shop",
        "meta.helm.sh/release-namespace": "shop",
        "helm.sh/resource-policy": "keep",
        "owner": "web",
    }


def test_a_release_has_none() -> None:
    assert "candidate" not in json.dumps(documents(SERVICE, values=DEPLOYED[SERVICE]))
