"""The number of pods follows the load, up and down, and no request fails."""

import time

from tests.e2e.charts.installation import Installation, Values
from tests.service import eventually
from tests.visitors import Visitors

# Quick enough for a test; the numbers of a real installation are the chart's defaults.
LIVELY: Values = {
    "autoscaling": {
        "targetCPUUtilizationPercentage": 40,
        "minReplicas": 3,
        "maxReplicas": 5,
        "behavior": {
            "scaleDown": {
                "stabilizationWindowSeconds": 10,
                "policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}],
            }
        },
    }
}


def replicas(installation: Installation) -> int:
    found: int = installation.read("deployment", installation.name)["spec"]["replicas"]
    return found


def test_up_under_load_and_down_again_without_a_failed_request(settled: Installation) -> None:
    pods = settled.replica_set()
    settled.upgrade(**LIVELY)
    with Visitors(settled.cluster.ingress, settled.host, count=1, pause=0.2) as light:
        eventually(lambda: replicas(settled) == 3, "it rests at its least", 120)
        began = time.monotonic()
        with Visitors(settled.cluster.ingress, settled.host, count=8, pause=0.005) as heavy:
            eventually(lambda: len(settled.pods()) > 3, "it goes up", 150)
            up, most = time.monotonic() - began, len(settled.pods())
            heavy.await_answers(200)
        began = time.monotonic()
        eventually(lambda: replicas(settled) == 3, "it goes down", 180)
        settled.await_service()
        down = time.monotonic() - began
    assert heavy.failures == []
    assert light.failures == []
    assert settled.replica_set() == pods, "the autoscaler's numbers are no reason to roll the pods"
    print(
        f"3 to {most} pods after {up:.0f} s, back to 3 after {down:.0f} s, "
        f"{len(heavy.visits) + len(light.visits)} requests, 0 failed",
        flush=True,
    )
