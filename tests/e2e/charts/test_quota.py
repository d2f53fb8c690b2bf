"""Quotas and limits of a namespace: the charts fit in; a full quota stops a rollout, not the service."""

import json

from tests.e2e.charts.conftest import Install
from tests.service import eventually
from tests.visitors import Visitors

# Three pods, one more for a rollout and one of `helm test`; and Redis with its claim.
QUOTA = {
    "pods": "6",
    "requests.cpu": "300m",
    "requests.memory": "600Mi",
    "limits.memory": "1300Mi",
    "persistentvolumeclaims": "1",
    "requests.storage": "2Gi",
}
LIMITS = {
    "type": "Container",
    "min": {"memory": "16Mi"},
    "max": {"memory": "512Mi", "cpu": "1"},
    "default": {"cpu": "1"},
}


def test_quota_and_limit_range_are_respected(make_installation: Install) -> None:
    installation = make_installation()
    installation.apply(
        {"kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {"hard": QUOTA}},
        {"kind": "LimitRange", "metadata": {"name": "small"}, "spec": {"limits": [LIMITS]}},
    )
    installation.create_password()
    installation.upgrade_redis()
    installation.upgrade(autoscaling={"maxReplicas": 3})
    installation.await_redis()
    installation.await_service()
    assert len(installation.pods()) == 3
    assert "the page counts" in installation.helm("test", installation.name, "--logs")
    used = installation.read("resourcequota", "small")["status"]["used"]
    print(f"used of the quota: {json.dumps(used)}", flush=True)
    installation.upgrade(autoscaling={"maxReplicas": 3}, environment="STAGING")
    installation.await_service()

    with Visitors(installation.cluster.ingress, installation.host, count=8, pause=0.02) as load:
        installation.upgrade(autoscaling={"maxReplicas": 3}, resources={"limits": {"memory": "500Mi"}})

        def refused() -> bool:
            events = installation.kubectl("get", "events", "-o", "jsonpath={..message}")
            return "exceeded quota: small" in events

        eventually(refused, "an event says that the quota is full", 60)
        load.await_answers(100)
    assert load.failures == []
    assert len(installation.pods()) >= 3
