"""When a candidate is made, of what, what is there before it, and how it goes."""

import pytest

from tests.deploy.shell import Reply, Shell, failure

FILES = ["charts", "record", "lock", "forward", "evidence", "watch", "trouble"]
FILES += ["candidate", "candidate_examination"]
NEVER_INSTALLED = {
    "get secrets": "",
    "get configmap": "",
    "get lease": "5 me then",
    "get deployment shop": "",
}
POD = "kind: Deployment\nspec:\n  replicas: {}\n  template:\n    image: {}\n"


@pytest.mark.parametrize(
    ("entries", "replicas", "image", "more", "wanted"),
    [
        ("4/d", 3, "new", {}, "yes"),
        ("4/d", 3, "old", {}, "no"),
        ("4/d", 9, "old", {}, "no"),
        ("", 3, "new", {}, "no"),
        ("4/d", 3, "new", {"candidate": "no"}, "no"),
    ],
    ids=["another image", "the same pods", "more of the same pods", "first installation", "told not to"],
)
def test_a_candidate_is_made_of_pods_that_nobody_tested(
    entries: str, replicas: int, image: str, more: dict[str, str], wanted: str, shell: Shell
) -> None:
    found = {"get secrets": "4 d deployed\n", "get configmap": entries, "get deployment shop": ""}
    shell.stub("kubectl", found)
    shell.stub("helm", {"get manifest shop --revision 4": POD.format(3, "old")})
    (shell.work / "shop.yaml").write_text(POD.format(replicas, image))
    assert shell.says("candidate_is_wanted && echo yes || echo no", *FILES, **more) == wanted


@pytest.mark.parametrize(
    ("available", "wanted"),
    [("3", "yes"), ("0", "no"), ("", "no")],
    ids=["pods that serve", "none that serves", "no Deployment"],
)
def test_pods_that_serve_are_protected_without_a_record_too(
    available: str, wanted: str, shell: Shell
) -> None:
    """A restored backup has other UIDs than the record."""
    found = {"get secrets": "4 d deployed\n", "get configmap": "", "get deployment shop": available}
    shell.stub("kubectl", found)
    assert shell.says("candidate_is_wanted && echo yes || echo no", *FILES) == wanted


EXAMINED = """remove_candidate() { echo remove; }; candidate_is_wanted() { :; }
make_candidate() { echo make; }; await_candidate() { echo "$1"; }; examine_candidate() { echo examine; }
examine_drain() { echo drain; }; render_service() { :; }
"""


def test_the_way_of_a_candidate(shell: Shell) -> None:
    """It runs before it is asked; what the kubelet finds counts, too; and none is left, before and after."""
    said = shell.says(f"{EXAMINED}test_candidate", *FILES, asked_digest="")
    way = ["remove", "make", "candidate_runs", "examine", "candidate_ready", "drain", "remove"]
    assert said.splitlines() == way


def test_a_deploy_without_a_candidate_removes_what_another_left(shell: Shell) -> None:
    shell.stub("kubectl", {**NEVER_INSTALLED, "get pod": "pod/shop-candidate", "delete pod": ""})
    call = "render_service() { :; }; test_candidate"
    shell.says(call, *FILES, lock_identity="me", asked_digest="", candidate="no")
    assert len(shell.calls("kubectl", "delete pod")) == 1


@pytest.mark.parametrize(
    ("error", "status", "why"),
    [
        ("Error from server (AlreadyExists): pods already exists", 0, ""),
        ("Error from server (Forbidden): exceeded quota: pods", 3, "there is no room"),
        ("Error from server (Forbidden): violates PodSecurity", 3, "the candidate cannot be made"),
    ],
)
def test_a_candidate_that_cannot_be_made(error: str, status: int, why: str, shell: Shell) -> None:
    there = {"delete networkpolicies": "", "get pod": "shop-candidate"}
    shell.stub("kubectl", {"create": failure(error), **there})
    (shell.work / "shop.yaml").write_text("kind: Deployment\n")
    done = shell.run("render_candidate() { :; }; make_candidate", *FILES)
    assert done.status == status, done
    assert why in done.stderr


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        (["shop-candidate2026-01-01T00:00:00Z", "shop-candidate"], 0),
        # Gone between the two questions: none of ours is there yet.
        (["", "shop-candidate"], 0),
        ("shop-candidate2026-01-01T00:00:00Z", 3),
    ],
    ids=["goes", "just went", "stays"],
)
def test_one_that_is_still_ending_is_not_tested_in_its_place(
    ends: str | list[str | Reply], status: int, shell: Shell
) -> None:
    """A finalizer may keep the pod of an earlier deploy."""
    shell.no_sleep()
    there = failure("Error from server (AlreadyExists): object is being deleted: pods already exists")
    shell.stub("kubectl", {"create": there, "delete networkpolicies": "", "get pod": ends})
    (shell.work / "shop.yaml").write_text("kind: Deployment\n")
    done = shell.run("render_candidate() { :; }; suspect_seconds=2; make_candidate", *FILES)
    assert done.status == status, done
    assert len(shell.calls("kubectl", "create")) > 1


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        ("serviceaccount/shop", 0),
        (failure('Error from server (AlreadyExists): serviceaccounts "shop" already exists'), 0),
        (failure("Error from server (Forbidden): serviceaccounts is forbidden"), 3),
    ],
    ids=["new", "there", "no right"],
)
def test_its_service_account_is_there_before_it(reply: str | Reply, status: int, shell: Shell) -> None:
    """The first deploy with one, or with another name: no release has brought it yet."""
    pod = f"create -f {shell.work}/parts/candidate.yaml"
    account = f"create -f {shell.work}/parts/serviceaccount.yaml"
    shell.stub("kubectl", {account: reply, pod: "", "delete networkpolicies": ""})
    (shell.work / "shop.yaml").write_text("kind: Deployment\n---\nkind: ServiceAccount\n")
    done = shell.run("render_candidate() { :; }; make_candidate", *FILES)
    assert done.status == status, done
    made = [call for call in shell.calls("kubectl", "create") if "-f" in call]
    assert "serviceaccount.yaml" in made[0]
    assert [pod in call for call in made[1:]] == ([True] if status == 0 else [])


