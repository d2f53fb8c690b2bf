"""A real Prometheus with its operator scrapes the pods, reads the rules, answers the dashboard, and rings."""

import json
import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.e2e.addons.conftest import ValuesFile
from tests.e2e.addons.entrances import listed, need
from tests.e2e.cluster import Cluster, Project, kubectl
from tests.service import eventually

VALUES: dict[str, Any] = {
    "monitoring": {
        "podMonitor": {"enabled": True, "interval": "5s"},
        "rules": {"enabled": True, "windows": {"state": "20s", "recent": "30s"}},
        "dashboard": {"enabled": True},
    }
}
RATE_INTERVAL = "30s"
MAY_BE_EMPTY = ("unless", "> 0")
"""Of a service that is well: no version came five minutes ago, and no pod has a reason to be unready."""


class Prometheus:
    """The cluster's, asked through the API server."""

    def __init__(self) -> None:
        need("monitoring.coreos.com/v1")
        found = listed("prometheuses.monitoring.coreos.com", "--all-namespaces")
        if not found:
            pytest.skip("the cluster has the kinds of the Prometheus Operator, but no Prometheus")
        self.namespace: str = found[0]["metadata"]["namespace"]
        self.service = next(
            one["metadata"]["name"]
            for one in listed("services", "--namespace", self.namespace)
            if any(port.get("name") == "web" for port in one["spec"]["ports"])
        )

    def ask(self, path: str) -> Any:  # noqa: ANN401 - whatever it answers
        proxy = f"/api/v1/namespaces/{self.namespace}/services/{self.service}:web/proxy/api/v1/{path}"
        answer = json.loads(kubectl("get", "--raw", proxy))
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[Any]:
        result: list[Any] = self.ask(f"query?query={quote(expression, safe='')}")["result"]
        return result

    def rules(self, project: Project) -> list[dict[str, Any]]:
        """Those of the project's namespace."""
        every = [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]
        return [rule for rule in every if rule["labels"].get("namespace") == project.name]

    def firing(self, project: Project) -> set[str]:
        return {rule["name"] for rule in self.rules(project) if rule["state"] == "firing"}


@pytest.fixture(scope="module")
def prometheus(cluster: Cluster) -> Prometheus:  # noqa: ARG001 - ends the run where there is none
    return Prometheus()


@pytest.fixture(scope="module")
def watched(cluster: Cluster, prometheus: Prometheus, values_file: ValuesFile) -> Iterator[Project]:
    """A project whose pods Prometheus has found."""
    project = Project(cluster, f"watched-{secrets.token_hex(3)}")
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": prometheus.namespace}}}
    values = VALUES | {"networkPolicy": {"monitoringFrom": [peer]}}
    try:
        done = project.deploy("1.0.0", "--values", values_file(values))
        assert done.returncode == 0, done.stderr
        assert "left out of the release" not in done.stderr
        up = f'up{{job="{project.name}/{project.name}"}} == 1'
        eventually(lambda: len(prometheus.query(up)) == len(project.pods()) > 0, "its pods are scraped", 180)
        yield project
    finally:
        project.delete()


def test_every_rule_is_read_and_evaluated(watched: Project, prometheus: Prometheus) -> None:
    object_ = json.loads(watched.kubectl("get", "prometheusrule", watched.name, "-o", "json"))
    (group,) = object_["spec"]["groups"]
    eventually(
        lambda: [rule["health"] for rule in prometheus.rules(watched)] == ["ok"] * len(group["rules"]),
        f"{len(group['rules'])} rules are evaluated without an error",
        180,
    )
    assert prometheus.firing(watched) == set()


def test_every_query_of_the_dashboard_answers(watched: Project, prometheus: Prometheus) -> None:
    for _ in range(20):
        assert watched.get("/").status == 200
    counted = f'sum(increase(visits_counted_total{{job="{watched.name}/{watched.name}"}}[5m])) > 0'
    eventually(lambda: prometheus.query(counted) != [], "visits are seen", 60)
    found = watched.kubectl("get", "configmap", f"{watched.name}-dashboard", "-o", "json")
    (text,) = json.loads(found)["data"].values()
    dashboard = json.loads(text)
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    expressions += [one["expr"] for one in dashboard["annotations"]["list"]]
    answers = {one: prometheus.query(one.replace("$__rate_interval", RATE_INTERVAL)) for one in expressions}
    silent = [
        one for one, answer in answers.items() if not answer and not any(word in one for word in MAY_BE_EMPTY)
    ]
    assert silent == []
    print(f"{len(answers)} queries answered", flush=True)


def test_with_redis_away_its_own_bell_rings_and_no_other(watched: Project, prometheus: Prometheus) -> None:
    """The service's own ratio stays perfect meanwhile, as the entrance answers by itself."""
    redis = f"statefulset/{watched.name}-redis"
    watched.kubectl("scale", redis, "--replicas=0")
    try:
        eventually(lambda: bool(prometheus.firing(watched)), "an alert fires", 180)
        assert prometheus.firing(watched) == {"RedisUnreachable"}
        assert watched.get("/").status == 503
    finally:
        watched.kubectl("scale", redis, "--replicas=1")
    eventually(lambda: prometheus.firing(watched) == set(), "it ends", 180)
    assert watched.get("/").status == 200
