"""Who may connect to whom: what no NetworkPolicy names is denied, in both directions."""

from typing import Any

import pytest

from tests.deploy.charts import (
    EXTERNAL_REDIS,
    REDIS,
    SERVICE,
    Document,
    Values,
    document,
    documents,
    merged,
    pod,
    workload,
)

SENTINELS: Values = {"REDIS_SENTINELS": "a.test:26379", "REDIS_SENTINEL_MASTER": "m"}
INGRESS_NGINX: Values = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}
}
MONITORING: Values = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
BLOCK: Values = {"ipBlock": {"cidr": "10.9.0.0/16"}}
TEST = "shop-test"


def policy(values: Values | None = None, name: str | None = None) -> dict[str, Any]:
    spec: dict[str, Any] = document(SERVICE, "NetworkPolicy", values=values, name=name)["spec"]
    return spec


def egress(values: Values | None = None, name: str | None = None) -> list[Document]:
    rules: list[Document] = policy(values, name)["egress"]
    return rules


def ports(rule: Document) -> list[tuple[str, object]]:
    return [(one["protocol"], one.get("port")) for one in rule["ports"]]


def redis_rule(values: Values) -> Document:
    """What an external Redis adds to who resolves names."""
    dns, redis = egress(merged(EXTERNAL_REDIS, values))
    assert ports(dns)[0] == ("UDP", 53)
    return redis


