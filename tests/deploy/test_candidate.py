"""When a candidate is made, and what is said of one that does not come up."""

import pytest

from tests.deploy.rollouts import deployment
from tests.deploy.shell import Done, Reply, Shell, failure

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


def test_a_deploy_without_a_candidate_removes_what_another_left(shell: Shell) -> None:
    shell.stub("kubectl", {**NEVER_INSTALLED, "get pod": "pod/shop-candidate", "delete pod": ""})
    call = "render_service() { :; }; test_candidate"
    shell.says(call, *FILES, lock_identity="me", asked_digest="", candidate="no")
    assert len(shell.calls("kubectl", "delete pod")) == 1


def unreached(shell: Shell, ready: str) -> Done:
    """No port-forward comes to be, and the candidate has no time left."""
    shell.stub(
        "kubectl",
        {
            "get pod shop-candidate": f"Running|||{ready}|now|||",
            "port-forward": failure("error: pods/portforward is forbidden"),
            "get deployment,": deployment(),
            "logs": "",
            "get": "",
            "describe": "",
        },
    )
    variables = {"candidate_seconds": 0, "readiness_path": "/readyz", "redis_mode": "external"}
    return shell.run("DEPLOY_EVIDENCE=$work; await_ready_candidate", *FILES, **variables)


def test_a_ready_candidate_that_no_port_forward_reaches_is_not_bad(shell: Shell) -> None:
    done = unreached(shell, ready="True")
    assert done.status == 3
    assert "no port-forward reaches it: error: pods/portforward is forbidden" in done.stderr
    done = unreached(shell, ready="False")
    assert done.status == 8
    assert "it is not ready after 0 s" in done.stderr


def observed(shell: Shell, line: str) -> Done:
    shell.stub("kubectl", {"get pod shop-candidate": line, "logs": "the last words\n", "get events": ""})
    call = "unset SECONDS; SECONDS=100; observe_candidate; SECONDS=161; observe_candidate"
    call += '; echo "$candidate_fault"'
    return shell.run(call, *FILES)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("Running|||True|now|||", ""),
        (
            "Failed|||False||OOMKilled 137||",
            "its container ended: OOMKilled, exit status 137; its last line: the last words",
        ),
        (
            "Pending|||False||||ImagePullBackOff 503",
            "pod shop-candidate: its image cannot be pulled: ImagePullBackOff 503",
        ),
        ("Pending|||False||||ContainerCreating ", ""),
    ],
)
def test_what_is_wrong_with_a_candidate(line: str, fault: str, shell: Shell) -> None:
    assert observed(shell, line).stdout.strip() == fault


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "the pod shop-candidate was deleted by somebody"),
        (
            "Failed|Evicted||False||OOMKilled 137||",
            "the pod shop-candidate was ended by the cluster: Evicted",
        ),
        ("Failed|DeadlineExceeded||False||||", "was ended by the cluster: DeadlineExceeded"),
        # A drain: it ends with all its grace, and the kubelet says how before the API server forgets it.
        ("Succeeded||2026-01-01T00:00:00Z|False||Completed 0||", "was deleted by somebody"),
        ("Failed||2026-01-01T00:00:00Z|False||Error 137||", "was deleted by somebody"),
        ("Running||2026-01-01T00:00:00Z|False|now|||", "was deleted by somebody"),
    ],
)
def test_what_others_did_to_it_is_not_its_fault(line: str, why: str, shell: Shell) -> None:
    done = observed(shell, line)
    assert done.status == 3
    assert why in done.stderr
    assert "nothing was changed; run the same command again" in done.stderr


def test_no_node_for_the_candidate_is_not_its_fault(shell: Shell) -> None:
    done = observed(shell, "Pending|||False|||0/3 nodes: Insufficient cpu|")
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
    shell.stub("kubectl", {"delete pod": failure("Unable to connect to the server: EOF")})
    shell.says(f"candidate_made={made}; leave_no_candidate", *FILES)
    assert len(shell.calls("kubectl", "delete pod --ignore-not-found --wait=false")) == deletes


@pytest.mark.parametrize(
    ("said", "log"),
    [
        ("redis: authentication 503", ""),
        ("503", '{"event":"redis unavailable","reason":"authentication"}'),
        ("503", "redis unavailable reason=authentication route=/"),
        ("503", "NOPERM No permissions to access a key"),
    ],
)
def test_redis_that_forbids_the_candidates_key_is_named(said: str, log: str, shell: Shell) -> None:
    shell.stub("kubectl", {"logs": log})
    done = shell.run(f"spare_it '{said}'", *FILES)
    assert done.status == 3
    assert "Redis does not let the candidate count" in done.stderr
    assert "{<COUNTER_KEY>}:candidate" in done.stderr


