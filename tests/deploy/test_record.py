"""Which revisions count as verified, and which one a rollback goes to."""

import json

import pytest

from tests.deploy.shell import Reply, Shell, failure

# Revision, uid and status of each of Helm's records; kubectl sorts them by name, so v10 comes before v9.
HISTORY = "10 j deployed\n8 h superseded\n9 i superseded\n"


def with_record(shell: Shell, history: str, entries: str, **more: str | Reply | list[str | Reply]) -> None:
    """What Helm keeps, and our own record beside it."""
    replies = {name.replace("_", " "): reply for name, reply in more.items()}
    shell.stub(
        "kubectl",
        {"get secrets": history, "get configmap": entries, "get lease": "7 me since", **replies},
    )


def answer(shell: Shell, call: str) -> str:
    return shell.says(f"read_revisions shop; {call}", "record")


def marked(shell: Shell, call: str) -> str:
    """The record that a call writes."""
    shell.says(f"lock_identity=me; {call}", "record", "lock")
    (patch,) = shell.calls("kubectl", "patch configmap shop-deploy")
    return str(json.loads(patch[patch.index("{") :])["data"]["service"])


def test_the_newest_is_the_highest_number(shell: Shell) -> None:
    with_record(shell, HISTORY, "8/h 9/i")
    said = answer(shell, 'echo "${newest[shop]} ${newest_status[shop]}, ${verified[shop]}"')
    assert said == "10 deployed, 8 9"


def test_two_releases_do_not_share_their_state(shell: Shell) -> None:
    shell.stub(
        "kubectl",
        {
            "name=shop-redis": "4 d deployed\n",
            "name=shop": "2 b deployed\n",
            "{.data.service}": "2/b",
            "{.data.redis}": "",
        },
    )
    call = 'read_revisions shop-redis; echo "$(last_verified shop) $(last_verified shop-redis) ${newest[*]}"'
    assert sorted(answer(shell, call).split()) == ["2", "2", "4"]


def test_an_entry_of_another_installation_is_not_inherited(shell: Shell) -> None:
    with_record(shell, "1 new deployed\n", "1/old")
    assert answer(shell, 'echo "«${verified[shop]}»"') == "«»"


@pytest.mark.parametrize("uid", ["a", "ab/1", "bc", "abcd"])
def test_an_entry_counts_for_the_whole_uid(uid: str, shell: Shell) -> None:
    with_record(shell, "1 abc deployed\n", f"1/{uid} 11/abc")
    assert answer(shell, 'echo "«${verified[shop]}»"') == "«»"


@pytest.mark.parametrize(
    ("entries", "last"), [("", ""), ("8/h", "8"), ("8/h 9/i", "9"), ("8/h 10/j/8", "10")]
)
def test_last_verified(entries: str, last: str, shell: Shell) -> None:
    with_record(shell, HISTORY, entries)
    assert answer(shell, "last_verified shop") == last


def test_a_copy_names_its_origin(shell: Shell) -> None:
    with_record(shell, HISTORY, "8/h 9/i 10/j/8")
    assert answer(shell, "origin_of shop 10; origin_of shop 9; origin_of shop 3") == "8\n9\n3"


BACK = {
    "the one before": ("1 a superseded\n2 b deployed", "1/a 2/b", "1"),
    "one that failed is passed over": ("1 a superseded\n2 b failed\n3 c deployed", "1/a 3/c", "1"),
    "the newest failed": ("1 a superseded\n2 b deployed\n3 c failed", "1/a 2/b", "2"),
    "a copy of 2 is not left for 2": (
        "1 a superseded\n2 b superseded\n3 c failed\n4 d deployed",
        "1/a 2/b 4/d/2",
        "1",
    ),
    "a second rollback goes on back, never forward": (
        "1 a superseded\n2 b superseded\n3 c superseded\n4 d deployed",
        "1/a 2/b 3/c 4/d/2",
        "1",
    ),
    "a third one finds nothing": (
        "1 a superseded\n2 b superseded\n3 c superseded\n4 d superseded\n5 e deployed",
        "1/a 2/b 3/c 4/d/2 5/e/1",
        "",
    ),
    "a new version after a rollback": (
        "1 a superseded\n2 b superseded\n3 c superseded\n4 d deployed",
        "1/a 2/b 3/c/1 4/d",
        "3",
    ),
    "the first": ("1 a deployed", "1/a", ""),
}


@pytest.mark.parametrize("case", BACK)
def test_a_rollback_goes_back(case: str, shell: Shell) -> None:
    history, entries, target = BACK[case]
    with_record(shell, history, entries)
    assert answer(shell, "verified_before shop") == target


RESTORABLE = {
    "the last verified one": ("1 a superseded\n2 b superseded\n3 c failed", "1/a", "1"),
    "without a record, the newest that was deployed": ("1 a superseded\n2 b superseded\n3 c failed", "", "2"),
    "after a backup was restored, the same": ("1 a superseded\n2 b superseded\n3 c deployed", "1/x 2/y", "2"),
    "a failed one never served": ("1 a superseded\n2 b failed\n3 c pending-upgrade\n4 d failed", "", "1"),
    "nothing was deployed before": ("1 a failed\n2 b deployed", "", ""),
    "nothing is installed": ("", "", ""),
}


@pytest.mark.parametrize("case", RESTORABLE)
def test_what_is_restored(case: str, shell: Shell) -> None:
    history, entries, target = RESTORABLE[case]
    with_record(shell, history, entries)
    assert answer(shell, "restorable shop") == target


@pytest.mark.parametrize(("entries", "limit"), [("", "10"), ("10/j", "10"), ("8/h", "12")])
def test_helm_keeps_the_last_verified_revision(entries: str, limit: str, shell: Shell) -> None:
    with_record(shell, HISTORY, entries)
    assert answer(shell, "history_limit shop") == limit


def test_the_revision_named_is_marked_and_not_the_newest(shell: Shell) -> None:
    """Somebody else upgraded meanwhile: nobody tested what they brought."""
    with_record(shell, HISTORY, "8/h", patch="")
    assert marked(shell, "mark_verified shop 9") == "8/h 9/i"


def test_a_copy_is_marked_with_its_origin(shell: Shell) -> None:
    with_record(shell, HISTORY, "8/h 9/i/8", patch="")
    assert marked(shell, "mark_verified shop 10 8") == "8/h 9/i/8 10/j/8"


def test_what_helm_forgot_is_forgotten(shell: Shell) -> None:
    with_record(shell, HISTORY, "1/a 7/g/1 8/h 9/other", patch="")
    assert marked(shell, "mark_verified shop 10") == "8/h 10/j"


def test_nothing_is_marked_without_the_lock(shell: Shell) -> None:
    with_record(shell, HISTORY, "8/h", patch="")
    done = shell.run("lock_identity=another; mark_verified shop 10", "record", "lock")
    assert done.status == 5
    assert not shell.calls("kubectl", "patch")


MISSING = failure('Error from server (NotFound): configmaps "shop-deploy" not found')
EXISTS = failure('Error from server (AlreadyExists): configmaps "shop-deploy" already exists')


@pytest.mark.parametrize(
    "create", [Reply("created"), EXISTS], ids=["new", "made by a try whose reply was lost"]
)
def test_the_record_is_made_when_it_is_missing(create: Reply, shell: Shell) -> None:
    shell.stub("kubectl", {"patch": [MISSING, ""], "create configmap shop-deploy": create})
    done = shell.run("write_record service 1/a", "record")
    assert done.status == 0, done
    assert len(shell.calls("kubectl", "patch")) == 2
