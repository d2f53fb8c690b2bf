"""Every environment with every combination of the options: the same from both Helms, and valid objects.

What a combination changes is a few objects, so each different object is validated once for each version.
"""

import functools
import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from tests.deploy.charts import (
    CHARTS,
    DEPLOYED,
    ENVIRONMENTS,
    HELMS,
    PROJECT,
    REDIS,
    SERVICE,
    Document,
    Values,
    label,
    merged,
    run,
)
from tests.deploy.pod_security import violations

VERSIONS = ["1.32", "1.33", "1.34", "1.35", "1.36", "1.37"]
# Of custom resources, so not in the schemas of Kubernetes itself; tests of their own look at them.
CUSTOM = {"HTTPRoute", "Gateway", "ExternalSecret", "PodMonitor", "PrometheusRule"}

EXISTING: Values = {"secret": {"mode": "existing", "name": "vault"}}
STORE: Values = {
    "secret": {
        "mode": "externalSecret",
        "externalSecret": {
            "store": {"name": "vault"},
            "data": [{"secretKey": "REDIS_URL", "remoteRef": {"key": "shop", "property": "url"}}],
        },
    }
}
ROUTE: Values = {"httpRoute": {"enabled": True, "parentRefs": [{"name": "public", "namespace": "gateways"}]}}
GATEWAY: Values = {
    "ingress": {"enabled": False},
    "httpRoute": {
        "enabled": True,
        "gateway": {"enabled": True, "className": "public", "tls": {"enabled": True, "issuer": "public"}},
    },
}
TLS: Values = {"enabled": True, "caFile": "ca.crt", "certFile": "tls.crt", "keyFile": "tls.key"}
SENTINELS: Values = {
    "REDIS_SENTINELS": "a.test:26379",
    "REDIS_SENTINEL_MASTER": "mymaster",
    "REDIS_SENTINEL_USERNAME": "visits",
}
PLACEMENT: Values = {
    "labels": {"team": "web"},
    "annotations": {"owner": "web"},
    "podLabels": {"team": "web"},
    "podAnnotations": {"a": "b"},
    "imagePullSecrets": [{"name": "registry"}],
    "priorityClassName": "high",
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "spot", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname"}}
            ]
        }
    },
}
PEERS: list[Values] = [
    {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
    {"namespaceSelector": {}, "podSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}},
]
EXTRAS: Values = {
    **PLACEMENT,
    "monitoring": {part: {"enabled": True} for part in ("podMonitor", "rules", "dashboard")},
    "extraEnv": [
        {"name": "TZ", "value": "Europe/Zurich"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "token"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ],
    "extraVolumes": [
        {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
        {"name": "files", "configMap": {"name": "files", "items": [{"key": "a", "path": "b"}]}},
        {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 288}},
        {"name": "shared", "persistentVolumeClaim": {"claimName": "shared", "readOnly": True}},
        {"name": "driver", "csi": {"driver": "csi.test", "volumeAttributes": {"a": "b"}}},
    ],
    "extraVolumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    "initContainers": [
        {
            "name": "sidecar",
            "image": "sidecar.test/sidecar:1",
            "restartPolicy": "Always",
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ],
    "podSecurityContext": {"runAsUser": None, "supplementalGroups": [20000]},
    "serviceAccount": {"name": "other", "annotations": {"role": "shop"}},
}
EGRESS: Values = {
    "redisTo": PEERS,
    "redisPorts": [6379, 26379],
    "extraEgress": [{"to": PEERS, "ports": [{"port": 4000, "endPort": 4010}]}, {"ports": [{"port": "otlp"}]}],
}
SPREAD: Values = {
    "topologySpread": [
        {"topologyKey": "kubernetes.io/hostname", "maxSkew": 2, "whenUnsatisfiable": "ScheduleAnyway"}
    ],
}

OPTIONS: dict[Path, dict[str, dict[str, Values]]] = {
    SERVICE: {
        "entrance": {
            "ingress": {},
            "ingress with tls": {"ingress": {"tls": {"enabled": True, "clusterIssuer": "public"}}},
            "ingress and route": ROUTE,
            "gateway": GATEWAY,
            "none": {"ingress": {"enabled": False, "host": ""}},
        },
        "redis": {
            "bundled": {},
            "host": {**EXISTING, "redis": {"mode": "external", "host": "redis.test", "tls": TLS}},
            "url": {**STORE, "redis": {"mode": "external", "urlFromSecret": True}},
            "sentinels": {**EXISTING, "redis": {"mode": "external"}, "settings": SENTINELS},
        },
        "autoscaling": {"on": {}, "off": {"autoscaling": {"enabled": False}}},
        "guards": {
            "on": {},
            # With everything that a team may add.
            "changed": {
                "networkPolicy": {"ingressFrom": PEERS, "monitoringFrom": PEERS, **EGRESS},
                **SPREAD,
                **EXTRAS,
            },
            "off": {
                "networkPolicy": {"enabled": False},
                "podDisruptionBudget": {"enabled": False},
                "topologySpread": [],
                "serviceAccount": {"create": False},
            },
        },
    },
    REDIS: {
        "policy": {
            "on": {},
            "peers": {"networkPolicy": {"extraFrom": PEERS}},
            "off": {"networkPolicy": {"enabled": False}},
        },
        "secret": {"own": {}, "given": {"secret": {"name": "vault"}}},
        "class": {"default": {}, "given": {"persistence": {"storageClass": "fast"}}},
        "extras": {"none": {}, "all": PLACEMENT},
    },
}


def combinations(chart: Path) -> Iterator[tuple[str, Values]]:
    """Every choice of every option, with a name."""
    options = OPTIONS[chart]
    for choices in itertools.product(*options.values()):
        pairs = list(zip(options, choices, strict=True))
        values = functools.reduce(merged, (options[name][choice] for name, choice in pairs), DEPLOYED[chart])
        yield ", ".join(f"{name}: {choice}" for name, choice in pairs), values


def contents(text: str) -> list[str]:
    """What is rendered, an object an item, without the blank lines in which the Helms differ."""
    lines = "\n".join(line for line in text.splitlines() if line.strip())
    return [part for part in lines.split("---\n") if part.strip()]


@functools.cache
def is_valid(text: str) -> bool:
    """Validate an object that no combination before had."""
    document: Document = yaml.safe_load(text)
    if document["kind"] not in CUSTOM:
        for version in VERSIONS:
            assert kubernetes_validate.validate(document, version, strict=True) == version
    spec = document.get("spec", {})
    pod = spec if document["kind"] == "Pod" else spec.get("template", {}).get("spec")
    return pod is None or violations(pod) == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("chart", CHARTS, ids=label)
def test_every_combination_is_rendered_alike_and_valid(chart: Path, environment: str) -> None:
    everything = list(combinations(chart))

    def rendered(combination: tuple[str, Values]) -> list[list[str]]:
        name, values = combination
        results = [run(helm, chart, environment, json.dumps(values), PROJECT) for helm in HELMS]
        for result in results:
            assert result.returncode == 0, f"{name}: {result.stderr}"
        return [contents(result.stdout) for result in results]

    with ThreadPoolExecutor(2) as pool:
        for (name, _), (first, second) in zip(everything, pool.map(rendered, everything), strict=True):
            assert first == second, name
            assert all(is_valid(one) for one in first), name
    assert len(everything) == (120 if chart == SERVICE else 24)


def test_an_object_that_is_not_valid_is_seen() -> None:
    good = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
    assert is_valid(good)
    with pytest.raises(kubernetes_validate.ValidationError):
        is_valid(f"{good}tpyo: 1\n")
