"""What happens when a version failed: the one before is restored, or it is said why not."""

import pytest

from tests.deploy.shell import Done, Reply, Shell, failure

FILES = ["preflight", "charts", "record", "lock", "replicas", "release", "evidence", "rollback"]
VALUES = "image:\n  digest: sha256:{0}\ningress:\n  host: host-{0}.test\n"
# The watch, the smoke test and the evidence are tested elsewhere; here, what they are asked.
PARTS = """await_rollout() { echo "watch $*"; return ${watch_status-0}; }
smoke_test() { echo "smoke $*"; return ${smoke_status-0}; }
save_evidence() { echo "evidence $1"; evidence=saved; }
note_room() { :; }
read_baseline() { :; }
read_installed() { :; }
rollout_fault=stuck smoke_fault=wrong room_before='' entrance_was_good=''
"""


def rolled_back(
    shell: Shell,
    call: str,
    history: str | list[str | Reply],
    entries: str | list[str | Reply],
    paused: object = "false/3",
    described: object = "Upgrade complete",
    manifests: object = None,
    **more: object,
) -> Done:
    shell.stub(
        "kubectl",
        {
            "get deployment shop": str(paused),
            "get secrets": history,
            "get configmap": entries,
            "get lease": "5 me then",
            "patch configmap": "",
        },
    )
    revisions = {f"get values shop --revision {one}": VALUES.format(one) for one in (1, 2, 3)}
    newest = f'[{{"revision":3,"status":"deployed","description":"{described}"}}]\n'
    manifest = "kind: Deployment\n  replicas: 3\n"
    shell.stub(
        "helm",
        {
            **revisions,
            **(manifests if isinstance(manifests, dict) else {}),
            "get manifest": manifest,
            "history": newest,
            "rollback": "",
        },
    )
    variables = {"lock_identity": "me", "redis_release": "shop-redis", "base_url": "new.test", **more}
    return shell.run(f"{PARTS}\n{call}", *FILES, **variables)


FAILED = "1 a superseded\n2 b superseded\n3 c failed\n"


def test_the_version_before_is_restored_and_tested_at_its_own_host(shell: Shell) -> None:
    after = FAILED + "4 d deployed\n"
    done = rolled_back(
        shell,
        "release_failed shop 8 'it failed'",
        [FAILED, after],
        "1/a 2/b",
    )
    assert done.status == 8, done
    assert done.stdout.splitlines() == [
        "evidence shop",
        "watch deployment shop ",
        "smoke host-2.test sha256:2 serving",
    ]
    assert [call.split()[:3] for call in shell.calls("helm", "rollback")] == [["rollback", "shop", "2"]]
    assert shell.calls("kubectl", '"service":"1/a 2/b 4/d/2"'), "the copy is marked, and what it copies"
    assert "revision 2 of shop was restored and verified as revision 4; evidence: saved" in done.stderr


def test_the_revision_that_came_back_is_remembered_for_how_it_ends(shell: Shell) -> None:
    call = "trap 'echo made$made_revisions' EXIT; release_failed shop 8 'it failed'"
    done = rolled_back(shell, call, [FAILED, FAILED + "4 d deployed\n"], "1/a 2/b")
    assert done.stdout.splitlines()[-1] == "made 4", done


def test_without_a_record_the_one_that_served_is_restored(shell: Shell) -> None:
    done = rolled_back(shell, "release_failed shop 9 'it failed'", [FAILED, FAILED + "4 d deployed\n"], "")
    assert done.status == 9
    assert [call.split()[2] for call in shell.calls("helm", "rollback")] == ["2"]
    assert shell.calls("kubectl", "patch") == [], "what was never verified does not become so"
    assert (
        "revision 2 of shop was restored (no record says that it was verified) as revision 4" in done.stderr
    )


NOT_RESTORED = {
    "nothing before": ("1 a failed\n", "", {}, "there is no earlier revision"),
    "the verified one runs": (FAILED, "3/c", {}, "revision 3 of shop, the last verified one, is what runs"),
    "somebody else upgraded": (
        FAILED,
        "1/a",
        {"applied": "2"},
        "somebody else changed shop meanwhile (revision 3)",
    ),
}


@pytest.mark.parametrize("case", NOT_RESTORED)
def test_nothing_is_rolled_back(case: str, shell: Shell) -> None:
    history, entries, variables, why = NOT_RESTORED[case]
    call = (
        "applied[shop]=2; release_failed shop 8 'it failed'"
        if variables
        else "release_failed shop 8 'it failed'"
    )
    done = rolled_back(shell, call, history, entries)
    assert done.status == 10
    assert why in done.stderr
    assert shell.calls("helm", "rollback") == []


@pytest.mark.parametrize(("part", "why"), [("watch_status", "stuck"), ("smoke_status", "wrong")])
@pytest.mark.parametrize("call", ["release_failed shop 8 'it failed'", "rollback_service"])
def test_a_rollback_that_fails_too_ends_with_10(call: str, part: str, why: str, shell: Shell) -> None:
    done = rolled_back(shell, call, FAILED, "1/a 2/b", **{part: 1}, rollback_revision="")
    assert done.status == 10
    assert f"revision 2 could not be restored: {why}" in done.stderr
    assert shell.calls("kubectl", "patch") == [], "it is not marked"


