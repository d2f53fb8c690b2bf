"""Pods are admitted to a namespace that enforces the restricted profile, and the checker of it can say no."""

import copy
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.charts import CHARTS, ENVIRONMENTS, SERVICE, documents, label, pod
from tests.deploy.pod_security import violations

ADMITTED: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {
            "name": "main",
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ],
}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("chart", CHARTS, ids=label)
def test_pods_are_restricted(chart: Path, environment: str) -> None:
    # The workload's, and that of `helm test`.
    specs = [pod(chart, environment)["spec"]]
    specs += [one["spec"] for one in documents(chart, environment) if one["kind"] == "Pod"]
    assert len(specs) == (2 if chart == SERVICE else 1)
    user = 10001 if chart == SERVICE else 999
    for spec in specs:
        assert violations(spec) == []
        # Beyond the profile: nothing to write to, no token, no variables named after Services.
        assert [one["securityContext"]["readOnlyRootFilesystem"] for one in spec["containers"]] == [True]
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert (spec["securityContext"]["runAsUser"], spec["securityContext"]["runAsGroup"]) == (user, user)


def test_a_restricted_pod_is_admitted() -> None:
    assert violations(ADMITTED) == []


POD_FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("hostNetwork", {"hostNetwork": True}),
    ("hostPID", {"hostPID": True}),
    ("hostIPC", {"hostIPC": True}),
    ("volume", {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}),
    ("runAsUser", {"securityContext": {**ADMITTED["securityContext"], "runAsUser": 0}}),
    ("runAsNonRoot", {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}),
    ("seccompProfile missing", {"securityContext": {"runAsNonRoot": True}}),
    ("seccompProfile", {"securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "Unconfined"}}}),
    ("sysctl", {"securityContext": {**ADMITTED["securityContext"], "sysctls": [{"name": "kernel.msgmax"}]}}),
    ("runAsNonRoot", {"initContainers": [{"name": "init", "securityContext": {"runAsNonRoot": False}}]}),
    ("capabilities", {"ephemeralContainers": [{"name": "debug"}]}),
]


@pytest.mark.parametrize(("names", "fault"), POD_FAULTS, ids=[str(fault) for _, fault in POD_FAULTS])
def test_a_pod_that_breaks_a_rule_is_refused(names: str, fault: dict[str, Any]) -> None:
    assert any(names in found for found in violations({**ADMITTED, **fault}))


CONTEXT_FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("privileged", {"privileged": True}),
    ("allowPrivilegeEscalation", {"allowPrivilegeEscalation": None}),
    ("allowPrivilegeEscalation", {"allowPrivilegeEscalation": True}),
    ("not dropped", {"capabilities": {}}),
    ("added", {"capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]}}),
    ("runAsNonRoot", {"runAsNonRoot": False}),
    ("runAsUser", {"runAsUser": 0}),
    ("procMount", {"procMount": "Unmasked"}),
    ("seccompProfile", {"seccompProfile": {"type": "Unconfined"}}),
    ("appArmorProfile", {"appArmorProfile": {"type": "Unconfined"}}),
    ("seLinuxOptions", {"seLinuxOptions": {"type": "spc_t"}}),
    ("seLinuxOptions", {"seLinuxOptions": {"user": "system_u"}}),
    ("hostProcess", {"windowsOptions": {"hostProcess": True}}),
]


@pytest.mark.parametrize(("names", "fault"), CONTEXT_FAULTS, ids=[str(fault) for _, fault in CONTEXT_FAULTS])
def test_a_container_that_breaks_a_rule_is_refused(names: str, fault: dict[str, Any]) -> None:
    spec = copy.deepcopy(ADMITTED)
    spec["containers"][0]["securityContext"].update(fault)
    assert any(names in found for found in violations(spec))


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        ("hostPort", {"ports": [{"containerPort": 80, "hostPort": 80}]}),
        ("host of a probe", {"livenessProbe": {"httpGet": {"port": 80, "host": "10.0.0.1"}}}),
        ("host of a probe", {"lifecycle": {"preStop": {"tcpSocket": {"port": 80, "host": "10.0.0.1"}}}}),
    ],
)
def test_ports_and_probes_that_reach_the_node_are_refused(names: str, fault: dict[str, Any]) -> None:
    spec = copy.deepcopy(ADMITTED)
    spec["containers"][0].update(fault)
    assert any(names in found for found in violations(spec))
