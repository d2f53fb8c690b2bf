"""docs/rights: no more than what is named, and all that the charts and deploy.sh's own question name."""

import json
import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.deploy.charts import CHARTS, ROOT, SERVICE, documents, label
from tests.deploy.shell import Shell

FILES = sorted((ROOT / "docs" / "rights").glob("*.yaml"))
# What Helm does with every object of a release.
APPLIES = {"get", "create", "patch", "delete"}


def manifests(file: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(file.read_text()))


def rules(files: Sequence[Path] = FILES) -> list[dict[str, Any]]:
    """Of every Role and ClusterRole."""
    return [rule for file in files for one in manifests(file) for rule in one.get("rules", [])]


def granted() -> dict[tuple[str, str], set[str]]:
    """What the Role of the project's namespace allows: the verbs by group and resource."""
    (role,) = manifests(ROOT / "docs" / "rights" / "role.yaml")
    found: dict[tuple[str, str], set[str]] = {}
    for rule in role["rules"]:
        for key in product(rule["apiGroups"], rule["resources"]):
            found.setdefault(key, set()).update(rule["verbs"])
    return found


def test_nothing_is_granted_by_a_wildcard() -> None:
    assert len(rules()) > 15
    for rule in rules():
        assert set(rule) <= {"apiGroups", "resources", "resourceNames", "verbs"}
        words = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        assert [word for word in words if "*" in word] == []
        assert rule["verbs"]


def test_no_right_gives_others() -> None:
    """Neither by roles nor by acting as somebody else, by other pods' shells or by tokens."""
    for rule in rules():
        assert not set(rule["verbs"]) & {"bind", "escalate", "impersonate", "deletecollection"}
        assert "rbac.authorization.k8s.io" not in rule["apiGroups"]
        assert not set(rule["resources"]) & {"pods/attach", "serviceaccounts/token"}


def test_only_a_person_on_call_gets_into_pods() -> None:
    for rule in rules([file for file in FILES if file.stem != "on-call"]):
        assert "pods/exec" not in rule["resources"]


@pytest.mark.parametrize("file", FILES, ids=label)
def test_they_are_valid_and_bound_to_the_deployer(file: Path) -> None:
    found = manifests(file)
    roles = {(one["kind"], one["metadata"]["name"]) for one in found if one["kind"].endswith("Role")}
    for one in found:
        assert kubernetes_validate.validate(one, "1.37", strict=True) == "1.37"
        if one["kind"].endswith("Binding"):
            (subject,) = one["subjects"]
            assert (subject["name"], subject["namespace"]) == ("deployer", "shop")
            bound = one["roleRef"]["kind"], one["roleRef"]["name"]
            assert bound in roles or (file.stem, bound) == ("namespace", ("Role", "deployer"))


def plural(kind: str) -> str:
    word = kind.lower()
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}es" if word.endswith("ss") else f"{word}s"


@pytest.mark.parametrize("chart", CHARTS, ids=label)
def test_helm_may_apply_whatever_the_charts_render(chart: Path) -> None:
    route = {"httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}} if chart == SERVICE else {}
    rendered = [one for one in documents(chart, values=route) if one["kind"] != "Pod"]
    assert len(rendered) >= 4
    for one in rendered:
        group = one["apiVersion"].rpartition("/")[0]
        assert granted().get((group, plural(one["kind"])), set()) >= APPLIES, one["kind"]


def test_only_who_needs_a_store_may_read_it() -> None:
    """The store is often the cluster's: in the Role of everybody, its Secrets would be everybody's."""
    assert ("external-secrets.io", "externalsecrets") not in granted()
    role, _ = manifests(ROOT / "docs" / "rights" / "external-secrets.yaml")
    (rule,) = role["rules"]
    assert (role["kind"], rule["resources"]) == ("Role", ["externalsecrets"])
    assert set(rule["verbs"]) >= APPLIES


def test_who_watches_may_apply_what_prometheus_reads() -> None:
    role, _ = manifests(ROOT / "docs" / "rights" / "monitoring.yaml")
    (rule,) = role["rules"]
    watched = {"monitoring": {part: {"enabled": True} for part in ("podMonitor", "rules")}}
    kinds = {one["kind"] for one in documents(SERVICE, values=watched)} & {"PodMonitor", "PrometheusRule"}
    assert sorted(plural(kind) for kind in kinds) == rule["resources"]
    assert set(rule["verbs"]) >= APPLIES


def test_what_preflight_asks_for_is_granted(shell: Shell) -> None:
    """Beside the kinds that the charts render."""
    (shell.work / "shop.yaml").write_text("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n")
    shell.stub("kubectl", {"create": "true services/\n"})
    shell.says("check_rights", "preflight", redis_release="shop-redis")
    asked = [json.loads(line)["spec"] for line in (shell.work / "rights.json").read_text().splitlines()]
    rights = {tuple(one["resourceAttributes"].values()) for one in asked}
    assert ("shop", "create", "networking.k8s.io", "networkpolicies", "") in rights
    assert ("shop", "create", "coordination.k8s.io", "leases", "") in rights
    assert ("shop", "create", "", "pods", "portforward") in rights
    for _, _, group, resource, subresource in rights:
        name = f"{resource}/{subresource}" if subresource else resource
        assert "create" in granted().get((group, name), set()), name


def test_the_namespace_is_what_a_deploy_would_make(shell: Shell) -> None:
    shell.stub("kubectl", {"apply": ""})
    shell.says("label_namespace", "namespace")
    made = json.loads((shell.work / "namespace.json").read_text())
    assert manifests(ROOT / "docs" / "rights" / "namespace.yaml")[0] == made


def test_no_optional_right_changes_what_the_cluster_has() -> None:
    """Who may patch a namespace chooses its Pod Security profile: with `privileged`, the nodes are theirs."""
    for file in FILES:
        for one in manifests(file):
            if one["kind"] == "ClusterRole":
                verbs = {verb for rule in one["rules"] for verb in rule["verbs"]}
                assert verbs <= {"get", "list", "create"}, file.name


def test_helm_may_apply_a_gateway() -> None:
    gateway = {"enabled": True, "className": "envoy"}
    kinds = documents(SERVICE, values={"httpRoute": {"enabled": True, "gateway": gateway}})
    assert "Gateway" in {one["kind"] for one in kinds}
    assert granted().get(("gateway.networking.k8s.io", "gateways"), set()) >= APPLIES


def test_whether_the_host_is_taken_may_be_asked() -> None:
    """Of every kind that the guard lists in all namespaces; one that is missing turns it into a warning."""
    text = (ROOT / "deploy" / "preflight.sh").read_text()
    asked = {kind.partition(".")[0] for kind in re.findall(r"kinds\+?=,?([a-z][a-z.0-9]*)", text)}
    assert asked == {"ingresses", "httproutes"}
    role, _ = manifests(ROOT / "docs" / "rights" / "cluster-reads.yaml")
    assert asked <= {name for rule in role["rules"] for name in rule["resources"] if "list" in rule["verbs"]}
