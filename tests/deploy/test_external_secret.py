"""The Secret from a store: what is awaited, and what is said of a store that gives nothing."""

import re

import pytest

from tests.deploy.shell import Done, Reply, Shell, failure

FILES = ["charts", "record", "lock", "forward", "candidate", "secrets", "external_secret", "release"]
KIND = "externalsecrets.external-secrets.io"
APPLY = "apply -f"
OLD, NEW = "2-old", "2-new"
WARNING = "error processing spec.data[0] (key: shop), err: Secret does not exist"
VARIABLES = {
    "secret_mode": "externalSecret",
    "secret_name": "shop-redis-auth",
    "redis_mode": "external",
    "lock_identity": "me",
}


def status(generation: int, synced: str, ready: str = "", message: str = "") -> str:
    return f"{generation}|{synced}|{ready}|{message}" if ready else f"{generation}|{synced}"


def synced(
    shell: Shell, call: str, replies: list[str | Reply], applied: str = "configured", seconds: int = 0
) -> Done:
    """Run a step while the operator's status is one of these after the other."""
    shell.no_sleep()
    shell.stub(
        "kubectl",
        {
            "get lease": "1 me now",
            APPLY: f"externalsecret.external-secrets.io/x {applied}\n",
            f"annotate {KIND}": OLD,
            f"get {KIND}": replies,
            "get events": f"an earlier one\n{WARNING}\n",
            f"delete {KIND}": "",
        },
    )
    rendered = 'render_candidate() { echo "$@" >>"$work/rendered"; }; changing=""'
    environment = f"export DEPLOY_EXTERNAL_SECRET_SECONDS={seconds}"
    return shell.run(f"{environment}; {rendered}; {call}", *FILES, **VARIABLES)


def test_the_step_secrets_touches_the_candidates_alone(shell: Shell) -> None:
    done = synced(shell, "prepare_secrets", [status(2, NEW, "True", "secret synced")])
    assert done.status == 0, done
    assert (shell.work / "rendered").read_text() == "externalsecret --set candidate.enabled=true\n"
    asked = shell.calls("kubectl", KIND)
    assert asked
    assert all(f"{KIND} shop-candidate" in call for call in asked)
    assert shell.calls("kubectl", "secret shop-redis-auth") == []


def test_before_redis_the_real_one_is_applied(shell: Shell) -> None:
    done = synced(shell, "deploy_redis", [status(2, NEW, "True", "secret synced")])
    assert done.status == 0, done
    assert (shell.work / "rendered").read_text() == "externalsecret\n"
    asked = shell.calls("kubectl", KIND)
    assert all(f"{KIND} shop-redis-auth" in call for call in asked)
    order = [call.split()[0] for call in shell.calls("kubectl")]
    assert order == ["get", "apply", "annotate", "get"]


@pytest.mark.parametrize("mode", ["generated", "existing"])
def test_no_other_mode_asks_for_the_kind(mode: str, shell: Shell) -> None:
    shell.stub("kubectl", {})
    done = shell.run("deploy_redis", *FILES, **(VARIABLES | {"secret_mode": mode}))
    assert done.status == 0, done


@pytest.mark.parametrize(
    "early",
    [
        status(2, ""),
        status(2, OLD, "True", "secret synced"),
        status(3, "2-newer", "True", "secret synced"),
        status(2, NEW, "False", "could not get secret data from provider"),
    ],
    ids=["nothing yet", "not read since", "of the generation before", "in vain at first"],
)
def test_what_is_true_of_before_is_not_enough(early: str, shell: Shell) -> None:
    replies: list[str | Reply] = [early, early, status(3, "3-newest", "True", "secret synced")]
    done = synced(shell, "prepare_secrets", replies, seconds=20)
    assert done.status == 0, done
    assert len(shell.calls("kubectl", f"get {KIND}")) == 3


def test_each_deploy_has_the_store_read_anew(shell: Shell) -> None:
    """Else an unchanged one would hold a value, or miss a Secret, until its refresh interval is over."""
    synced(shell, "prepare_secrets", [status(2, NEW, "True", "secret synced")])
    (call,) = shell.calls("kubectl", "annotate")
    assert re.search(r"--overwrite deploy/asked=\d{10,} ", call)


@pytest.mark.parametrize("call", ["prepare_secrets", "deploy_redis"])
def test_a_store_that_gives_nothing_is_told_with_its_reason(call: str, shell: Shell) -> None:
    refused = status(2, OLD, "False", "could not get secret data from provider")
    done = synced(shell, call, [refused])
    assert done.status == 3
    assert "the store gives no secret shop-redis-auth after 0 s" in done.stderr
    assert f"could not get secret data from provider; its last warning: {WARNING}" in done.stderr
    assert "what runs was not changed" in done.stderr


@pytest.mark.parametrize(("applied", "removed"), [("created", 1), ("configured", 0), ("unchanged", 0)])
def test_what_was_made_in_vain_is_removed(applied: str, removed: int, shell: Shell) -> None:
    refused = status(1, "", "False", "could not get secret data from provider")
    done = synced(shell, "deploy_redis", [refused], applied)
    assert done.status == 3
    assert len(shell.calls("kubectl", f"delete {KIND} shop-redis-auth --wait=false")) == removed


@pytest.mark.parametrize("left", [status(1, ""), status(2, OLD, "True", "secret synced")])
def test_an_operator_that_does_not_run_is_named(left: str, shell: Shell) -> None:
    done = synced(shell, "prepare_secrets", [left])
    assert done.status == 3
    assert "External Secrets Operator did not read it (does it run?)" in done.stderr
    assert "secret synced" not in done.stderr


def test_nothing_is_applied_without_the_lock(shell: Shell) -> None:
    shell.stub("kubectl", {"get lease": "1 another now"})
    done = shell.run("render_candidate() { :; }; deploy_redis", *FILES, **VARIABLES)
    assert done.status == 5
    assert shell.calls("kubectl", APPLY) == []


@pytest.mark.parametrize(("made", "removed"), [("yes", 1), ("", 0)])
def test_the_candidates_goes_however_the_deploy_ends(made: str, removed: int, shell: Shell) -> None:
    shell.stub("kubectl", {"delete": failure("Unable to connect to the server"), "get lease": "5 me then"})
    variables = {"candidate_secret_made": made, "lock_identity": "me"}
    done = shell.run("leave_no_candidate; echo gone", *FILES, **variables)
    assert done.stdout == "gone\n"
    assert len(shell.calls("kubectl", f"delete {KIND} shop-candidate --wait=false")) == removed


POD = "---\nkind: Deployment\nspec:\n  template:\n    image: one\n"
POD += "---\nkind: ExternalSecret\nspec:\n  key: {}\n"


@pytest.mark.parametrize(
    ("before", "wanted"),
    [(POD.format("a"), "no"), (POD.format("b"), "yes"), (POD.partition("---\nkind: Ext")[0], "yes")],
    ids=["the same", "another place", "none"],
)
def test_another_password_is_tested_on_a_candidate(before: str, wanted: str, shell: Shell) -> None:
    """The pods' template does not tell where their Secret comes from."""
    shell.stub("kubectl", {"get secrets": "4 d deployed\n", "get configmap": "4/d"})
    shell.stub("helm", {"get manifest shop --revision 4": before})
    (shell.work / "shop.yaml").write_text(POD.format("a"))
    assert shell.says("candidate_is_wanted && echo yes || echo no", *FILES) == wanted
