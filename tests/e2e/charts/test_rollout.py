"""What rolls the pods and what does not, and what a pod of the version before still knows."""

import json
import subprocess

import pytest

from tests.e2e.charts.installation import Installation
from tests.service import eventually
from tests.visitors import Visitors


def pod_identities(installation: Installation) -> set[str]:
    return {pod["metadata"]["uid"] for pod in installation.all_pods()}


@pytest.mark.parametrize("helm", ["helm", "helm3"])
def test_nothing_changed_rolls_nothing(settled: Installation, helm: str) -> None:
    before = settled.read("deployment", settled.name)["metadata"]["generation"]
    redis = settled.read("pod", f"{settled.name}-redis-0")["metadata"]["uid"]
    pods = pod_identities(settled)
    # Helm 4 owns its fields on the server; deploy.sh has both apply on the client, and so does Helm 3.
    options = [] if helm == "helm3" else ["--server-side=false"]
    settled.upgrade(*options, helm=helm)
    settled.upgrade_redis(*options, helm=helm)
    settled.await_rollout()
    assert settled.read("deployment", settled.name)["metadata"]["generation"] == before
    assert pod_identities(settled) == pods
    assert settled.read("pod", f"{settled.name}-redis-0")["metadata"]["uid"] == redis


def test_a_changed_setting_rolls_the_pods_under_load_without_a_failed_request(settled: Installation) -> None:
    before = pod_identities(settled)
    with Visitors(settled.cluster.ingress, settled.host, count=8, pause=0.02) as load:
        settled.upgrade(environment="STAGING")
        settled.await_service()
        load.await_answers(50)
    assert load.failures == []
    assert pod_identities(settled).isdisjoint(before)
    assert settled.get("/api/v1/counter").json["environment"] == "STAGING"
    print(f"{len(load.visits)} requests during the rollout of a setting, 0 failed", flush=True)


def environment_of(installation: Installation, pod: str) -> object:
    raw = f"/api/v1/namespaces/{installation.name}/pods/{pod}:8000/proxy/version"
    done = subprocess.run(["kubectl", "get", "--raw", raw], capture_output=True, text=True, check=False)
    return json.loads(done.stdout)["environment"] if done.returncode == 0 else None


def test_an_old_pod_that_restarts_in_the_middle_of_a_rollout_keeps_its_settings(
    settled: Installation,
) -> None:
    """The new version never becomes ready, so that the rollout stands still with old and new pods."""
    old = settled.pods()[0]
    assert environment_of(settled, old) == "DEV"
    settled.upgrade(environment="STAGING", image={"digest": "sha256:" + "0" * 64})
    settled.kubectl("exec", old, "--", "python", "-c", "import os, signal; os.kill(1, signal.SIGTERM)")
    restarts = ["get", "pod", old, "-o", "jsonpath={.status.containerStatuses[0].restartCount}"]
    eventually(lambda: settled.kubectl(*restarts) == "1", "its container restarted", 60)
    eventually(lambda: old in settled.pods(), "it serves again", 60)
    assert environment_of(settled, old) == "DEV"
    assert settled.get("/").status == 200
