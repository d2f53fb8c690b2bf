"""One deploy at a time: the lease, its renewal, and what follows when it is lost."""

import json
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.deploy.shell import Done, Reply, Shell, failure
from tests.processes import children, runs
from tests.service import eventually

FILES = ["record", "lock", "forward", "candidate"]
# What changes the cluster.
CHANGES = [*FILES, "charts", "namespace", "secrets", "external_secret", "replicas", "release", "watch"]
CHANGES += ["evidence", "rollback", "uninstall"]
# A lease that others hold, as read_lease asks for it.
OTHERS = "7 another@host-1-2 2026-01-01T00:00:00Z"
EXISTS = failure('Error from server (AlreadyExists): leases "shop-deploy" already exists')
CONFLICT = failure("Error from server (Conflict): the object has been modified")
AWAY = failure("Unable to connect to the server: EOF")
Replies = str | Reply | Sequence[str | Reply]


def lease(shell: Shell, get: Replies = "", create: Replies = "1", replace: Replies = "2") -> None:
    shell.no_sleep()
    shell.stub("kubectl", {"create": create, "replace": replace, "delete": "", "get lease": get})


def awaited(shell: Shell, call: str = "acquire_lock", **more: object) -> Done:
    """A lock that expires after three looks."""
    call = f'{call}; echo "$lock_version"; release_lock'
    return shell.run(call, *FILES, **{"lock_seconds": 3, "patience": 2, **more})


def test_the_document_is_a_lease(shell: Shell) -> None:
    text = shell.says(
        "lease_document", "lock", lock_identity="me@host-1-2", lock_version="42", lock_acquired="then"
    )
    document = json.loads(text)
    assert document["kind"] == "Lease"
    assert document["metadata"] == {"name": "shop-deploy", "resourceVersion": "42"}
    spec = document["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["acquireTime"]) == (
        "me@host-1-2",
        30,
        "then",
    )
    time.strptime(spec["renewTime"], "%Y-%m-%dT%H:%M:%S.000000Z")


def test_a_free_lock_is_taken(shell: Shell) -> None:
    lease(shell, create="41")
    assert awaited(shell).stdout == "41\n"
    assert json.loads((shell.work / "new-lease").read_text())["metadata"]["resourceVersion"] == ""


def test_each_deploy_has_a_lease_of_its_own(shell: Shell) -> None:
    """A later process may get the number of an earlier one, whose lease is still there."""
    lease(shell, create="41")
    thrice = 'for i in 1 2 3; do acquire_lock; echo "$lock_identity"; release_lock; done'
    # Two may be the same by chance.
    assert len(set(shell.says(thrice, *FILES).split())) > 1


def test_a_lock_that_is_renewed_is_not_taken(shell: Shell) -> None:
    """Not even when it is renewed late."""
    lease(shell, [f"{look // 2}{OTHERS[1:]}" for look in range(14, 24)], EXISTS)
    done = awaited(shell)
    assert done.status == 5
    assert "another deploy holds the lock: another@host-1-2, since 2026-01-01T00:00:00Z" in done.stderr
    assert shell.calls("kubectl", "replace") == []


def test_a_lock_that_nobody_renews_is_taken_over(shell: Shell) -> None:
    lease(shell, OTHERS, EXISTS, "8")
    done = awaited(shell)
    assert done.stdout == "8\n", done
    assert "took over the lock that another@host-1-2 no longer renews" in done.stderr
    assert json.loads(shell.stdin("kubectl").splitlines()[-1])["metadata"]["resourceVersion"] == "7"
    # Once when it was met, then once a second for as long as it is valid.
    looks = shell.calls("kubectl")[: shell.calls("kubectl").index(shell.calls("kubectl", "replace")[0])]
    assert len([call for call in looks if "get lease" in call]) >= 4


def test_somebody_else_who_is_faster_wins(shell: Shell) -> None:
    lease(shell, OTHERS, EXISTS, CONFLICT)
    assert awaited(shell).status == 5


def test_a_lock_that_is_given_back_meanwhile_is_taken(shell: Shell) -> None:
    lease(shell, [OTHERS, OTHERS, ""], [EXISTS, "9"])
    assert awaited(shell).stdout == "9\n"


@pytest.mark.parametrize("create", [[AWAY, EXISTS], [EXISTS]], ids=["asked again", "at once"])
def test_a_lock_whose_reply_was_lost_is_ours(create: list[Reply], shell: Shell) -> None:
    lease(shell, create=create)
    text = (shell.bin / "kubectl").read_text()
    # The server knows whom it gave it to: the holder of what was sent.
    sent = f"{shell.work}/new-lease"
    holder = f"sed -n 's/.*holderIdentity\":\"\\([^\"]*\\).*/5 \\1 then/p' '{sent}' | tail -n 1"
    shell.script(
        "kubectl",
        text.replace('case "$*" in\n', f'case "$*" in *"get lease"*) {holder}; exit ;; esac\ncase "$*" in\n'),
    )
    assert awaited(shell).stdout == "5\n"


