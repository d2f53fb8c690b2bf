"""A namespace is adopted only when it is empty, and goes only when nothing of anybody else's is in it."""

import json

import pytest

from tests.deploy.shell import Done, Reply, Shell, failure

KINDS = "configmaps\ncronjobs.batch\nevents\nevents.events.k8s.io\npods\npersistentvolumeclaims\n"
# Kind and name, the labels app.kubernetes.io/instance and deploy/project, and owner/name as Helm sets them.
OURS = """ConfigMap/kube-root-ca.crt   /
ServiceAccount/default   /
Lease/shop-deploy   /
ConfigMap/shop-deploy   /
Deployment/shop shop  /
Pod/shop-redis-0 shop-redis  /
PersistentVolumeClaim/data-shop-redis-0 shop-redis  /
Secret/shop-redis-auth  shop /
Secret/sh.helm.release.v1.shop.v1   helm/shop
Secret/sh.helm.release.v1.shop-redis.v1   helm/shop-redis
"""
FOREIGN = [
    "CronJob/report   /",
    "PersistentVolumeClaim/archive   /",
    "Secret/token   /",
    "Backup/nightly   /",
    "Deployment/other other  /",
    "Deployment/shop2 shop2  /",
    "ConfigMap/mine shopping  /",
    "Secret/sh.helm.release.v1.shop2.v1   helm/shop2",
]
FORBIDDEN = (
    'Error from server (Forbidden): backups.test is forbidden: User "me" cannot list resource "backups"\n'
)


def inhabitants(shell: Shell, found: str | Reply, kinds: str | Reply = KINDS) -> list[str]:
    shell.stub("kubectl", {"api-resources": kinds, "get": found})
    return shell.says("inhabitants", "namespace").splitlines()


def test_what_kubernetes_and_the_project_put_there_is_no_inhabitant(shell: Shell) -> None:
    assert inhabitants(shell, OURS) == []
    (call,) = shell.calls("kubectl", "get ")
    assert call.split()[1] == "configmaps,cronjobs.batch,persistentvolumeclaims,pods"


@pytest.mark.parametrize("foreign", FOREIGN)
def test_anything_else_is_one_whatever_its_kind(foreign: str, shell: Shell) -> None:
    assert inhabitants(shell, OURS + foreign + "\n") == [foreign.partition(" ")[0]]


UNSEEN: dict[str, tuple[str | Reply, str | Reply]] = {
    "kinds that may not be listed": (Reply(OURS, 1, FORBIDDEN), KINDS),
    "a server that is away": (failure("Unable to connect to the server: EOF"), KINDS),
    "a server that refuses": (failure("Error from server (TooManyRequests): try again"), KINDS),
    "kinds that are not known": (OURS, failure("The connection to the server 10.0.0.1 was refused")),
    "some kinds that are not known": (
        OURS,
        Reply(KINDS, 1, "error: unable to retrieve the complete list of server APIs: backup.test/v1: EOF\n"),
    ),
}


@pytest.mark.parametrize("case", UNSEEN)
def test_what_cannot_be_seen_is_one(case: str, shell: Shell) -> None:
    found, kinds = UNSEEN[case]
    (one,) = inhabitants(shell, found, kinds)
    assert one.startswith("unknown/")


@pytest.mark.parametrize(
    "warning",
    [
        "Warning: v1 ComponentStatus is deprecated in v1.19+",
        "No resources found in shop namespace.",
        "E1 memcache.go:287] couldn't get resource list for metrics.k8s.io/v1beta1: not now",
    ],
)
def test_a_warning_is_none(warning: str, shell: Shell) -> None:
    assert inhabitants(shell, Reply(OURS, 0, f"{warning}\n")) == []


def prepared(shell: Shell, labels: str, found: str = "") -> Done:
    shell.stub(
        "kubectl",
        {
            "get namespace": labels,
            "api-resources": KINDS,
            "apply -f": "",
            "get": found,
        },
    )
    return shell.run("read_namespace; prepare_namespace", "namespace")


@pytest.mark.parametrize(
    ("labels", "change"), [("", "apply -f"), ("/ Active", "apply -f"), ("shop/dev Active", "")]
)
def test_a_namespace_is_made_adopted_or_left(labels: str, change: str, shell: Shell) -> None:
    done = prepared(shell, labels)
    assert done.status == 0, done
    changes = [call for call in shell.calls("kubectl") if not call.startswith(("get", "api-resources"))]
    assert [call[: len(change)] for call in changes] == ([change] if change else [])
    if change:
        metadata = json.loads((shell.work / "namespace.json").read_text())["metadata"]
        assert metadata["name"] == "shop"
        assert metadata["labels"]["deploy/project"] == "shop"
        assert metadata["labels"]["deploy/environment"] == "dev"
        for mode in ("enforce", "warn", "audit"):
            assert metadata["labels"][f"pod-security.kubernetes.io/{mode}"] == "restricted"


@pytest.mark.parametrize(
    ("labels", "found", "why"),
    [
        ("/ Active", "Secret/token   /\n", "is not empty and not ours, it holds Secret/token"),
        ("shop/prod Active", "", "is shop in «prod», not in «dev»"),
        ("other/dev Active", "", "belongs to the project «other»"),
        ("shop/dev Terminating", "", "is being deleted"),
    ],
)
def test_a_namespace_of_others_is_refused(labels: str, found: str, why: str, shell: Shell) -> None:
    done = prepared(shell, labels, found)
    assert done.status == 3
    assert why in done.stderr
    assert shell.calls("kubectl", "apply") == []


def test_who_follows_the_advice_changes_the_cluster_that_was_meant(shell: Shell) -> None:
    """The current context may be another by then."""
    done = prepared(shell, "/ Active", "Secret/token   /\n")
    assert "kubectl --context testing label namespace shop deploy/project=shop" in done.stderr


def test_metrics_that_are_away_hide_nobody_else(shell: Shell) -> None:
    """kubectl names all groups that it cannot see in one line."""
    error = "error: unable to retrieve the complete list of server APIs: "
    error += "backup.test/v1: EOF, metrics.k8s.io/v1beta1: not now\n"
    (one,) = inhabitants(shell, OURS, Reply(KINDS, 1, error))
    assert one.startswith("unknown/")
