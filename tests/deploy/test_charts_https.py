"""HTTPS of the Ingress and of the HTTPRoute: certificates, the way from http, what deploy.sh is told."""

import json

import pytest

from tests.deploy.charts import (
    DEPLOYED,
    HELMS,
    INGRESS_TLS,
    SERVICE,
    TLS_ENDS_ELSEWHERE,
    Document,
    Values,
    document,
    documents,
    merged,
    refusal,
    run,
)

NO_INGRESS: Values = {"ingress": {"enabled": False}}
HTTPS_LISTENER = {"name": "public", "namespace": "gateways", "sectionName": "https"}
HTTP_LISTENER = {"name": "public", "namespace": "gateways", "sectionName": "http"}
SHARED: Values = {"httpRoute": {"enabled": True, "tls": True, "parentRefs": [HTTPS_LISTENER]}}
OWN: Values = {
    "httpRoute": {
        "enabled": True,
        "gateway": {"enabled": True, "className": "envoy", "tls": {"enabled": True}},
    }
}
EVERYTHING: Values = {"type": "PathPrefix", "value": "/"}


def own(**changes: object) -> Values:
    """The values of a Gateway of the service's own, changed."""
    return merged(OWN, {"httpRoute": {"gateway": changes}})


def route(values: Values, name: str = "shop") -> Document:
    (found,) = [
        one
        for one in documents(SERVICE, values=values)
        if one["kind"] == "HTTPRoute" and one["metadata"]["name"] == name
    ]
    return found


@pytest.mark.parametrize(
    ("tls", "secret", "annotations"),
    [
        ({}, None, {}),
        ({"secretName": "given"}, "given", {}),
        ({"clusterIssuer": "public"}, None, {"cert-manager.io/cluster-issuer": "public"}),
        ({"issuer": "team"}, None, {"cert-manager.io/issuer": "team"}),
        ({"issuer": "team", "secretName": "given"}, "given", {"cert-manager.io/issuer": "team"}),
    ],
    ids=["default", "secret", "cluster issuer", "issuer", "issuer and secret"],
)
def test_the_certificate_of_both_entrances(
    tls: Values, secret: str | None, annotations: dict[str, str]
) -> None:
    """A given Secret, an Issuer or a ClusterIssuer, in the same words."""
    ingress = document(SERVICE, "Ingress", values={"ingress": {"tls": {"enabled": True, **tls}}})
    assert ingress["spec"]["tls"] == [{"hosts": ["x.test"], "secretName": secret or "shop-tls"}]
    assert ingress["metadata"].get("annotations", {}) == annotations
    gateway = document(SERVICE, "Gateway", values=own(tls=tls))
    assert gateway["metadata"].get("annotations", {}) == annotations
    _, https = gateway["spec"]["listeners"]
    assert https["tls"] == {
        "mode": "Terminate",
        "certificateRefs": [{"kind": "Secret", "name": secret or "shop-gateway-tls"}],
    }
    assert (https["protocol"], https["port"], https["hostname"]) == ("HTTPS", 443, "x.test")


def test_a_gateway_of_its_own() -> None:
    gateway = document(SERVICE, "Gateway", values=own(annotations={"a/b": "c"}))
    assert gateway["apiVersion"] == "gateway.networking.k8s.io/v1"
    assert gateway["metadata"]["annotations"] == {"a/b": "c"}
    assert gateway["spec"]["gatewayClassName"] == "envoy"
    http, https = gateway["spec"]["listeners"]
    assert http == {"name": "http", "protocol": "HTTP", "port": 80, "hostname": "x.test"}
    name = gateway["metadata"]["name"]
    assert route(OWN)["spec"]["parentRefs"] == [{"name": name, "sectionName": https["name"]}]
    assert route(OWN, "shop-redirect")["spec"]["parentRefs"] == [{"name": name, "sectionName": http["name"]}]


def test_a_gateway_of_its_own_without_tls_serves_plain_http() -> None:
    values = own(tls={"enabled": False}, ports={"http": 8080})
    (listener,) = document(SERVICE, "Gateway", values=values)["spec"]["listeners"]
    assert (listener["name"], listener["port"]) == ("http", 8080)
    assert document(SERVICE, "HTTPRoute", values=values)["spec"]["parentRefs"] == [
        {"name": "shop", "sectionName": "http"}
    ]