def told_to_end(shell: Shell, answers: list[str | Reply], more: str = ":", delay: int = 5) -> Done:
    shell.stub("kubectl", {"delete pod": "", "logs": "", "get": "", "describe": ""})
    shell.stub("curl", {"/readyz": ["ok 200", "draining 503"], "/version": answers})
    variables = {
        "readiness_path": "/readyz",
        "first_path": "/version",
        "redis_mode": "external",
        "drain_delay": delay,
        "slowest_answer": 2,
    }
    call = f"start_forward() {{ :; }}; {more}; DEPLOY_EVIDENCE=$work; examine_drain"
    return shell.run(
        call, *FILES, "answers", base_url="shop.example", forward_address="127.0.0.1:1", **variables
    )


REFUSED = failure("curl: (52) Empty reply from server", 52)


@pytest.mark.parametrize(
    "answers", [["{} 200"], [REFUSED, "{} 200"]], ids=["at once", "through another port-forward"]
)
def test_a_candidate_that_was_told_to_end_still_answers(answers: list[str | Reply], shell: Shell) -> None:
    assert told_to_end(shell, answers).status == 0
    assert len(shell.calls("kubectl", "delete pod shop-candidate --wait=false")) == 1


@pytest.mark.parametrize("answers", [[REFUSED], ["Gone 503"]], ids=["refuses", "answers wrongly"])
def test_a_candidate_that_ends_at_once_is_bad(answers: list[str | Reply], shell: Shell) -> None:
    done = told_to_end(shell, answers)
    assert done.status == 9
    assert "told to end, it answers no more, while visitors are still sent to it for up to 5 s" in done.stderr


def test_a_candidate_is_asked_until_the_kubelet_has_told_it(shell: Shell) -> None:
    """Which may take its time: until then it answers well, whatever it does then."""
    late = "unset SECONDS; SECONDS=0; run() { SECONDS=$((SECONDS + 1)); }"
    ended_at_3 = "ask_candidate() { reply='ok 200'; [ $SECONDS -lt 3 ]; }"
    done = told_to_end(shell, [], f"{late}; {ended_at_3}")
    assert done.status == 9, done.stderr
    assert "told to end, it answers no more" in done.stderr


def test_a_candidate_that_is_asked_too_late_is_not_blamed(shell: Shell) -> None:
    late = "unset SECONDS; SECONDS=0; start_forward() { SECONDS=5; return 1; }"
    done = told_to_end(shell, [REFUSED], late)
    assert done.status == 0
    assert "was not seen in time" in done.stderr


def test_where_pods_end_without_delay_so_may_the_candidate(shell: Shell) -> None:
    assert told_to_end(shell, [REFUSED], delay=0).status == 0
    assert shell.calls("kubectl") == []


def test_who_wants_none_needs_no_right_to_pods(shell: Shell) -> None:
    forbidden = failure('Error from server (Forbidden): pods "shop-candidate" is forbidden')
    shell.stub("kubectl", {**NEVER_INSTALLED, "get pod": "", "delete pod": forbidden})
    call = "render_service() { :; }; test_candidate"
    done = shell.run(call, *FILES, lock_identity="me", asked_digest="", candidate="no")
    assert done.status == 0, done.stderr


def test_a_version_that_speaks_of_authentication_is_not_spared(shell: Shell) -> None:
    shell.stub("kubectl", {"logs": "the authentication middleware is ready", "get": deployment()})
    assert shell.says("spare_it 503; echo blamed", *FILES) == "blamed"


@pytest.mark.parametrize("project", ["candidate", "serviceaccount", "externalsecret"])
def test_the_candidates_manifests_are_beside_every_projects(project: str, shell: Shell) -> None:
    """Else the plan would compare, and the account be made, from the other's."""
    shell.stub("helm", {"template": "kind: Pod"})
    own = shell.work / f"{project}.yaml"
    own.write_text("kind: Deployment")
    shell.says(f"keep_charts; render_candidate {project}", *FILES, project=project)
    assert own.read_text() == "kind: Deployment"
    assert (shell.work / "parts" / own.name).read_text() == "kind: Pod"
