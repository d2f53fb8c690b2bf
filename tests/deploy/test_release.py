"""How a release is applied: once, under the lock, and told apart from what somebody else did."""

import pytest

from tests.deploy.rollouts import deployment, pod, replica_sets
from tests.deploy.shell import Done, Reply, Shell, failure

FILES = ["charts", "record", "lock", "replicas", "release"]
# What would be done with a failure is tested with rollback.sh.
FAILED = 'release_failed() { echo "failed $*"; exit 42; }'
AWAY = failure('Error: UPGRADE FAILED: Get "https://10.0.0.1:6443": dial tcp: connection refused')
WEBHOOK = failure('Error: failed calling webhook "policy.test": dial tcp: connect: connection refused')
APPLIED = 'Release "shop" has been upgraded.\nREVISION: 5\nSTATUS: deployed\n'
DIFFERS = failure("", 1)
BEFORE = "kind: Deployment\n"
MINE, OTHERS = "5 me then", "7 another@host-1-2 then"


def applied(
    shell: Shell,
    upgrade: str | Reply | list[str | Reply],
    history: str | list[str | Reply] = "4 d deployed\n",
    lease: str | list[str | Reply] = MINE,
    diff: str | Reply = DIFFERS,
    rendered: str = "kind: Deployment\n# new\n",
    before: str = "",
) -> Done:
    shell.no_sleep()
    shell.stub(
        "kubectl",
        {
            "get secrets": history,
            "get configmap": "4/d",
            "get lease": lease,
            "diff": diff,
            "get --raw /version": "{}",
        },
    )
    shell.stub("helm", {"upgrade": upgrade, "get manifest": BEFORE, "rollback": "", "uninstall": ""})
    (shell.work / "shop.yaml").write_text(rendered)
    variables = {
        "lock_identity": "me",
        "redis_release": "shop-redis",
        "asked_digest": "sha256:0123456789abcdef",
    }
    told = 'echo "${applied[shop]-none} ${changes[*]-}${copies[shop]+ copies ${copies[shop]}}"'
    call = f"{FAILED}\n{before}\napply_release shop chart --set a=b; {told}"
    return shell.run(call, *FILES, **variables)


def test_the_revision_that_was_applied_is_known(shell: Shell) -> None:
    done = applied(shell, APPLIED)
    assert done.stdout == "5 shop\n", done
    (call,) = shell.calls("helm", "upgrade")
    assert call.startswith("upgrade --install shop chart --history-max 10 --description :")
    assert call.endswith(" 0123456789ab by me --set a=b")


def test_the_revision_is_remembered_for_how_it_ends(shell: Shell) -> None:
    done = applied(shell, APPLIED, before="trap 'echo made$made_revisions' EXIT")
    assert done.stdout.splitlines()[-1] == "made 5 5", done


def test_nothing_is_applied_when_nothing_would_change(shell: Shell) -> None:
    done = applied(shell, APPLIED, diff="", rendered=BEFORE)
    assert done.stdout == "none \n", done
    assert shell.calls("helm", "upgrade") == []


def test_what_was_changed_by_hand_is_applied_again(shell: Shell) -> None:
    """Going back from it means going back from what it copies."""
    done = applied(shell, APPLIED, diff=DIFFERS, rendered=BEFORE)
    assert done.stdout == "5 shop copies 4\n", done


def test_helm_compares_with_the_newest_where_it_calls_none_deployed(shell: Shell) -> None:
    """After a rollback that it failed itself."""
    keep = 'keep_replicas() { echo "keep $3"; }'
    done = applied(shell, APPLIED, history="4 d superseded\n5 e failed\n", before=keep)
    assert done.stdout.splitlines()[0] == "keep 5", done


def test_helm_compares_with_what_it_calls_deployed(shell: Shell) -> None:
    keep = 'keep_replicas() { echo "keep $3"; }'
    done = applied(shell, APPLIED, history="4 d deployed\n5 e failed\n", before=keep)
    assert done.stdout.startswith("keep 4\n"), done


def test_what_cannot_be_changed_is_refused_before_helm_tries(shell: Shell) -> None:
    done = applied(shell, APPLIED, diff=failure("spec.clusterIP: field is immutable", 2))
    assert (done.status, done.stdout) == (6, "")
    assert shell.calls("helm", "upgrade") == []


def test_an_api_server_that_was_away_is_asked_again(shell: Shell) -> None:
    assert applied(shell, [AWAY, APPLIED]).stdout == "5 shop\n"


def test_it_is_asked_three_times_and_no_more(shell: Shell) -> None:
    """Each try may leave a failed revision, and Helm keeps ten. Nobody's values are wrong."""
    done = applied(shell, AWAY)
    assert done.status == 3
    assert "what runs in the cluster was not changed" in done.stderr
    assert "correct the values" not in done.stderr
    assert len(shell.calls("helm", "upgrade")) == 3