@pytest.mark.parametrize(
    ("policy", "calls"),
    [("kind: NetworkPolicy\n", ["apply", "create"]), ("", ["delete", "create"])],
    ids=["with policies", "without"],
)
def test_its_policy_is_there_before_it(policy: str, calls: list[str], shell: Shell) -> None:
    """One that was left by a deploy with policies must not confine it in a deploy without."""
    shell.stub("kubectl", {"create": "", "apply": "", "delete networkpolicies shop-candidate": ""})
    (shell.work / "shop.yaml").write_text(f"kind: Deployment\n---\n{policy}")
    shell.says("render_candidate() { :; }; make_candidate", *FILES)
    assert [call.split()[0] for call in shell.calls("kubectl")] == calls


def test_an_account_that_is_not_the_releases_is_not_made(shell: Shell) -> None:
    shell.stub("kubectl", {"create": "", "delete networkpolicies": ""})
    (shell.work / "shop.yaml").write_text("kind: Deployment\n")
    shell.says("render_candidate() { :; }; make_candidate", *FILES)
    assert len(shell.calls("kubectl", "create")) == 1


@pytest.mark.parametrize(("made", "deletes"), [("yes", 1), ("", 0)])
def test_a_candidate_goes_however_the_deploy_ends(made: str, deletes: int, shell: Shell) -> None:
    shell.stub(
        "kubectl", {"delete pod": failure("Unable to connect to the server: EOF"), "get lease": "5 me then"}
    )
    shell.says(f"candidate_made={made}; leave_no_candidate", *FILES, lock_identity="me")
    assert len(shell.calls("kubectl", "delete pod --ignore-not-found --wait=false")) == deletes


def test_a_candidate_goes_without_a_lease_too(shell: Shell) -> None:
    """It may have been deleted by hand: then the lock is nobody else's."""
    shell.stub("kubectl", {"delete pod": "", "get lease": ""})
    shell.says("candidate_made=yes; leave_no_candidate", *FILES, lock_identity="me")
    assert len(shell.calls("kubectl", "delete pod")) == 1


@pytest.mark.parametrize("call", ["remove_candidate", "drain_delay=5; examine_drain", "leave_no_candidate"])
def test_the_candidate_of_whoever_took_the_lock_stays(call: str, shell: Shell) -> None:
    """A deploy that was cut off for a minute does not know yet that its lock is another's."""
    taken = {"get lease": "6 another then", "get pod": "pod/shop-candidate", "delete": "", "get": ""}
    shell.stub("kubectl", taken)
    shell.run(f"candidate_made=yes candidate_secret_made=yes; {call}", *FILES, lock_identity="me")
    assert shell.calls("kubectl", "get lease")
    assert shell.calls("kubectl", "delete") == []


def test_who_wants_none_needs_no_right_to_pods(shell: Shell) -> None:
    forbidden = failure('Error from server (Forbidden): pods "shop-candidate" is forbidden')
    shell.stub("kubectl", {**NEVER_INSTALLED, "get pod": "", "delete pod": forbidden})
    call = "render_service() { :; }; test_candidate"
    done = shell.run(call, *FILES, lock_identity="me", asked_digest="", candidate="no")
    assert done.status == 0, done.stderr


@pytest.mark.parametrize("project", ["candidate", "serviceaccount", "externalsecret"])
def test_the_candidates_manifests_are_beside_every_projects(project: str, shell: Shell) -> None:
    """Else the plan would compare, and the account be made, from the other's."""
    shell.stub("helm", {"template": "kind: Pod"})
    own = shell.work / f"{project}.yaml"
    own.write_text("kind: Deployment")
    shell.says(f"keep_charts; render_candidate {project}", *FILES, project=project)
    assert own.read_text() == "kind: Deployment"
    assert (shell.work / "parts" / own.name).read_text() == "kind: Pod"
