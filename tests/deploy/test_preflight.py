"""What is refused before anything is touched."""

import json

import pytest

from tests.deploy.shell import Reply, Shell

# As check_host asks: kind, name, whose it is and whether it proves a host to an authority, hosts.
HOSTS = (
    """\
Ingress shop/shop shop/shop/ shop.test
Ingress shop/cm-acme-http-solver-x2 shop//true shop.test new.test
Ingress shop/by-hand shop// by-hand.test
Ingress other/web other/web/ other.test www.other.test
Ingress other/api other/api/ api.shop.test
Ingress other/all other// *.shop.test *.test
HTTPRoute shop/shop shop/shop/  shop.test
HTTPRoute shop/shop-redirect shop/shop/  shop.test
HTTPRoute other/route other/route/  routed.test more.routed.test
HTTPRoute other/all other//  *.test
HTTPRoute other/every other//
"""
).replace("\n", " \n")
GATEWAY_API = "apps/v1,gateway.networking.k8s.io/v1"


def rendered(shell: Shell, entrance: str, kinds: str = "") -> None:
    (shell.work / "shop.yaml").write_text(f'    deploy/entrance: "{entrance}"\n{kinds}')


@pytest.mark.parametrize(
    ("host", "owner"),
    [
        ("shop.test", ""),
        ("new.test", ""),
        ("hop.test", ""),
        ("any.shop.test", ""),
        ("by-hand.test", "Ingress shop/by-hand"),
        ("other.test", "Ingress other/web"),
        ("www.other.test", "Ingress other/web"),
        ("routed.test", "HTTPRoute other/route"),
        ("more.routed.test", "HTTPRoute other/route"),
    ],
)
def test_a_host_of_another_is_refused(host: str, owner: str, shell: Shell) -> None:
    """Wildcards yield to it, and cert-manager's Ingress for a challenge goes by itself."""
    rendered(shell, "httproute")
    shell.stub("kubectl", {"get ingresses,httproutes.gateway.networking.k8s.io --all-namespaces": HOSTS})
    done = shell.run("check_host", "preflight", "charts", base_url=host, api_versions=GATEWAY_API)
    assert done.status == (3 if owner else 0)
    assert (f"the host «{host}» is owned by the {owner}" in done.stderr) == bool(owner)


def test_without_the_gateway_api_its_routes_are_not_asked_for(shell: Shell) -> None:
    rendered(shell, "ingress")
    shell.stub("kubectl", {"get ingresses --all-namespaces": ""})
    shell.says("check_host", "preflight", "charts", base_url="shop.test", api_versions="apps/v1")


def test_without_an_entrance_no_host_is_taken(shell: Shell) -> None:
    rendered(shell, "none")
    shell.says("check_host", "preflight", "charts", base_url="other.test", api_versions=GATEWAY_API)
    assert shell.calls("kubectl") == []


@pytest.mark.parametrize(("seen", "status"), [("", 0), (HOSTS, 3)], ids=["none", "the Ingresses"])
def test_hosts_that_may_not_be_seen_are_no_reason_to_stop(seen: str, status: int, shell: Shell) -> None:
    rendered(shell, "ingress")
    forbidden = "Error from server (Forbidden): httproutes is forbidden"
    shell.stub("kubectl", {"get ingresses": Reply(seen, 1, forbidden)})
    done = shell.run("check_host", "preflight", "charts", base_url="other.test", api_versions=GATEWAY_API)
    assert done.status == status
    assert "whether other.test is taken is not known" in done.stderr


@pytest.mark.parametrize(
    ("found", "status"), [("true/3", 3), ("/0", 3), ("false/0", 3), ("/3", 0), ("false/10", 0), ("", 0)]
)
def test_what_somebody_paused_is_left_to_them(found: str, status: int, shell: Shell) -> None:
    shell.stub("kubectl", {"get deployment shop": found})
    assert shell.run("check_nobody_paused_it", "preflight").status == status


KINDS = """\
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
---
apiVersion: v1
kind: Service
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
---
apiVersion: networking.k8s.io/v1
kind: Ingress
"""
ASKED = [
    "/secrets",
    "/services",
    "coordination.k8s.io/leases",
    "gateway.networking.k8s.io/gateways",
    "gateway.networking.k8s.io/httproutes",
    "networking.k8s.io/ingresses",
    "networking.k8s.io/networkpolicies",
]


def asked_rights(shell: Shell, candidate: str) -> list[dict[str, str]]:
    shell.stub("kubectl", {"create": "true configmaps\n"})
    shell.says("check_rights", "preflight", redis_release="shop-redis", candidate=candidate)
    reviews = (json.loads(line) for line in (shell.work / "rights.json").read_text().splitlines())
    return [review["spec"]["resourceAttributes"] for review in reviews]