def test_every_policy_denies_both_directions() -> None:
    found = [one for chart in (SERVICE, REDIS) for one in documents(chart) if one["kind"] == "NetworkPolicy"]
    assert len(found) == 3
    for one in found:
        assert one["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_every_pod_has_a_policy() -> None:
    for chart in (SERVICE, REDIS):
        everything = documents(chart)
        selectors = [
            one["spec"]["podSelector"]["matchLabels"] for one in everything if one["kind"] == "NetworkPolicy"
        ]
        pods = [one for one in everything if one["kind"] == "Pod"] + [pod(chart)]
        for one in pods:
            labels = one["metadata"]["labels"].items()
            assert len([selector for selector in selectors if selector.items() <= labels]) == 1


def test_without_policies() -> None:
    off: Values = {"networkPolicy": {"enabled": False}}
    for chart in (SERVICE, REDIS):
        assert "NetworkPolicy" not in {one["kind"] for one in documents(chart, values=off)}


def test_who_may_connect_to_the_service() -> None:
    http, admin = policy()["ingress"]
    assert policy()["podSelector"] == workload(SERVICE)["spec"]["selector"]
    test_pod = document(SERVICE, "Pod")["metadata"]["labels"]
    assert http["from"][0]["podSelector"]["matchLabels"].items() <= test_pod.items()
    assert http["from"][1:] == [INGRESS_NGINX]
    assert admin["from"] == [MONITORING]
    assert http["ports"] == [{"port": "http", "protocol": "TCP"}]
    assert admin["ports"] == [{"port": "admin", "protocol": "TCP"}]


def test_others_may_connect_in_their_place() -> None:
    values: Values = {"networkPolicy": {"ingressFrom": [BLOCK], "monitoringFrom": [INGRESS_NGINX]}}
    http, admin = policy(values)["ingress"]
    assert http["from"][1:] == [BLOCK]
    assert admin["from"] == [INGRESS_NGINX]


def test_no_source_means_nobody_and_not_everybody() -> None:
    (http,) = policy({"networkPolicy": {"ingressFrom": [], "monitoringFrom": []}})["ingress"]
    assert len(http["from"]) == 1
    assert "component" in str(http["from"])


def test_redis_lets_the_service_of_its_project_in_and_asks_nobody() -> None:
    found = document(REDIS, "NetworkPolicy")["spec"]
    ((source,),) = [rule["from"] for rule in found["ingress"]]
    selected = source["podSelector"]["matchLabels"].items()
    assert selected <= pod(SERVICE)["metadata"]["labels"].items()
    assert selected <= document(SERVICE, "Pod")["metadata"]["labels"].items()
    candidate = document(SERVICE, "Pod", values={"candidate": {"enabled": True}}, name="shop-candidate")
    assert selected <= candidate["metadata"]["labels"].items()
    assert not selected <= pod(REDIS)["metadata"]["labels"].items()
    assert found["podSelector"] == workload(REDIS)["spec"]["selector"]
    assert found.get("egress", []) == []


def test_the_service_reaches_dns_and_its_own_redis() -> None:
    dns, redis = egress()
    assert ports(dns) == [("UDP", 53), ("TCP", 53)]
    cluster, node = dns["to"]
    assert cluster["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}
    assert cluster["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
    assert node == {"ipBlock": {"cidr": "169.254.20.10/32"}}
    (peer,) = redis["to"]
    assert peer["podSelector"]["matchLabels"].items() <= pod(REDIS)["metadata"]["labels"].items()
    (listens,) = workload(REDIS)["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert ports(redis) == [("TCP", listens["containerPort"])]


def test_a_bundled_redis_under_its_whole_name() -> None:
    _, redis = egress({"redis": {"host": "shop-redis.shop.svc.cluster.local"}})
    assert redis == egress()[1]


def test_no_dns_means_nobody_and_not_everybody() -> None:
    (redis,) = egress({"networkPolicy": {"dnsTo": []}})
    assert ports(redis) == [("TCP", 6379)]


@pytest.mark.parametrize(
    ("values", "reached"),
    [
        ({}, [("TCP", 6379)]),
        ({"redis": {"port": 6390}}, [("TCP", 6390)]),
        ({"redis": {"host": "", "urlFromSecret": True}}, [("TCP", None)]),
        ({"redis": {"host": ""}, "settings": SENTINELS}, [("TCP", None)]),
        ({"settings": {"REDIS_CLUSTER": True}}, [("TCP", None)]),
        (
            {"settings": SENTINELS, "networkPolicy": {"redisPorts": [6379, 26379]}},
            [("TCP", 6379), ("TCP", 26379)],
        ),
        ({"networkPolicy": {"redisPorts": [7000]}}, [("TCP", 7000)]),
    ],
    ids=["port", "another port", "url", "sentinels", "cluster", "sentinels with ports", "ports"],
)
def test_an_external_redis_is_reached_without_saying_where(
    values: Values, reached: list[tuple[str, object]]
) -> None:
    """Its address is a name, and its servers may tell their ports later: nothing that worked may break."""
    rule = redis_rule(values)
    assert ports(rule) == reached
    assert "to" not in rule


def test_an_external_redis_may_be_told_apart() -> None:
    rule = redis_rule({"networkPolicy": {"redisTo": [BLOCK]}})
    assert (rule["to"], ports(rule)) == ([BLOCK], [("TCP", 6379)])


def test_what_else_the_service_reaches() -> None:
    collector = {"to": [{"namespaceSelector": {}}], "ports": [{"port": 4317, "protocol": "TCP"}]}
    assert egress({"networkPolicy": {"extraEgress": [collector]}})[2:] == [collector]


def test_the_test_pod_reaches_what_it_asks() -> None:
    service, dns, redis = egress(name=TEST)
    assert [dns, redis] == egress()
    (peer,) = service["to"]
    assert peer["podSelector"] == workload(SERVICE)["spec"]["selector"]
    listens = {one["name"]: one["containerPort"] for one in pod(SERVICE)["spec"]["containers"][0]["ports"]}
    assert ports(service) == [("TCP", listens["http"])]
    assert "ingress" not in policy(name=TEST)


def test_the_test_pod_does_not_reach_an_external_redis() -> None:
    assert egress(EXTERNAL_REDIS, TEST) == egress(name=TEST)[:2]


def test_the_test_pod_does_not_reach_what_the_service_may() -> None:
    extra: Values = {"networkPolicy": {"extraEgress": [{"to": [BLOCK]}]}}
    assert egress(extra, TEST) == egress(name=TEST)
