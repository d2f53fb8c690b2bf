"""Values that make no sense are refused before anything is installed, with a message that helps."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.charts import (
    CHARTS,
    DEPLOYED,
    EXTERNAL_REDIS,
    HELMS,
    PROJECT,
    REDIS,
    SERVICE,
    Values,
    label,
    merged,
    pod,
    refusal,
    run,
)

# Objects whose names are the operator's, not the chart's.
FREE = {
    "nodeSelector",
    "labels",
    "annotations",
    "podAnnotations",
    "podLabels",
    "service.annotations",
    "ingress.annotations",
    "httpRoute.annotations",
    "httpRoute.gateway.annotations",
    "serviceAccount.annotations",
    "monitoring.podMonitor.labels",
    "monitoring.rules.labels",
    "monitoring.dashboard.labels",
    "resources.requests",
    "resources.limits",
}
# No value of the type in the key; for texts a list, because a quantity may be a number, too.
WRONG: dict[type, object] = {
    str: ["one"],
    int: "seven",
    float: "half",
    bool: "maybe",
    list: "one",
    dict: "one",
}
Place = tuple[str | int, ...]


def defaults(chart: Path) -> Values:
    values: Values = yaml.safe_load((chart / "values.yaml").read_text())
    return values


def places(value: object, path: Place = ()) -> Iterator[tuple[Place, object]]:
    """Every value with its place, from the outermost object inwards."""
    yield path, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in inner:
        yield from places(part, (*path, name))


def put(values: Values, place: Place, value: object) -> None:
    inner: Any = values
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value


each_helm = pytest.mark.parametrize("helm", HELMS)
each_chart = pytest.mark.parametrize("chart", CHARTS, ids=label)


@each_helm
@each_chart
def test_a_typo_is_an_error_at_every_level(helm: str, chart: Path) -> None:
    values = defaults(chart)
    closed = [
        place
        for place, value in places(values)
        if isinstance(value, dict) and ".".join(map(str, place)) not in FREE
    ]
    for number, place in enumerate(closed):
        put(values, (*place, f"tpyo{number}"), 1)
    message = refusal(chart, values, helm)
    assert [place for number, place in enumerate(closed) if not re.search(rf"tpyo{number}\b", message)] == []
    assert len(closed) > 3


@each_helm
@each_chart
@pytest.mark.parametrize("depth", range(1, 5))
def test_a_value_of_the_wrong_type_is_an_error(helm: str, chart: Path, depth: int) -> None:
    """Depth by depth, because a wrong object hides what should be in it."""
    values = defaults(chart)
    found = [(place, value) for place, value in places(values) if len(place) == depth]
    for place, value in found:
        put(values, place, WRONG[type(value)])
    if not found:
        assert (chart, depth) == (REDIS, 4)
        return
    separator = "." if helm == "helm3" else "/"
    message = refusal(chart, values, helm)
    assert [place for place, _ in found if separator.join(map(str, place)) not in message] == []


def schema(chart: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((chart / "values.schema.json").read_text())
    return found


def objects(part: object) -> Iterator[dict[str, Any]]:
    """Every schema of an object inside a schema."""
    if isinstance(part, dict):
        if part.get("type") == "object":
            yield part
        for inner in part.values():
            yield from objects(inner)


@each_chart
def test_the_schema_closes_and_describes_everything(chart: Path) -> None:
    found = [one for one in objects(schema(chart)) if "properties" in one]
    assert len(found) > 4
    for one in found:
        assert one["additionalProperties"] is False
        for name, value in one["properties"].items():
            assert "description" in value or "$ref" in value, name


@each_chart
def test_the_schema_and_the_defaults_name_the_same_values(chart: Path) -> None:
    assert set(schema(chart)["properties"]) == set(defaults(chart))


@pytest.mark.parametrize(
    ("chart", "values", "words"),
    [
        (SERVICE, {"image": {"digest": "sha256:12"}}, ["digest"]),
        (SERVICE, {"image": {"repository": "visits:1.0.0"}}, ["repository"]),
        (SERVICE, {"environment": "dev"}, ["environment"]),
        (SERVICE, {"settings": {"LOG_LEVEL": "loud"}}, ["LOG_LEVEL"]),
        (SERVICE, {"podLabels": {"app.kubernetes.io/name": "x"}}, ["app.kubernetes.io/name"]),
        (SERVICE, {"podAnnotations": {"checksum/config": "x"}}, ["checksum/config"]),
        (SERVICE, {"annotations": {"deploy/redis-mode": "x"}}, ["deploy/redis-mode"]),
        (SERVICE, {"annotations": {"helm.sh/hook": "pre-install"}}, ["helm.sh/hook"]),
        (REDIS, {"annotations": {"helm.sh/hook-weight": "1"}}, ["helm.sh/hook-weight"]),
        (SERVICE, {"labels": {"app.kubernetes.io/managed-by": "x"}}, ["app.kubernetes.io/managed-by"]),
        (SERVICE, {"podLabels": {"team": "a b"}}, ["team"]),
        (SERVICE, {"affinity": {"nodeAfinity": {}}}, ["nodeAfinity"]),
        (SERVICE, {"tolerations": [{"keey": "spot"}]}, ["keey"]),
        (SERVICE, {"networkPolicy": {"ingressFrom": [{}]}}, ["ingressFrom"]),
        (
            SERVICE,
            {"networkPolicy": {"ingressFrom": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]}},
            ["ingressFrom"],
        ),
        (SERVICE, {"networkPolicy": {"dnsTo": [{}]}}, ["dnsTo"]),
        (SERVICE, {"networkPolicy": {"redisPorts": ["redis"]}}, ["redisPorts"]),
        (SERVICE, {"networkPolicy": {"extraEgress": [{}]}}, ["extraEgress"]),
        (SERVICE, {"networkPolicy": {"extraEgress": [{"from": []}]}}, ["from"]),
        (SERVICE, {"podSecurityContext": {"runAsUser": 0}}, ["runAsUser"]),
        (SERVICE, {"securityContext": {"privileged": True}}, ["privileged"]),
        (REDIS, {"podSecurityContext": {"fsGroup": 0}}, ["fsGroup"]),
        (SERVICE, {"initContainers": [{"name": "a"}]}, ["image"]),
        (SERVICE, {"serviceAccount": {"name": "A b"}}, ["serviceAccount"]),
        (SERVICE, {"podDisruptionBudget": {"maxUnavailable": 0}}, ["maxUnavailable"]),
        (SERVICE, {"podDisruptionBudget": {"maxUnavailable": "100%"}}, ["maxUnavailable"]),
        (SERVICE, {"topologySpread": [{"topologyKey": "zone"}]}, ["maxSkew"]),
        (SERVICE, {"extraEnv": [{"name": "A", "value": "b", "valueFrom": {}}]}, ["extraEnv"]),
        (
            SERVICE,
            {"extraEnv": [{"name": "PORT", "value": "9"}]},
            ["PORT", "which is a setting of the service"],
        ),
        (SERVICE, {"extraEnv": [{"name": "DRAIN_DELAY", "value": "9"}]}, ["DRAIN_DELAY", "settings"]),
        (SERVICE, {"extraVolumes": [{"name": "a", "hostPath": {"path": "/"}}]}, ["hostPath"]),
        (SERVICE, {"extraVolumes": [{"name": "secrets", "emptyDir": {}}]}, ["extraVolumes", "secrets"]),
        (SERVICE, {"extraVolumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]}, ["tmp", "extraVolumes"]),
        (SERVICE, {"httpRoute": {"enabled": True}}, ["httpRoute.parentRefs is empty"]),
        (SERVICE, {"ingress": {"tls": {"issuer": "a"}}}, ["ingress.tls.enabled is false"]),
        (
            SERVICE,
            {"ingress": {"tls": {"enabled": True, "issuer": "a", "clusterIssuer": "b"}}},
            ["clusterIssuer", "leave the other empty"],
        ),
        (
            SERVICE,
            {"probes": {"readiness": {"timeoutSeconds": 1}}},
            ["probes.readiness.timeoutSeconds is 1", "1 s", "raise the probe's timeout"],
        ),
        (
            SERVICE,
            {"settings": {"REDIS_TIMEOUT": 1.2}},
            ["timeoutSeconds is 2", "2.4 s", "settings.REDIS_TIMEOUT"],
        ),
        (SERVICE, {"settings": {"REDIS_TIMEOUT": 10}}, ["REDIS_TIMEOUT is 10", "REQUEST_TIMEOUT (10 s)"]),
        (
            SERVICE,
            {"probes": {"liveness": {"periodSeconds": 1, "failureThreshold": 10}}},
            ["after 10 s", "settings.REQUEST_TIMEOUT", "failureThreshold"],
        ),
        (
            SERVICE,
            {"probes": {"readiness": {"failureThreshold": 3}}},
            ["after 4 s", "redis.absenceSeconds (5 s)", "raise probes.readiness.failureThreshold"],
        ),
        (SERVICE, {"redis": {"absenceSeconds": 10}}, ["less than redis.absenceSeconds + 1", "(12 s)"]),
        (SERVICE, {"settings": {"REQUEST_TIMEOUT": 6.9}}, ["is 6.9 s", "(7 s)"]),
        (
            SERVICE,
            {"settings": {"REDIS_TIMEOUT": 0.9, "REQUEST_TIMEOUT": 7.7}},
            ["REQUEST_TIMEOUT is 7.7 s", "settings.REDIS_TIMEOUT (7.8 s)"],
        ),
        (SERVICE, {"settings": {"DRAIN_TIMEOUT": 9}}, ["DRAIN_TIMEOUT is 9 s", "one request may take 10 s"]),
        (SERVICE, {"settings": {"BODY_TIMEOUT": 11}}, ["BODY_TIMEOUT is 11 s", "REQUEST_TIMEOUT (10 s)"]),
        (
            SERVICE,
            {"ingress": {"proxySeconds": 10}},
            ["REQUEST_TIMEOUT is 10 s", "proxySeconds (10 s)", "504"],
        ),
        (
            SERVICE,
            {"settings": {"IDLE_TIMEOUT": 60}},
            ["IDLE_TIMEOUT is 60 s", "ingress.proxySeconds (60 s)"],
        ),
        (SERVICE, {"ingress": {"proxySeconds": 90}}, ["IDLE_TIMEOUT is 75 s", "ingress.proxySeconds (90 s)"]),
        (
            SERVICE,
            {"monitoring": {"podMonitor": {"enabled": True}}, "networkPolicy": {"monitoringFrom": []}},
            ["monitoring.podMonitor.enabled is true", "networkPolicy.monitoringFrom is empty"],
        ),
        (
            SERVICE,
            {"monitoring": {"rules": {"entrance": {"requests": "requests_total"}}}},
            ["monitoring.rules.entrance", "give the other"],
        ),
        (SERVICE, {"monitoring": {"rules": {"latencySeconds": 0.3}}}, ["latencySeconds"]),
        (SERVICE, {"monitoring": {"rules": {"objective": 90}}}, ["objective"]),
        (SERVICE, {"monitoring": {"rules": {"windows": {"state": "soon"}}}}, ["state"]),
        (SERVICE, {"monitoring": {"rules": {"redisExporter": "{namespace=shop}"}}}, ["redisExporter"]),
        (REDIS, {"networkPolicy": {"extraFrom": [{"ipBlock": {}}]}}, ["cidr"]),
        (REDIS, {"maxmemoryPercent": 51}, ["maxmemoryPercent", "50"]),
        (REDIS, {"persistence": {"size": "8"}}, ["size"]),
        (SERVICE, {"terminationGracePeriodSeconds": 25}, ["is 25", "25 s", "raise it"]),
        (SERVICE, {"settings": {"DRAIN_TIMEOUT": 24.5, "DRAIN_DELAY": 5.5}}, ["is 30", "30 s"]),
        (SERVICE, {"settings": {"DRAIN_TIMEOUT": None, "DRAIN_DELAY": 10}}, ["is 30", "30 s"]),
        (SERVICE, {"autoscaling": {"minReplicas": 9}}, ["minReplicas is 9", "maxReplicas 4"]),
        (
            SERVICE,
            {"resources": {"requests": {"cpu": None}}},
            ["resources.requests.cpu", "autoscaling.enabled"],
        ),
        (SERVICE, {"redis": {"tls": {"enabled": True}}}, ["redis.mode is bundled", "external"]),
        (SERVICE, {"redis": {"urlFromSecret": True}}, ["redis.mode is bundled", "external"]),
        (SERVICE, {"settings": {"REDIS_CLUSTER": True}}, ["redis.mode is bundled", "external"]),
        (
            SERVICE,
            {**EXTERNAL_REDIS, "settings": {"REDIS_SENTINEL_USERNAME": "visits"}},
            ["REDIS_SENTINEL_USERNAME is set, but settings.REDIS_SENTINELS is not"],
        ),
        (
            SERVICE,
            {**EXTERNAL_REDIS, "settings": {"REDIS_SENTINEL_PASSWORD": "hidden"}},
            ["REDIS_SENTINEL_PASSWORD"],
        ),
        (SERVICE, {"redis": {"port": 6380}}, ["redis.port is 6380", "redis.mode to external"]),
        (SERVICE, {"redis": {"db": 16}}, ["redis.db is 16", "redis.mode to external"]),
        (SERVICE, {"settings": {"REDIS_USERNAME": "shop"}}, ["REDIS_USERNAME", "no user but"]),
        (SERVICE, {"redis": EXTERNAL_REDIS["redis"]}, ["secret.mode is generated", "existing"]),
        (SERVICE, {"redis": {"mode": "external"}, "secret": {"mode": "existing"}}, ["redis.host is empty"]),
        (REDIS, {"resources": {"limits": {"memory": "128M"}}}, ["128M", "128Mi"]),
        (REDIS, {"resources": {"limits": {"memory": None}}}, ["resources.limits.memory", "128Mi"]),
        (REDIS, {"resources": {"limits": {"memory": "32Mi"}}}, ["32Mi", "64Mi"]),
    ],
    ids=label,
)
@each_helm
def test_a_value_that_cannot_work_is_refused(
    helm: str, chart: Path, values: Values, words: list[str]
) -> None:
    message = refusal(chart, values, helm)
    assert [word for word in words if word not in message] == [], message


@each_helm
def test_what_only_a_deploy_knows_is_asked_for(helm: str) -> None:
    assert "image.repository is empty" in refusal(SERVICE, {"image": {"repository": ""}}, helm)
    assert "ingress.host is empty" in refusal(SERVICE, {"ingress": {"host": ""}}, helm)


@each_helm
@pytest.mark.parametrize(
    "values",
    [
        {"annotations": None},
        {"ingress": {"annotations": None}},
        {"serviceAccount": {"annotations": None}},
        {"httpRoute": {"gateway": {"annotations": None}}},
    ],
    ids=label,
)
def test_annotations_that_are_all_commented_out_are_none(helm: str, values: Values) -> None:
    gateway: Values = {"httpRoute": {"enabled": True, "gateway": {"enabled": True, "className": "public"}}}
    given = json.dumps(merged(merged(DEPLOYED[SERVICE], gateway), values))
    result = run(helm, SERVICE, "dev", given, PROJECT)
    assert result.returncode == 0, result.stderr


def test_a_setting_of_zero_is_zero() -> None:
    """Not the service's default, which is what an empty value means."""
    values: Values = {"settings": {"DRAIN_DELAY": 0}, "terminationGracePeriodSeconds": 21}
    assert pod(SERVICE, values=values)["spec"]["terminationGracePeriodSeconds"] == 21
    with pytest.raises(AssertionError, match=r"DRAIN_TIMEOUT is 0 s, but one request"):
        pod(SERVICE, values={"settings": {"DRAIN_TIMEOUT": 0}})


def test_what_both_schemas_define_is_the_same() -> None:
    first, second = (schema(chart)["definitions"] for chart in CHARTS)
    shared = first.keys() & second.keys()
    assert len(shared) > 8
    assert {name: first[name] for name in shared} == {name: second[name] for name in shared}


@each_chart
@pytest.mark.parametrize("project", ["1shop", "my.shop"])
def test_a_project_that_cannot_name_a_service_is_refused(chart: Path, project: str) -> None:
    assert "names a Service" in refusal(chart, {}, project=project)


@each_helm
@each_chart
@pytest.mark.parametrize("project", ["on", "null", "y"])
def test_a_project_that_yaml_takes_for_no_text_is_refused(helm: str, chart: Path, project: str) -> None:
    assert f'the project name "{project}" is no text in YAML' in refusal(chart, {}, helm, project)


@each_chart
def test_a_project_too_long_for_its_names_is_refused(chart: Path) -> None:
    message = refusal(chart, {}, project="p" * 41)
    assert "p" * 41 in message
    assert "characters" in message