def test_a_right_that_is_missing_is_asked_for_where_it_is_missing(shell: Shell) -> None:
    shell.stub("kubectl", {"create": "false pods/portforward\ntrue configmaps\n"})
    done = shell.run("check_rights", "preflight", redis_release="shop-redis", candidate="yes")
    assert done.status == 3
    assert "kubectl --context testing -n shop auth can-i create pods/portforward\n" in done.stderr


@pytest.mark.parametrize(
    "variable",
    [
        "HELM_DRIVER=configmap",
        "HELM_DRIVER=memory",
        "HELM_DRIVER=sql",
        "HELM_KUBEAPISERVER=https://other.test",
    ],
)
def test_another_place_of_helms_records_is_refused(variable: str, shell: Shell) -> None:
    done = shell.run(f"export {variable}; check_tools", "preflight")
    assert done.status == 3
    assert "unset both; the context says which cluster" in done.stderr


@pytest.mark.parametrize("variable", ["HELM_DRIVER=", "HELM_DRIVER=secret", "HELM_DRIVER=secrets"])
def test_the_usual_place_of_helms_records_may_be_named(variable: str, shell: Shell) -> None:
    shell.says(f"export {variable}; check_tools", "preflight")


@pytest.mark.parametrize(
    ("says", "tool"),
    [
        ("Client: Docker Engine - Community", "docker"),
        ("Client:       Podman Engine\nVersion: 5.4.2", "podman"),
    ],
)
def test_podman_is_known_by_docker_s_name_too(says: str, tool: str, shell: Shell) -> None:
    """It does not print what it pushed, so it is asked for that in a file."""
    shell.stub("docker", {"version": says})
    assert shell.says('check_container_tool; echo "$container_tool"', "preflight") == tool


def test_the_rights_are_of_what_is_rendered(shell: Shell) -> None:
    rendered(shell, "both", KINDS)
    (shell.work / "shop-redis.yaml").write_text("apiVersion: apps/v1\nkind: StatefulSet\n")
    asked = asked_rights(shell, candidate="no")
    assert sorted(f"{one['group']}/{one['resource']}" for one in asked) == sorted(
        [*ASKED, "apps/statefulsets"]
    )
    assert {one["verb"] for one in asked} == {"create"}


@pytest.mark.parametrize(("candidate", "rights"), [("yes", ["pods/", "pods/portforward"]), ("no", [])])
def test_the_rights_of_a_candidate_are_asked_for(candidate: str, rights: list[str], shell: Shell) -> None:
    rendered(shell, "ingress")
    asked = [one for one in asked_rights(shell, candidate) if one["resource"] == "pods"]
    assert [f"{one['resource']}/{one['subresource']}" for one in asked] == rights


def test_a_project_without_a_redis_of_its_own_is_no_bug(shell: Shell) -> None:
    rendered(shell, "ingress")
    shell.stub("kubectl", {"create": "true configmaps\n"})
    trap = """trap 'on_bug "$?" "$LINENO" "$BASH_COMMAND"' ERR"""
    done = shell.run(f"{trap}; check_rights", "preflight", redis_release="shop-redis", candidate="no")
    assert (done.status, done.stderr) == (0, "")


def test_a_missing_right_is_named(shell: Shell) -> None:
    rendered(shell, "ingress")
    rights = "true configmaps\nfalse secrets\n leases\n"
    shell.stub("kubectl", {"create": rights})
    done = shell.run("check_rights", "preflight", redis_release="shop-redis")
    assert done.status == 3
    assert "no right to create secrets leases in the namespace «shop»" in done.stderr


@pytest.mark.parametrize(
    ("nodes", "asked", "platform", "architecture"),
    [
        ("arm64\narm64\n", "", "--platform linux/arm64", ""),
        ("amd64\narm64\n", "linux/arm64/v8", "--platform linux/arm64/v8", "arm64"),
    ],
)
def test_the_image_is_built_for_the_nodes(
    nodes: str, asked: str, platform: str, architecture: str, shell: Shell
) -> None:
    shell.stub("kubectl", {"get nodes": nodes})
    call = 'choose_platform; echo "${image_platform[*]}|$node_architecture"'
    assert shell.says(call, "preflight", platform=asked) == f"{platform}|{architecture}"


def test_nodes_of_two_kinds_want_one_named(shell: Shell) -> None:
    shell.stub("kubectl", {"get nodes": "amd64\narm64\n"})
    done = shell.run("choose_platform", "preflight")
    assert done.status == 3
    assert "several architectures: amd64, arm64" in done.stderr