@pytest.mark.parametrize(("target", "status"), [("7", 43), ("", 10)])
def test_redis_that_cannot_be_restored_is_told_apart(target: str, status: int, shell: Shell) -> None:
    history = "1 a superseded\n2 b failed\n" if target else "2 b failed\n"
    done = rolled_back(
        shell, "release_failed shop-redis 43 'it failed'", [history, history + "3 c deployed\n"], "1/a"
    )
    assert done.status == status
    assert ("revision 1 of shop-redis was restored and verified as revision 3" in done.stderr) == bool(target)


VERIFIED = "1 a superseded\n2 b superseded\n3 c deployed\n"


@pytest.mark.parametrize(
    ("history", "entries", "asked", "target"),
    [
        (VERIFIED, "1/a 2/b 3/c", "", "2"),
        (VERIFIED, "1/a 2/b 3/c", "1", "1"),
        # After v3 -> v2, back again is v1.
        (VERIFIED + "4 d deployed\n", "1/a 2/b 3/c 4/d/2", "", "1"),
        # Revision 3 copies 2: going to 2 would change nothing.
        (VERIFIED, "1/a 2/b 3/c/2", "", "1"),
    ],
)
def test_rollback_goes_back_each_time(
    history: str, entries: str, asked: str, target: str, shell: Shell
) -> None:
    done = rolled_back(shell, "rollback_service", history, entries, rollback_revision=asked)
    assert done.status == 0, done
    assert [call.split()[2] for call in shell.calls("helm", "rollback")] == [target]
    assert f"smoke host-{target}.test sha256:{target} serving" in done.stdout


@pytest.mark.parametrize(
    ("described", "target"),
    [
        # From 2 it went back to 1, and was interrupted before that was verified: it is finished.
        ("Rollback to 1", "1"),
        # What was never verified is left for the one before.
        ("Rollback to 9", "2"),
        ("shop:1.0 0123456789ab by me", "2"),
    ],
)
def test_a_rollback_that_ended_half_way_is_finished(described: str, target: str, shell: Shell) -> None:
    done = rolled_back(shell, "rollback_service", VERIFIED, "1/a 2/b", described=described)
    assert done.status == 0, done
    assert [call.split()[2] for call in shell.calls("helm", "rollback")] == [target]


@pytest.mark.parametrize(
    ("applied", "target"), [("one", ["1"]), ("two", ["2"]), ("none of them", [])], ids=["1", "2", "neither"]
)
def test_a_rollback_that_helm_failed_is_finished(applied: str, target: list[str], shell: Shell) -> None:
    """Its description is then the failure, and no longer where to; what it was to apply says it."""
    failed = 'Rollback \\"shop\\" failed: failed calling webhook'
    manifests = {f"get manifest shop --revision {n}": one for n, one in enumerate(["one", "two", applied], 1)}
    done = rolled_back(shell, "rollback_service", FAILED, "1/a 2/b", described=failed, manifests=manifests)
    assert [call.split()[2] for call in shell.calls("helm", "rollback")] == target, done
    if not target:
        assert done.status == 10
        assert (
            "has no verified revision that the failed rollback, revision 3, went to (verified: 1 2"
            in done.stderr
        )


def test_another_host_is_not_measured_by_how_this_one_answered(shell: Shell) -> None:
    history: list[str | Reply] = [VERIFIED, VERIFIED + "4 d deployed\n"]
    seen = 'smoke_test() { echo "smoke $1 was <$entrance_was_good>"; }; entrance_was_good=yes'
    call = f"{seen}; restore_release shop"
    here = rolled_back(shell, f"read_revisions shop; {call} 1", history, "1/a 2/b", base_url="host-1.test")
    assert "smoke host-1.test was <yes>" in here.stdout, here
    there = rolled_back(shell, f"read_revisions shop; {call} 2", history, "1/a 2/b", base_url="host-1.test")
    assert "smoke host-2.test was <>" in there.stdout, there
    # The entrance before both is what was unwell.
    unwell = call.replace("=yes", "=no")
    there = rolled_back(shell, f"read_revisions shop; {unwell} 2", history, "1/a 2/b", base_url="host-1.test")
    assert "smoke host-2.test was <no>" in there.stdout, there


@pytest.mark.parametrize(("entries", "asked"), [("3/c", ""), ("", ""), ("1/a 3/c", "2"), ("1/a 3/c", "9")])
def test_rollback_goes_only_to_a_verified_revision(entries: str, asked: str, shell: Shell) -> None:
    done = rolled_back(shell, "rollback_service", VERIFIED, entries, rollback_revision=asked)
    assert done.status == 10
    assert "./deploy.sh shop --history --context testing" in done.stderr
    assert shell.calls("helm", "rollback") == []


def test_nobody_goes_back_under_somebody_who_paused_it(shell: Shell) -> None:
    done = rolled_back(
        shell, "rollback_service", VERIFIED, "1/a 2/b 3/c", paused="true/3", rollback_revision=""
    )
    assert done.status == 3
    assert "the Deployment shop is paused" in done.stderr
    assert len(shell.calls("kubectl")) == 1, "it is asked first"


