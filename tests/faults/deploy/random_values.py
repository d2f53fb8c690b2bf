"""Changes of values that a team could make, drawn by chance."""

from random import Random
from typing import Any

CHANGES: list[dict[str, Any]] = [
    {"autoscaling": {"maxReplicas": 7}},
    {"autoscaling": {"targetCPUUtilizationPercentage": 55}},
    # Another number than the autoscaler's least, so that turning it off changes the Deployment, too.
    {"autoscaling": {"enabled": False}, "replicas": 4},
    {"podDisruptionBudget": {"enabled": False}},
    {"podDisruptionBudget": {"maxUnavailable": "50%"}},
    {"topologySpread": []},
    {"resources": {"requests": {"cpu": "60m"}}},
    {"service": {"annotations": {"team": "web"}}},
    {"service": {"port": 8080}},
    {"ingress": {"annotations": {"team": "web"}}},
    {"networkPolicy": {"enabled": False}},
    {"networkPolicy": {"monitoringFrom": []}},
    {"settings": {"LOG_LEVEL": "warning"}},
    {"settings": {"MAX_IN_FLIGHT": 500}},
    {"settings": {"COUNTER_KEY": "other"}},
    {"terminationGracePeriodSeconds": 40},
    {"probes": {"liveness": {"periodSeconds": 12}}},
    {"extraEnv": [{"name": "TZ", "value": "Europe/Zurich"}]},
    {
        "extraVolumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
        "extraVolumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    },
    {"labels": {"owner": "web"}},
    {"annotations": {"owner": "web"}},
    {"podLabels": {"owner": "web"}},
    {"podAnnotations": {"owner": "web"}},
    {"tolerations": [{"key": "spot", "operator": "Exists"}]},
]


def random_values(chance: Random) -> dict[str, Any]:
    """One to three of the changes at once."""
    values: dict[str, Any] = {}
    for change in chance.sample(CHANGES, chance.randint(1, 3)):
        values = merged(values, change)
    return values


def merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Both; where they name the same value, the second's."""
    both = dict(first)
    for name, value in second.items():
        held = both.get(name)
        both[name] = merged(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
    return both