NO_RIGHT = failure('Error: deployments.apps "shop" is forbidden: User "me" cannot patch resource')


@pytest.mark.parametrize(
    ("error", "status", "advice"),
    [
        (failure("Error: timeoutSeconds: invalid"), 6, "correct the values"),
        (failure("Error: oneOf failed"), 6, "correct the values"),
        (failure('Error: pods "shop" is forbidden: violates PodSecurity'), 6, "correct the values"),
        (failure('Error: admission webhook "policy.test" denied the request'), 6, "correct the values"),
        (WEBHOOK, 3, "mend that"),
        (NO_RIGHT, 3, "mend that"),
    ],
)
def test_a_refusal_is_not_asked_again(error: Reply, status: int, advice: str, shell: Shell) -> None:
    """Nobody's values are wrong where a right is missing, or a webhook is away."""
    done = applied(shell, error)
    assert done.status == status
    assert advice in done.stderr
    assert len(shell.calls("helm", "upgrade")) == 1


@pytest.mark.parametrize("error", [WEBHOOK, NO_RIGHT])
def test_what_was_no_fault_of_the_values_is_none_half_way_either(error: Reply, shell: Shell) -> None:
    done = applied(shell, error, history=["4 d deployed\n", "4 d deployed\n5 e failed\n"])
    assert done.stdout.startswith("failed shop 3 ")


def test_between_two_tries_the_lock_must_still_be_ours(shell: Shell) -> None:
    done = applied(shell, [AWAY, APPLIED], lease=[MINE, OTHERS])
    assert done.status == 5
    assert len(shell.calls("helm", "upgrade")) == 1


def test_a_failure_that_left_a_revision_is_rolled_back(shell: Shell) -> None:
    done = applied(shell, failure("Error: quota"), history=["4 d deployed\n", "4 d deployed\n5 e failed\n"])
    assert (done.status, done.stdout) == (42, "failed shop 6 helm could not apply shop: Error: quota\n")


PENDING = "4 d deployed\n5 e pending-upgrade\n"


@pytest.mark.parametrize(
    ("history", "what"),
    [(PENDING, "roll back shop 4"), ("1 a pending-install\n", "uninstall shop"), ("4 d failed\n", "")],
)
def test_a_release_left_in_the_middle_is_recovered(history: str, what: str, shell: Shell) -> None:
    shell.stub("kubectl", {"get secrets": history, "get configmap": "4/d"})
    call = "roll_back() { echo roll back $*; }; uninstall_release() { echo uninstall $*; }"
    call += "; read_revisions shop; recover_pending shop"
    assert shell.says(call, *FILES) == what


@pytest.mark.parametrize(("applied", "asked"), [("", 10), ("5", 1000)], ids=["unchanged", "changed"])
def test_what_serves_already_is_asked_less(applied: str, asked: int, shell: Shell) -> None:
    shell.stub(
        "kubectl", {"get secrets": "4 d deployed", "get configmap": "", "get lease": MINE, "patch": ""}
    )
    call = f"applied[shop]={applied}; watch_service() {{ :; }}; smoke_test() {{ echo $most_answers; }}"
    variables = {
        "lock_identity": "me",
        "content": "",
        "asked_digest": "sha256:ab",
        "most_answers": 1000,
        "restarted_pod": "",
    }
    assert shell.says(f"read_revisions shop; {call}; smoke_service", *FILES, **variables) == str(asked)


def test_what_is_recorded_already_is_not_written_again(shell: Shell) -> None:
    shell.stub("kubectl", {"get secrets": "4 d deployed", "get configmap": "4/d"})
    call = "read_revisions shop; read_revisions shop-redis; smoke_test() { :; }; smoke_service"
    shell.says(
        call,
        *FILES,
        redis_mode="bundled",
        redis_release="shop-redis",
        content="built",
        asked_digest="sha256:ab",
        known_content="built sha256:ab",
    )
    assert shell.calls("kubectl", "patch") == []


@pytest.mark.parametrize(("now", "written"), [("built", 1), ("edited meanwhile", 0)])
def test_the_content_is_recorded_only_as_it_was_built(now: str, written: int, shell: Shell) -> None:
    """An edit during the rollout was not deployed."""
    shell.stub(
        "kubectl", {"get secrets": "4 d deployed", "get configmap": "", "get lease": MINE, "patch": ""}
    )
    call = (
        f'read_revisions shop; smoke_test() {{ :; }}; content_checksum() {{ echo "{now}"; }}; smoke_service'
    )
    variables = {"lock_identity": "me", "content": "built", "asked_digest": "sha256:ab", "known_content": ""}
    shell.says(call, *FILES, **variables)
    assert len(shell.calls("kubectl", '"content":"built sha256:ab"')) == written
    assert len(shell.calls("kubectl", '"service":"4/d"')) == 1


