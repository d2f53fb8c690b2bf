"""What keeps the service up, budget and spread; and what may be added. Policies: test_charts_network.py."""

import json
import re
from pathlib import Path

import pytest

from app.settings import Settings
from tests.deploy.charts import (
    CHARTS,
    DEPLOYED,
    HELMS,
    REDIS,
    SERVICE,
    Values,
    container,
    document,
    documents,
    label,
    merged,
    pod,
    refusal,
    run,
    workload,
)


def test_the_budget_never_blocks_a_drain_for_ever() -> None:
    spec = document(SERVICE, "PodDisruptionBudget")["spec"]
    assert spec["maxUnavailable"] == 1
    assert spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert spec["selector"] == workload(SERVICE)["spec"]["selector"]
    percent = document(
        SERVICE, "PodDisruptionBudget", values={"podDisruptionBudget": {"maxUnavailable": "25%"}}
    )
    assert percent["spec"]["maxUnavailable"] == "25%"


def test_the_single_redis_has_no_budget() -> None:
    """It would block every drain of its node."""
    assert "PodDisruptionBudget" not in {one["kind"] for one in documents(REDIS)}


def test_pods_of_one_version_spread_over_the_nodes_that_take_pods() -> None:
    host, zone = pod(SERVICE)["spec"]["topologySpreadConstraints"]
    assert (host["topologyKey"], host["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")
    assert (zone["topologyKey"], zone["whenUnsatisfiable"]) == (
        "topology.kubernetes.io/zone",
        "ScheduleAnyway",
    )
    for one in (host, zone):
        assert one["nodeTaintsPolicy"] == "Honor"
        assert one["matchLabelKeys"] == ["pod-template-hash"]
        assert one["labelSelector"] == workload(SERVICE)["spec"]["selector"]
    assert "topologySpreadConstraints" not in pod(SERVICE, values={"topologySpread": []})["spec"]


@pytest.mark.parametrize("selected_by", ["Deployment", "Service", "PodDisruptionBudget"])
def test_nothing_takes_the_test_pod_for_one_of_the_service(selected_by: str) -> None:
    selector = document(SERVICE, selected_by)["spec"]["selector"]
    labels = document(SERVICE, "Pod")["metadata"]["labels"]
    assert not selector.get("matchLabels", selector).items() <= labels.items()
    assert "pod-template-hash" not in labels


def test_the_route_beside_the_ingress() -> None:
    route = {"enabled": True, "parentRefs": [{"name": "public", "sectionName": "https"}]}
    found = document(SERVICE, "HTTPRoute", values={"httpRoute": route})
    assert found["apiVersion"] == "gateway.networking.k8s.io/v1"
    assert found["spec"]["hostnames"] == ["x.test"]
    assert found["spec"]["parentRefs"] == route["parentRefs"]
    service = document(SERVICE, "Service")
    (rule,) = found["spec"]["rules"]
    assert rule["backendRefs"] == [
        {"name": service["metadata"]["name"], "port": service["spec"]["ports"][0]["port"]}
    ]
    assert "HTTPRoute" not in {one["kind"] for one in documents(SERVICE)}


@pytest.mark.parametrize("helm", HELMS)
def test_a_kind_that_the_cluster_does_not_have_is_left_out_and_named(helm: str) -> None:
    values = merged(DEPLOYED[SERVICE], {"httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}})
    result = run(helm, SERVICE, "dev", json.dumps(values), "shop", api_versions="v1,apps/v1")
    assert result.returncode == 0, result.stderr
    assert "kind: HTTPRoute" not in result.stdout
    # As deploy/charts.sh reads it.
    (told,) = re.findall(r"^ *deploy/left-out: (.*)$", result.stdout, re.MULTILINE)
    assert told == "HTTPRoute, as the cluster does not have gateway.networking.k8s.io/v1"
    assert "deploy/left-out" not in document(SERVICE, "ConfigMap", values=values)["metadata"]["annotations"]


@pytest.mark.parametrize("chart", CHARTS, ids=label)
def test_labels_and_annotations_for_every_object(chart: Path) -> None:
    values: Values = {"labels": {"team": "web"}, "annotations": {"owner": "web"}}
    for one in documents(chart, values=values):
        assert one["metadata"]["labels"]["team"] == "web"
        assert one["metadata"]["annotations"]["owner"] == "web"
    # They are no reason to roll, and a claim's cannot change.
    assert pod(chart, values=values) == pod(chart)
    assert workload(chart, values=values)["spec"] == workload(chart)["spec"]


def test_what_a_team_adds_to_the_container() -> None:
    values: Values = {
        "priorityClassName": "high",
        "extraEnv": [{"name": "TZ", "value": "Europe/Zurich"}],
        "extraVolumes": [{"name": "tmp", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    main, spec = container(SERVICE, values=values), pod(SERVICE, values=values)["spec"]
    assert main["env"][-1] == {"name": "TZ", "value": "Europe/Zurich"}
    assert main["volumeMounts"][-1] == {"name": "tmp", "mountPath": "/tmp"}
    assert spec["volumes"][-1] == {"name": "tmp", "emptyDir": {}}
    assert spec["priorityClassName"] == "high"
    assert pod(REDIS, values={"priorityClassName": "high"})["spec"]["priorityClassName"] == "high"


def test_a_sidecar_runs_beside_the_service_and_not_among_its_containers() -> None:
    """What deploy.sh reads of containerStatuses is the service's alone."""
    sidecar = {"name": "proxy", "image": "proxy.test/proxy:1", "restartPolicy": "Always"}
    spec = pod(SERVICE, values={"initContainers": [sidecar]})["spec"]
    assert spec["initContainers"] == [sidecar]
    assert [one["name"] for one in spec["containers"]] == ["visits"]
    assert "initContainers" not in pod(SERVICE)["spec"]


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("chart", CHARTS, ids=label)
def test_the_cluster_may_choose_the_user(chart: Path, helm: str) -> None:
    """OpenShift refuses a user that is not of the namespace's range."""
    nothing: Values = {"podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}}
    values = merged(nothing, {"securityContext": {"capabilities": {"add": ["NET_BIND_SERVICE"]}}})
    found = [one for one in documents(chart, values=values, helm=helm) if "template" in one.get("spec", {})]
    (spec,) = [one["spec"]["template"]["spec"] for one in found]
    assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(spec["securityContext"])
    assert spec["securityContext"]["runAsNonRoot"] is True
    (main,) = spec["containers"]
    assert main["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}


def test_the_service_has_an_account_without_a_token() -> None:
    role = {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/shop"}
    values: Values = {"serviceAccount": {"name": "shop-counter", "annotations": role}}
    account = document(SERVICE, "ServiceAccount", values=values)
    assert account["metadata"]["name"] == "shop-counter"
    assert role.items() <= account["metadata"]["annotations"].items()
    assert account["automountServiceAccountToken"] is False
    spec = pod(SERVICE, values=values)["spec"]
    assert spec["serviceAccountName"] == "shop-counter"
    assert spec["automountServiceAccountToken"] is False
    # The pod of `helm test` needs nothing of what the account is granted elsewhere.
    assert "serviceAccountName" not in document(SERVICE, "Pod", values=values)["spec"]


@pytest.mark.parametrize(("name", "account"), [("", "default"), ("given", "given")])
def test_an_account_that_is_there_is_used(name: str, account: str) -> None:
    values: Values = {"serviceAccount": {"create": False, "name": name}}
    assert "ServiceAccount" not in {one["kind"] for one in documents(SERVICE, values=values)}
    assert pod(SERVICE, values=values)["spec"]["serviceAccountName"] == account


def test_every_container_says_what_it_needs() -> None:
    """Where a quota counts requests and limits, a pod without them is refused."""
    everything = [*documents(SERVICE), *documents(REDIS)]
    pods = [one["spec"] for one in everything if one["kind"] == "Pod"]
    pods += [
        one["spec"]["template"]["spec"] for one in everything if one["kind"] in {"Deployment", "StatefulSet"}
    ]
    assert len(pods) == 3
    for spec in pods:
        for one in spec["containers"]:
            assert set(one["resources"]["requests"]) >= {"cpu", "memory", "ephemeral-storage"}
            assert set(one["resources"]["limits"]) == {"memory", "ephemeral-storage"}


def test_what_cannot_change_in_place_does_not() -> None:
    """An upgrade that changed one of these would need a manual step: they stay as first installed."""
    names = {"app.kubernetes.io/name": "visits", "app.kubernetes.io/instance": "shop"}
    assert workload(SERVICE)["spec"]["selector"] == {"matchLabels": names}
    names = {"app.kubernetes.io/name": "redis", "app.kubernetes.io/instance": "shop-redis"}
    spec = workload(REDIS)["spec"]
    assert spec["selector"] == {"matchLabels": names}
    assert (spec["serviceName"], spec["podManagementPolicy"]) == ("shop-redis", "Parallel")
    assert spec["volumeClaimTemplates"] == [
        {
            "metadata": {"name": "data", "labels": names},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
    ]


def test_the_checks_know_the_defaults_of_the_service() -> None:
    """The chart compares with these where a setting is not given (templates/_checks.tpl)."""
    checks = (SERVICE / "templates" / "_checks.tpl").read_text()
    known = dict(re.findall(r'"visits\.setting" \(list \. "([A-Z_]+)" ([0-9.]+)\)', checks))
    assert len(known) == 7
    defaults = {name.upper(): field.default for name, field in Settings.model_fields.items()}
    assert {name: float(value) for name, value in known.items()} == {name: defaults[name] for name in known}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_pod_has_one_process(workers: int) -> None:
    told = refusal(SERVICE, {"settings": {"WORKERS": workers}})
    assert f"settings.WORKERS is {workers}, but a pod has one process: " in told
    assert documents(SERVICE, values={"settings": {"WORKERS": 1}})


def test_the_checks_know_every_setting_of_the_service() -> None:
    """One that they do not know would be taken from extraEnv, unchecked (templates/_checks.tpl)."""
    checks = (SERVICE / "templates" / "_checks.tpl").read_text()
    _, _, names = checks.partition('{{- define "visits.settingNames" -}}')
    assert sorted(names.partition("{{-")[0].split()) == sorted(name.upper() for name in Settings.model_fields)


@pytest.mark.parametrize("name", ["REDIS_PASSWORD", "REDIS_SENTINEL_PASSWORD", "REDIS_URL", "redis_password"])
def test_no_secret_setting_is_given_in_the_environment(name: str) -> None:
    """It would stand in the Deployment for everybody to read, and win over the Secret's."""
    assert f"extraEnv names {name}" in refusal(SERVICE, {"extraEnv": [{"name": name, "value": "x"}]})


@pytest.mark.parametrize("name", ["REQUEST_TIMEOUT", "ALLOWED_HOSTS", "IDLE_TIMEOUT"])
def test_no_setting_passes_its_checks_through_the_environment(name: str) -> None:
    assert f"extraEnv names {name}" in refusal(SERVICE, {"extraEnv": [{"name": name, "value": "1"}]})