def test_a_takeover_whose_reply_was_lost_is_ours(shell: Shell) -> None:
    lease(shell, [*[OTHERS] * 5, "8 me then"], replace=AWAY)
    assert awaited(shell, "await_lease", lock_identity="me").stdout == "8\n"


@pytest.mark.parametrize(("get", "ours"), [("5 me then", "yes"), (OTHERS, "no")])
def test_a_lease_that_exists_is_ours_or_not(get: str, ours: str, shell: Shell) -> None:
    lease(shell, get, EXISTS)
    assert shell.says("create_lease && echo yes || echo no", "lock", lock_identity="me") == ours


def test_an_api_server_that_stays_away_ends_the_deploy(shell: Shell) -> None:
    lease(shell, create=AWAY)
    done = awaited(shell)
    assert done.status == 3
    assert "does not answer: Unable to connect to the server: EOF" in done.stderr
    assert len(shell.calls("kubectl", "create")) > 1


MINE = "5 me then"


@pytest.mark.parametrize(
    ("get", "create", "status"),
    [(MINE, "", 0), (OTHERS, "", 5), ("", "6", 0), (["", OTHERS], EXISTS, 5)],
    ids=["ours", "another's", "deleted by hand", "deleted, and another was faster"],
)
def test_a_check_fails_unless_the_lock_is_ours(
    get: Replies, create: Replies, status: int, shell: Shell
) -> None:
    lease(shell, get, create)
    done = shell.run("check_lock; echo on", *FILES, lock_identity="me")
    assert done.status == status, done
    assert (done.stdout == "on\n") == (status == 0)


@pytest.mark.parametrize(
    "change",
    [
        "test_candidate",
        "prepare_secrets",
        "sync_external_secret shop-redis-auth",
        "apply_release shop chart",
        "mark_verified shop 4",
        "restore_release shop-redis 3",
        "uninstall_releases",
        "delete_data",
    ],
)
def test_no_change_is_made_under_a_lock_of_others(change: str, shell: Shell) -> None:
    """Each of them looks first: the stubs know no answer to anything that changes."""
    releases = {"get secrets": "3 c superseded\n4 d deployed\n", "get configmap": "", "get secret ": ""}
    left = {"get pod": "pod/shop-candidate"}
    shell.stub("kubectl", {"get lease": OTHERS, **releases, **left, "diff": ""})
    shell.stub("helm", {"get": "kind: Deployment\n"})
    (shell.work / "shop.yaml").touch()
    done = shell.run(
        f"render_service() {{ :; }}; {change}",
        *CHANGES,
        lock_identity="me",
        redis_release="shop-redis",
        secret_mode="generated",  # noqa: S106 - no secret
        secret_name="shop-redis-auth",  # noqa: S106 - its name
        asked_digest="",
    )
    assert done.status == 5, done
    assert "this deploy lost its lock to another@host-1-2" in done.stderr
    asked = [*shell.calls("kubectl"), *shell.calls("helm")]
    assert {call.split()[0] for call in asked} <= {"get", "diff"}


def test_a_lease_that_cannot_be_made_again_in_the_middle_is_no_refusal(shell: Shell) -> None:
    lease(shell, "", failure("Error from server (Forbidden): leases is forbidden"))
    done = shell.run("check_lock", *FILES, lock_identity="me", changing="shop", current_step="watch")
    assert done.status == 10
    assert "the new version may be rolling out" in done.stderr


def test_a_lost_lock_stays_lost(shell: Shell) -> None:
    (shell.work / "lock-lost").write_text("another@host-1-2\n")
    done = shell.run("check_lock; echo on", *FILES, lock_identity="me", changing="shop", current_step="watch")
    assert (done.status, done.stdout) == (5, "")
    assert (
        "stopped: this deploy lost its lock to another@host-1-2\n       the new version may be" in done.stderr
    )


@pytest.mark.parametrize(("get", "deletes"), [(MINE, 1), (OTHERS, 0), ("", 0)])
def test_only_our_own_lease_is_deleted(get: str, deletes: int, shell: Shell) -> None:
    lease(shell, get)
    shell.says("exec 9> >(cat); renewer=$!; release_lock", *FILES, lock_identity="me")
    assert len(shell.calls("kubectl", "delete --raw")) == deletes
    if deletes:
        assert json.loads((shell.work / "options").read_text())["preconditions"] == {"resourceVersion": "5"}


def test_a_lease_whose_renewer_was_not_started_yet_is_deleted(shell: Shell) -> None:
    """A signal may come when the server has given it, and before its reply."""
    lease(shell, MINE)
    shell.says("release_lock; release_lock", *FILES, lock_identity="me")
    assert len(shell.calls("kubectl", "delete --raw")) == 1
    assert len(shell.calls("kubectl", "get lease")) == 1