def test_a_rollback_keeps_the_number_of_pods(shell: Shell) -> None:
    """Helm compares with the newest revision, whatever became of it."""
    history = "1 a superseded\n2 b deployed\n3 c failed\n"
    done = rolled_back(
        shell, 'keep_replicas() { echo "keep $*"; }; read_revisions shop; roll_back shop 1', history, "1/a"
    )
    assert done.stdout == f"keep shop {shell.work}/shop.1.yaml 3\n", done
    assert (shell.work / "shop.1.yaml").exists()


def test_a_rollback_that_helm_refuses(shell: Shell) -> None:
    call = 'roll_back() { echo no >"$work/error"; return 1; }; rollback_service'
    done = rolled_back(shell, call, VERIFIED, "1/a 3/c", rollback_revision="")
    assert done.status == 10
    assert "helm rollback failed: no" in done.stderr


def test_a_rollback_needs_the_lock(shell: Shell) -> None:
    done = rolled_back(
        shell, "rollback_service", VERIFIED, "1/a 3/c", rollback_revision="", lock_identity="another"
    )
    assert done.status == 5
    assert shell.calls("helm", "rollback") == []


def test_an_api_server_that_is_away_during_helms_rollback_is_asked_again(shell: Shell) -> None:
    shell.no_sleep()
    manifest = "kind: Deployment\n  replicas: 3\n"
    shell.stub("helm", {"rollback": [failure("Error: unexpected EOF"), ""], "get manifest": manifest})
    shell.stub("kubectl", {"get secrets": VERIFIED, "get configmap": "1/a"})
    shell.says("read_revisions shop; roll_back shop 1", *FILES)
    (_, call) = shell.calls("helm", "rollback")
    assert call == "rollback shop 1 --history-max 12", "Helm must not forget what it goes back to"


def test_a_revision_that_somebody_made_meanwhile_is_not_the_copy(shell: Shell) -> None:
    after = FAILED + "4 d deployed\n"
    theirs = FAILED + "4 d superseded\n5 e deployed\n"
    rolled_back(shell, "release_failed shop 8 'it failed'", [FAILED, after, theirs], "1/a 2/b")
    assert not shell.calls("kubectl", "5/e"), "nobody asked revision 5 anything"


def test_a_revision_of_redis_that_somebody_made_meanwhile_is_not_the_copy(shell: Shell) -> None:
    before = "1 a superseded\n2 b failed\n"
    theirs = before + "3 c superseded\n4 d deployed\n"
    history: list[str | Reply] = [before, before + "3 c deployed\n", theirs]
    # The second state is gone by when the watch has ended.
    watch = "await_rollout() { kubectl get secrets >/dev/null; }"
    rolled_back(shell, f"{watch}; release_failed shop-redis 7 'it failed'", history, "1/a")
    assert shell.calls("kubectl", '"1/a 3/c/1"')
    assert not shell.calls("kubectl", "4/d"), "nobody watched revision 4"


def test_leaves_what_somebody_did_during_a_deploy_that_changed_nothing(shell: Shell) -> None:
    history: list[str | Reply] = ["1 a deployed\n", "1 a superseded\n2 b deployed\n"]
    done = rolled_back(shell, "read_revisions shop; release_failed shop 9 'it failed'", history, "1/a")
    assert not shell.calls("helm", "rollback")
    assert done.status == 10


def test_a_rollback_that_is_recorded_is_not_half_way(shell: Shell) -> None:
    """Whoever were told to finish it would go one version too far."""
    after = VERIFIED + "4 d deployed\n"
    history: list[str | Reply] = [VERIFIED, after, after, failure("Unable to connect to the server: EOF")]
    done = rolled_back(shell, "rollback_service", history, "1/a 2/b 3/c", rollback_revision="", patience=0)
    assert shell.calls("kubectl", '"service":"1/a 2/b 3/c 4/d/2"')
    assert done.status == 3, done
    assert "half-way" not in done.stderr
    assert done.stderr.endswith("\n       shop serves as revision 4, which is revision 2 again, verified\n")


def test_a_way_back_that_is_recorded_still_tells_what_failed(shell: Shell) -> None:
    after = FAILED + "4 d deployed\n"
    history: list[str | Reply] = [FAILED, after, after, failure("Unable to connect to the server: EOF")]
    done = rolled_back(shell, "release_failed shop 8 'it did not come up'", history, "1/a 2/b", patience=0)
    assert done.status == 3, done
    assert done.stderr.endswith("verified; what was asked did not: it did not come up\n")


def test_room_that_was_lost_during_the_deploy_is_not_waited_for(shell: Shell) -> None:
    """A node died: one pod finds no place, of whatever version. The others serve."""
    noted = "note_room() { room_before=2; }"
    history: list[str | Reply] = [FAILED, FAILED + "4 d deployed\n"]
    done = rolled_back(shell, f"{noted}; release_failed shop 8 'it failed'", history, "1/a 2/b")
    assert "watch deployment shop 2" in done.stdout.splitlines(), done
