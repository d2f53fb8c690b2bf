"""When a candidate is made, and what is said of one that does not come up."""

import pytest

from tests.deploy.shell import Done, Shell, failure

FILES = ["charts", "record", "lock", "forward", "evidence", "watch", "candidate"]
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
    shell.stub("kubectl", {"get secrets": "4 d deployed\n", "get configmap": entries})
    shell.stub("helm", {"get manifest shop --revision 4": POD.format(3, "old")})
    (shell.work / "shop.yaml").write_text(POD.format(replicas, image))
    assert shell.says("candidate_is_wanted && echo yes || echo no", *FILES, **more) == wanted


def observed(shell: Shell, line: str) -> Done:
    shell.stub("kubectl", {"get pod shop-candidate": line, "logs": "the last words\n", "get events": ""})
    call = "unset SECONDS; SECONDS=100; observe_candidate; SECONDS=161; observe_candidate"
    call += '; echo "$candidate_fault"'
    return shell.run(call, *FILES)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("Running|True|now|||", ""),
        ("", "the pod shop-candidate was deleted by somebody"),
        (
            "Failed|False||OOMKilled 137||",
            "its container ended: OOMKilled, exit status 137; its last line: the last words",
        ),
        (
            "Pending|False||||ImagePullBackOff 503",
            "pod shop-candidate: its image cannot be pulled: ImagePullBackOff 503",
        ),
        ("Pending|False||||ContainerCreating ", ""),
    ],
)
def test_what_is_wrong_with_a_candidate(line: str, fault: str, shell: Shell) -> None:
    assert observed(shell, line).stdout.strip() == fault


def test_no_node_for_the_candidate_is_not_its_fault(shell: Shell) -> None:
    done = observed(shell, "Pending|False|||0/3 nodes: Insufficient cpu|")
    assert done.status == 3
    assert "there is no room for one more pod" in done.stderr
    assert "--no-candidate" in done.stderr


@pytest.mark.parametrize(
    ("error", "status", "why"),
    [
        ("Error from server (AlreadyExists): pods already exists", 0, ""),
        ("Error from server (Forbidden): exceeded quota: pods", 3, "there is no room"),
        ("Error from server (Forbidden): violates PodSecurity", 3, "the candidate cannot be made"),
    ],
)
def test_a_candidate_that_cannot_be_made(error: str, status: int, why: str, shell: Shell) -> None:
    shell.stub("kubectl", {"create": failure(error), "get pod": "uid"})
    (shell.work / "shop.yaml").write_text("kind: Deployment\n")
    done = shell.run("render_candidate() { :; }; make_candidate", *FILES)
    assert done.status == status, done
    assert why in done.stderr


@pytest.mark.parametrize(("made", "deletes"), [("yes", 1), ("", 0)])
def test_a_candidate_goes_however_the_deploy_ends(made: str, deletes: int, shell: Shell) -> None:
    shell.stub("kubectl", {"delete pod": failure("Unable to connect to the server: EOF")})
    shell.says(f"candidate_made={made}; leave_no_candidate", *FILES)
    assert len(shell.calls("kubectl", "delete pod --ignore-not-found --wait=false")) == deletes


def test_redis_that_forbids_the_candidates_key_is_named(shell: Shell) -> None:
    done = shell.run("not_ready 'authentication to Redis failed 503'", *FILES)
    assert done.status == 3
    assert "Redis does not let the candidate count" in done.stderr
    assert "{<COUNTER_KEY>}:candidate" in done.stderr
