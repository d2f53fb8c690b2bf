"""Values that cannot work are refused before anything is installed, with a message that helps."""

from pathlib import Path

import pytest

from tests.deploy.charts import EXTERNAL_REDIS, HELMS, REDIS, SERVICE, Values, label, pod, refusal

TMP: Values = {"name": "tmp", "emptyDir": {}}

each_helm = pytest.mark.parametrize("helm", HELMS)


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
        (SERVICE, {"extraVolumes": [TMP, TMP]}, ["extraVolumes names tmp", "another volume's name"]),
        (
            SERVICE,
            {
                "extraVolumes": [TMP],
                "extraVolumeMounts": [{"name": "tmp", "mountPath": "/run/secrets/visits/more"}],
            },
            ["mounts tmp at /run/secrets/visits/more", "where the Secret is"],
        ),
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
            {"settings": {"REDIS_SENTINELS": "a.test:26379", "REDIS_SENTINEL_MASTER": "mymaster"}},
            ["redis.mode is bundled", "external"],
        ),
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


def test_a_setting_of_zero_is_zero() -> None:
    """Not the service's default, which is what an empty value means."""
    values: Values = {"settings": {"DRAIN_DELAY": 0}, "terminationGracePeriodSeconds": 21}
    assert pod(SERVICE, values=values)["spec"]["terminationGracePeriodSeconds"] == 21
    with pytest.raises(AssertionError, match=r"DRAIN_TIMEOUT is 0 s, but one request"):
        pod(SERVICE, values={"settings": {"DRAIN_TIMEOUT": 0}})
