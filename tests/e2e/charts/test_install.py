"""Plain `helm install`, without deploy.sh: what it says, what it enforces, and `helm test`."""

import subprocess

import pytest

from tests.e2e.charts.conftest import Install
from tests.e2e.charts.installation import Installation
from tests.service import eventually

MISSING_IMAGE_RULES = ["allowPrivilegeEscalation", "runAsNonRoot", "seccompProfile"]


def events(installation: Installation) -> str:
    return installation.kubectl("get", "events", "-o", "jsonpath={range .items[*]}{.message}{'\\n'}{end}")


def test_without_the_secret_it_says_what_is_missing_and_starts_once_it_is_there(
    make_installation: Install,
) -> None:
    installation = make_installation()
    secret = f"{installation.name}-redis-auth"
    notes = installation.upgrade()
    assert f"MISSING: the Secret {secret}" in notes
    assert "MISSING: Redis" in notes
    assert f"MISSING: the Secret {secret}" in installation.upgrade_redis()
    eventually(lambda: f'secret "{secret}" not found' in events(installation), "an event names it", 60)
    assert installation.pods() == []

    installation.create_password()
    # The kubelet tries a mount again with growing pauses, up to two minutes.
    eventually(lambda: len(installation.pods()) >= 3, "the pods start by themselves", 240)
    eventually(lambda: installation.get("/").status == 200, "the page answers", 60)
    assert "MISSING" not in installation.upgrade()


@pytest.mark.parametrize("helm", ["helm", "helm3"])
def test_helm_test(installation: Installation, helm: str) -> None:
    before = installation.counter()
    output = installation.helm("test", installation.name, "--logs", helm=helm)
    assert "the probes answer: /healthz ok, /readyz ok" in output
    assert "the page counts: " in output
    assert "Redis refuses without a password: -NOAUTH" in output
    assert installation.counter() == before + 2
    assert f"{installation.name}-test" not in installation.pods()
    endpoints = installation.kubectl("get", "endpointslices", "-o", "jsonpath={..targetRef.name}")
    assert f"{installation.name}-test" not in endpoints


def test_the_restricted_profile_is_enforced(installation: Installation) -> None:
    """The charts' pods run where a pod without their security context is refused."""
    assert len(installation.pods()) >= 3
    command = ["kubectl", "--namespace", installation.name, "run", "plain"]
    refused = subprocess.run(
        [*command, f"--image={installation.image.reference}"], capture_output=True, text=True, check=False
    )
    assert refused.returncode != 0
    assert 'violates PodSecurity "restricted' in refused.stderr
    assert [rule for rule in MISSING_IMAGE_RULES if rule not in refused.stderr] == []


def test_an_optional_kind_is_used_or_said_to_be_left_out(make_installation: Install) -> None:
    installation = make_installation()
    route = {"enabled": True, "parentRefs": [{"name": "public", "namespace": "gateways"}]}
    notes = installation.upgrade(httpRoute=route, replicas=1, autoscaling={"enabled": False})
    told = installation.kubectl(
        "get", "configmap", installation.name, "-o", "jsonpath={.metadata.annotations}"
    )
    served = subprocess.run(["kubectl", "api-versions"], capture_output=True, text=True, check=True).stdout
    if "gateway.networking.k8s.io/v1\n" in served:
        found = installation.read("httproute.gateway.networking.k8s.io", installation.name)["spec"]
        assert found["hostnames"] == [installation.host]
        assert found["rules"][0]["backendRefs"][0]["name"] == installation.name
        assert "left-out" not in told
        print("the cluster has HTTPRoute: it was created", flush=True)
    else:
        assert '"deploy/left-out":"HTTPRoute, as ' in told
        assert "LEFT OUT: HTTPRoute" in notes
        print("the cluster has no HTTPRoute: it was left out", flush=True)