def test_the_route_sends_from_http_to_https() -> None:
    values = merged(SHARED, {"httpRoute": {"redirectFrom": [HTTP_LISTENER], "annotations": {"a": "b"}}})
    serving, redirecting = route(values), route(values, "shop-redirect")
    assert serving["spec"]["parentRefs"] == [HTTPS_LISTENER]
    assert redirecting["spec"]["parentRefs"] == [HTTP_LISTENER]
    for one in (serving, redirecting):
        assert one["spec"]["hostnames"] == ["x.test"]
        assert one["metadata"]["annotations"] == {"a": "b"}
    (rule,) = redirecting["spec"]["rules"]
    assert rule == {
        "matches": [{"path": EVERYTHING}],
        "filters": [{"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "statusCode": 301}}],
    }
    assert document(SERVICE, "HTTPRoute", values=SHARED) == route(SHARED)


def test_the_redirect_goes_to_the_port_that_visitors_know() -> None:
    """A listener's port is the Gateway's own where a Service stands before it, as with Traefik's 8443."""
    (rule,) = route(own(ports={"http": 8000, "https": 8443}), "shop-redirect")["spec"]["rules"]
    assert rule["filters"][0]["requestRedirect"] == {"scheme": "https", "statusCode": 301}


PLAIN_ROUTE: Values = {"httpRoute": {"enabled": True, "parentRefs": [HTTP_LISTENER]}}


@pytest.mark.parametrize(
    ("values", "entrance", "scheme"),
    [
        ({}, "ingress", "http"),
        (INGRESS_TLS, "ingress", "https"),
        (TLS_ENDS_ELSEWHERE, "ingress", "https"),
        (merged(NO_INGRESS, PLAIN_ROUTE), "httproute", "http"),
        (merged(NO_INGRESS, SHARED), "httproute", "https"),
        (merged(NO_INGRESS, OWN), "httproute", "https"),
        (merged(NO_INGRESS, own(tls={"enabled": False})), "httproute", "http"),
        (merged(NO_INGRESS, merged(PLAIN_ROUTE, TLS_ENDS_ELSEWHERE)), "httproute", "https"),
        # One of them by plain HTTP is enough for visitors to come in so.
        (SHARED, "both", "http"),
        (merged(INGRESS_TLS, PLAIN_ROUTE), "both", "http"),
        (merged(TLS_ENDS_ELSEWHERE, own(tls={"enabled": False})), "both", "http"),
        (merged(INGRESS_TLS, SHARED), "both", "https"),
        ({"ingress": {"enabled": False, "host": ""}}, "none", "http"),
        (merged(NO_INGRESS, TLS_ENDS_ELSEWHERE), "none", "http"),
    ],
)
def test_what_deploy_is_told_of_the_entrance(values: Values, entrance: str, scheme: str) -> None:
    found = document(SERVICE, "ConfigMap", values=values)["metadata"]["annotations"]
    assert (found["deploy/entrance"], found["deploy/scheme"]) == (entrance, scheme)
    kinds = {one["kind"] for one in documents(SERVICE, values=values)} & {"Ingress", "HTTPRoute"}
    assert (
        kinds
        == {
            "ingress": {"Ingress"},
            "httproute": {"HTTPRoute"},
            "both": {"Ingress", "HTTPRoute"},
            "none": set(),
        }[entrance]
    )


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("values", [SHARED, OWN], ids=["shared", "own"])
def test_an_entrance_that_the_cluster_cannot_have_is_refused_if_it_is_the_only_one(
    values: Values, helm: str
) -> None:
    message = refusal(SERVICE, merged(NO_INGRESS, values), helm, api_versions="v1,apps/v1")
    for words in ("the only entrance", "gateway.networking.k8s.io/v1", "ingress.enabled to true"):
        assert words in message


def test_a_gateway_that_the_cluster_cannot_have_is_left_out_beside_an_ingress() -> None:
    values = json.dumps(merged(DEPLOYED[SERVICE], merged(OWN, INGRESS_TLS)))
    result = run("helm", SERVICE, "dev", values, "shop", api_versions="v1,apps/v1")
    assert result.returncode == 0, result.stderr
    for kind in ("HTTPRoute", "Gateway"):
        assert f"kind: {kind}" not in result.stdout
    assert "deploy/left-out: HTTPRoute and Gateway, as the cluster does not have" in result.stdout
    assert "deploy/entrance: ingress\n" in result.stdout
    assert "deploy/scheme: https\n" in result.stdout


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"httpRoute": {"enabled": True, "redirectFrom": [HTTP_LISTENER]}}, "parentRefs is empty"),
        (
            merged(PLAIN_ROUTE, {"httpRoute": {"redirectFrom": [HTTP_LISTENER]}}),
            "httpRoute.tls does not say",
        ),
        (merged(SHARED, {"httpRoute": {"redirectFrom": [HTTPS_LISTENER]}}), "in a circle"),
        (merged(SHARED, {"httpRoute": {"parentRefs": [{"name": "public"}]}}), "all listeners of public"),
        ({"httpRoute": {"gateway": OWN["httpRoute"]["gateway"]}}, "httpRoute.enabled is false"),
        (own(className=""), "className is empty"),
        (own(ports={"http": 443}), "both 443"),
        (merged(OWN, SHARED), "leave them empty"),
        (own(tls={"enabled": False, "issuer": "team"}), "httpRoute.gateway.tls.enabled is false"),
        (own(tls={"issuer": "team", "clusterIssuer": "public"}), "leave the other empty"),
        (
            merged(
                own(tls={"issuer": "team", "secretName": "given"}),
                {"ingress": {"tls": {"enabled": True, "issuer": "team", "secretName": "given"}}},
            ),
            "both name the Secret",
        ),
    ],
    ids=[
        "redirect alone",
        "redirect to nothing",
        "circle",
        "all listeners",
        "gateway without route",
        "no class",
        "one port",
        "own and shared",
        "issuer without tls",
        "two issuers",
        "one Secret for two",
    ],
)
def test_an_entrance_that_cannot_work_is_refused(values: Values, words: str) -> None:
    assert words in refusal(SERVICE, values)


