"""--uninstall removes what is the project's, and nothing of anybody else's."""

import os
import subprocess

import pytest

from tests.deploy.shell import Done, Reply, Shell, failure

FILES = ["namespace", "record", "lock", "forward", "candidate", "release", "uninstall"]
AWAY = "Unable to connect to the server: EOF"


def uninstalled(
    shell: Shell,
    found: str | Reply = "",
    delete_data: str = "yes",
    uninstall: str | Reply = "",
    api_versions: str = "v1,",
    from_store: str | Reply = "",
) -> Done:
    shell.stub(
        "kubectl",
        {
            "get secrets": "4 d deployed\n",
            "get configmap": "",
            "get lease": "1 me now",
            "get pod shop-candidate": "pod/shop-candidate",
            "delete externalsecrets": from_store,
            "delete": "",
            "api-resources": "cronjobs.batch\nsecrets\n",
            "get": found,
        },
    )
    shell.stub("helm", {"uninstall": uninstall})
    variables = {
        "lock_identity": "me",
        "delete_data": delete_data,
        "redis_release": "shop-redis",
        "patience": 0,
        "api_versions": api_versions,
    }
    return shell.run("uninstall_releases", *FILES, **variables)


def deleted(shell: Shell) -> list[str]:
    return [call.split()[1] for call in shell.calls("kubectl", "delete ")]


def test_all_goes_when_nothing_is_left(shell: Shell) -> None:
    done = uninstalled(shell)
    assert done.status == 0, done
    assert shell.calls("helm") == ["uninstall shop", "uninstall shop-redis"]
    assert deleted(shell) == [
        "pod",
        "networkpolicies",
        "serviceaccounts",
        "configmap",
        "persistentvolumeclaims",
        "secrets",
        "--raw",
        "namespace",
    ]
    assert shell.calls("kubectl", "/namespaces/shop/leases/shop-deploy "), "the lock, by --raw"
    assert shell.calls("kubectl", "delete persistentvolumeclaims -l app.kubernetes.io/instance=shop-redis ")
    assert shell.calls("kubectl", "delete secrets -l deploy/project=shop ")


@pytest.mark.parametrize("foreign", ["CronJob/report   /\n", "Secret/token   /\n", failure(AWAY)])
def test_the_namespace_stays_when_anything_foreign_or_unseen_is_in_it(
    foreign: str | Reply, shell: Shell
) -> None:
    done = uninstalled(shell, foreign)
    assert done.status == 0, done
    assert "kept the namespace shop: it holds " in done.stderr
    assert "namespace" not in deleted(shell)


@pytest.mark.parametrize(
    ("said", "status"),
    [("", 0), (failure("Error from server (Forbidden): externalsecrets"), 0), (failure(AWAY), 10)],
    ids=["there or not", "no right, so it made none", "away"],
)
def test_what_a_killed_deploy_took_from_a_store_goes_too(
    said: str | Reply, status: int, shell: Shell
) -> None:
    done = uninstalled(shell, api_versions="v1,external-secrets.io/v1,", from_store=said)
    assert done.status == status, done
    assert "externalsecrets.external-secrets.io" in deleted(shell)


def test_the_lock_is_looked_at_before_each_release_and_the_candidate(shell: Shell) -> None:
    """The first may take minutes."""
    assert uninstalled(shell, delete_data="no").status == 0
    assert len(shell.calls("kubectl", "get lease")) == 3


def test_data_stays_unless_told_otherwise(shell: Shell) -> None:
    assert uninstalled(shell, delete_data="no").status == 0
    assert deleted(shell) == ["pod", "networkpolicies", "serviceaccounts", "configmap"]


def test_a_try_whose_reply_was_lost_has_done_it(shell: Shell) -> None:
    assert (
        uninstalled(
            shell, uninstall=failure("Error: uninstall: Release not loaded: shop: release: not found")
        ).status
        == 0
    )


def test_a_failure_ends_it_before_the_data(shell: Shell) -> None:
    assert uninstalled(shell, uninstall=failure("Error: it is locked")).status == 10
    assert deleted(shell) == []


@pytest.mark.parametrize(
    ("answer", "status"), [("shop", 0), ("shop-redis", 2), ("y", 2), ("yes", 2), ("", 2)]
)
def test_only_the_projects_name_confirms_it(answer: str, status: int, shell: Shell) -> None:
    ours, theirs = os.openpty()
    os.write(ours, f"{answer}\n".encode())
    done = subprocess.run(
        shell.command("confirm_uninstall", "uninstall", redis_release="shop-redis"),
        env=shell.environment(),
        stdin=theirs,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    os.close(ours)
    os.close(theirs)
    assert done.returncode == status, done
    assert "This removes the releases shop and shop-redis in the context testing." in done.stderr
    assert ("nothing was removed" in done.stderr) == (status == 2)


@pytest.mark.parametrize(("more", "status"), [({"assume_yes": "yes"}, 0), ({"assume_yes": "no"}, 2)])
def test_without_a_terminal_it_must_be_confirmed(more: dict[str, str], status: int, shell: Shell) -> None:
    done = shell.run("confirm_uninstall", "uninstall", redis_release="shop-redis", **more)
    assert done.status == status