def test_a_pod_that_was_restarted_long_ago_is_not_this_deploys(shell: Shell) -> None:
    """The Ingress alone changes: these pods ran before, and go on."""
    lines = deployment() + replica_sets(new="2") + pod("shop-new-1", "new", restarts=1)
    shell.no_sleep()
    shell.stub("kubectl", {"logs": "", "get deployment,": lines})
    call = """
    apply_release() { applied[shop]=5; }
    smoke_test() { :; }
    mark_verified() { :; }
    release_failed() { echo "$*"; exit 42; }
    deploy_service; watch_service; smoke_service
    """
    done = shell.run(
        call, "charts", "record", "release", "watch", "trouble", asked_digest="sha256:ab", content=""
    )
    assert done.status == 0, done.stdout


def test_helm_refusing_because_somebody_elses_is_under_way_undoes_nothing(shell: Shell) -> None:
    busy = failure("Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress")
    done = applied(shell, busy, history=["4 d deployed\n", "4 d deployed\n5 e pending-upgrade\n"])
    assert "failed" not in done.stdout, "release_failed rolls back what they are doing"


def test_an_end_after_a_recovery_is_not_called_unchanged(shell: Shell) -> None:
    refused = failure("error: the server has refused")
    shell.stub(
        "kubectl",
        {"get secrets": ["3 c deployed\n4 d pending-upgrade\n", refused], "get configmap": "3/c"},
    )
    call = "roll_back() { :; }; read_revisions shop; recover_pending shop"
    assert shell.run(call, *FILES).status == 10


def test_pods_of_an_install_that_failed_half_way_are_not_uninstalled(shell: Shell) -> None:
    """They may serve: only a first installation that is pending served nobody."""
    shell.stub("kubectl", {"get secrets": "1 a failed\n2 b pending-upgrade\n", "get configmap": ""})
    call = "roll_back() { echo roll back $*; }; uninstall_release() { echo uninstall $*; }"
    call += "; read_revisions shop; recover_pending shop"
    assert "uninstall" not in shell.says(call, "charts", "record", "lock", "replicas", "release")


def noted(shell: Shell, replies: list[str | Reply]) -> Done:
    shell.no_sleep()
    shell.stub("kubectl", {"get deployment,": replies})
    return shell.run('note_room; echo "«$pods_before»"', "release", "watch", "trouble", patience=2)


def test_one_request_that_was_lost_does_not_hide_which_pods_ran_before(shell: Shell) -> None:
    """An old restart of theirs would be blamed on the version."""
    lines = deployment() + replica_sets(new="2") + pod("shop-new-1", "new", restarts=1)
    assert noted(shell, [failure("Unable to connect to the server: EOF"), lines]).stdout == "«new»\n"


def test_only_a_first_installation_has_no_pods_before(shell: Shell) -> None:
    assert noted(shell, [""]).stdout == "«»\n"
    assert noted(shell, [failure("Error from server (Forbidden): pods is forbidden")]).status == 3


def test_a_recovery_is_a_change_although_helm_then_refuses(shell: Shell) -> None:
    recovered = "4 d superseded\n5 e failed\n6 f deployed\n"
    before = "roll_back() { :; }; trap 'echo \"${changes[*]-}, made$made_revisions\"' EXIT"
    done = applied(
        shell, failure("Error: oneOf failed"), history=[PENDING, recovered, recovered], before=before
    )
    assert (done.status, done.stdout) == (6, "shop, made 6\n")
    assert "not changed, but for shop; correct the values" in done.stderr


def test_room_that_was_missing_before_the_change_stays_known(shell: Shell) -> None:
    """At the moment of a way back nobody may be waiting for a node."""
    shell.stub("kubectl", {"get deployment,": deployment() + replica_sets(new="2")})
    call = 'room_before=2; note_room; echo "$room_before"'
    assert shell.says(call, "release", "watch", "trouble") == "2"


@pytest.mark.parametrize(("available", "room"), [(2, "2"), (3, ""), (0, "")])
def test_room_is_missing_where_pods_are(available: int, room: str, shell: Shell) -> None:
    """A version that asks for too much finds no node either, beside all that serve."""
    lines = deployment(updated=1, available=available) + replica_sets(new="2")
    waits = pod("shop-new-1", "new", unschedulable="0/3 nodes")
    shell.stub("kubectl", {"get pod ": "uid", "get events": "", "get deployment,": lines + waits})
    assert shell.says('note_room; echo "$room_before"', "release", "watch", "trouble") == room