def test_a_signal_while_the_lease_is_made_leaves_none(shell: Shell) -> None:
    """The next deploy would wait for nobody, for as long as a lease is valid."""
    lease(shell, EXISTS)
    shell.real("sleep")
    text = (shell.bin / "kubectl").read_text()
    holder = f"sed -n 's/.*holderIdentity\":\"\\([^\"]*\\).*/5 \\1 then/p' '{shell.work}/new-lease'"
    interrupt = 'kill -TERM "$PPID"; exec sleep 60'
    cases = f'case "$*" in *"get lease"*) {holder}; exit ;; create*) {interrupt} ;; esac\n'
    shell.script("kubectl", text.replace('case "$*" in\n', f'{cases}case "$*" in\n', 1))
    done = shell.run(f"set_traps; work={shell.work}; acquire_lock", *FILES, "image")
    assert done.status == 143, done
    assert len(shell.calls("kubectl", "delete --raw")) == 1


def test_who_took_no_lock_asks_for_none(shell: Shell) -> None:
    assert shell.run("set_traps; exit 0", *FILES, action="status").status == 0
    assert shell.calls("kubectl") == []


def renewing(shell: Shell, then: str, **more: object) -> subprocess.Popen[str]:
    """A deploy with a lock that is renewed each second; it says its renewer's process, then does this."""
    call = f'set_traps; work={shell.work}; exec 9> >(renew_lease); renewer=$!; echo "$renewer"; {then}'
    variables = {"lock_identity": "me", "renew_seconds": 1, "lock_seconds": 2, **more}
    return subprocess.Popen(
        shell.command(call, *FILES, **variables),
        env=shell.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are looked up in /proc")
def test_a_lease_is_not_renewed_when_its_deploy_was_killed(shell: Shell) -> None:
    """Also while what it had started goes on."""
    lease(shell, MINE)
    shell.real("sleep")
    with renewing(shell, "run sleep 60") as deploy:
        assert deploy.stdout is not None
        renewer = int(deploy.stdout.readline())
        assert runs(renewer)
        tool = children(deploy.pid)[-1]
        deploy.kill()
        deploy.wait()
        eventually(lambda: not runs(renewer), "the renewer ends")
        if tool != renewer:
            subprocess.run(["kill", str(tool)], check=False)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are looked up in /proc")
def test_a_lease_is_not_renewed_when_something_else_holds_its_pipe(shell: Shell) -> None:
    """As a program that the deploy started, and that outlives it, may do."""
    lease(shell, MINE)
    shell.real("sleep")
    with renewing(shell, 'sleep 60 >/dev/null 2>&1 & echo "$!"; run sleep 60 >/dev/null 2>&1') as deploy:
        assert deploy.stdout is not None
        renewer, holder = int(deploy.stdout.readline()), int(deploy.stdout.readline())
        eventually(lambda: len(children(deploy.pid)) == 3, "its command runs")
        started = set(children(deploy.pid)) - {renewer}
        deploy.kill()
        deploy.wait()
        try:
            assert runs(holder)
            eventually(lambda: not runs(renewer), "the renewer ends")
        finally:
            subprocess.run(["kill", *map(str, started)], check=False)


@pytest.mark.parametrize(
    ("get", "whom"),
    [
        (OTHERS, "another@host-1-2"),
        ("", "nobody: the lease was deleted"),
    ],
    ids=["taken", "deleted"],
)
def test_a_lost_lock_stops_what_is_under_way(get: Replies, whom: str, shell: Shell) -> None:
    lease(shell, get, replace=CONFLICT)
    shell.real("sleep")
    with renewing(shell, "run sleep 60") as deploy:
        _, stderr = deploy.communicate(timeout=30)
    assert deploy.returncode == 5
    assert f"this deploy lost its lock to {whom}\n" in stderr


def test_a_lock_that_cannot_be_renewed_is_not_given_up(shell: Shell) -> None:
    """Nobody may have taken it; the next change asks."""
    lease(shell, AWAY, replace=AWAY)
    shell.real("sleep")
    with renewing(shell, "run sleep 60") as deploy:
        eventually(
            lambda: len(shell.calls("kubectl", "replace")) >= 4, "it tries for longer than it is valid"
        )
        assert deploy.poll() is None
        deploy.send_signal(signal.SIGTERM)
        _, stderr = deploy.communicate(timeout=30)
    assert deploy.returncode == 143
    assert "lost its lock" not in stderr


def test_a_lock_that_is_renewed_is_kept(shell: Shell) -> None:
    """One write fails, and its reply was lost: the next goes on from what the server has."""
    lease(shell, "5 me then", replace=[CONFLICT, "6", "7"])
    shell.real("sleep")
    with renewing(shell, "wait $!") as deploy:
        eventually(lambda: len(shell.calls("kubectl", "replace")) >= 3, "three renewals")
        deploy.send_signal(signal.SIGTERM)
        _, stderr = deploy.communicate(timeout=30)
    assert "lost its lock" not in stderr
    versions = [
        json.loads(line)["metadata"]["resourceVersion"] for line in shell.stdin("kubectl").splitlines()[:3]
    ]
    assert versions == ["", "5", "6"]