def test_a_given_secret_may_serve_both_entrances() -> None:
    values = merged(own(tls={"secretName": "given"}), {"ingress": {"tls": {"secretName": "given"}}})
    assert {"Ingress", "Gateway"} <= {one["kind"] for one in documents(SERVICE, values=values)}


@pytest.mark.parametrize("entrance", [{}, merged(NO_INGRESS, SHARED)], ids=["ingress", "route"])
def test_a_host_that_the_service_would_not_serve_is_refused(entrance: Values) -> None:
    message = refusal(SERVICE, merged(entrance, {"settings": {"ALLOWED_HOSTS": "y.test,x.test.org"}}))
    assert 'without ingress.host "x.test"' in message


@pytest.mark.parametrize("hosts", ["", "y.test, X.test ,my_app,10.0.0.1,", "x.test,[::1]"])
def test_a_host_that_the_service_serves(hosts: str) -> None:
    assert document(SERVICE, "Ingress", values={"settings": {"ALLOWED_HOSTS": hosts}})


def test_without_an_entrance_any_hosts_do() -> None:
    values = merged(NO_INGRESS, {"settings": {"ALLOWED_HOSTS": "y.test"}})
    assert document(SERVICE, "Deployment", values=values)


@pytest.mark.parametrize("host", ["x.test:8080", "https://x.test", "x.test/", "*.x.test", "*", "::1"])
@pytest.mark.parametrize("entrance", [{}, NO_INGRESS], ids=["ingress", "none"])
def test_a_host_that_no_visitor_can_ask_for_is_refused(entrance: Values, host: str) -> None:
    message = refusal(SERVICE, merged(entrance, {"settings": {"ALLOWED_HOSTS": f"x.test, {host}"}}))
    assert f'settings.ALLOWED_HOSTS has "{host}"' in message
