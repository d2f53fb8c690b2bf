"""What is refused before anything is touched."""

import pytest

from tests.deploy.shell import Shell, failure

INGRESSES = "shop/shop shop.test  \nother/web other.test www.other.test  \nother/api api.shop.test  \n"


@pytest.mark.parametrize(
    ("host", "owner"),
    [
        ("shop.test", ""),
        ("new.test", ""),
        ("other.test", "other/web"),
        ("www.other.test", "other/web"),
        ("hop.test", ""),
    ],
)
def test_a_host_of_another_ingress_is_refused(host: str, owner: str, shell: Shell) -> None:
    shell.stub("kubectl", {"get ingresses --all-namespaces": INGRESSES})
    done = shell.run("check_host", "preflight", base_url=host)
    assert done.status == (3 if owner else 0)
    assert owner in done.stderr


def test_ingresses_that_may_not_be_seen_are_no_reason_to_stop(shell: Shell) -> None:
    shell.stub("kubectl", {"get ingresses": failure("Error from server (Forbidden): ingresses is forbidden")})
    done = shell.run("check_host", "preflight", base_url="shop.test")
    assert done.status == 0
    assert "whether shop.test is taken is not known" in done.stderr


@pytest.mark.parametrize(
    ("found", "status"), [("true/3", 3), ("/0", 3), ("false/0", 3), ("/3", 0), ("false/10", 0), ("", 0)]
)
def test_what_somebody_paused_is_left_to_them(found: str, status: int, shell: Shell) -> None:
    shell.stub("kubectl", {"get deployment shop": found})
    assert shell.run("check_nobody_paused_it", "preflight").status == status


def test_a_missing_right_is_named(shell: Shell) -> None:
    rights = "true configmaps\nfalse secrets\n leases\n"
    shell.stub("kubectl", {"create": rights})
    done = shell.run("check_rights", "preflight")
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
