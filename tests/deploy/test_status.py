"""What --status, --history and the summary tell."""

import json

import pytest

from tests.deploy.rollouts import deployment
from tests.deploy.shell import Shell, failure

FILES = ["record", "lock", "watch", "trouble", "entrance", "status"]
KNOWN = {"redis_release": "shop-redis", "base_url": "shop.test", "image_name": "visits", "image_tag": "1.0"}


def status(shell: Shell, **replies: str) -> dict[str, str]:
    answers = {"get secrets": "4 d deployed\n", "get configmap": "4/d", "get deployment": deployment()}
    shell.stub(
        "kubectl", {**{name.replace("_", " "): one for name, one in replies.items()}, **answers, "get": ""}
    )
    said = shell.says("show_status", *FILES, asked_digest="sha256:ab", **KNOWN)
    return {line[:16].strip(): line[17:] for line in said.splitlines()}


def test_what_runs(shell: Shell) -> None:
    told = status(shell)
    assert told["shop"] == "revision 4 (deployed), verified: 4"
    assert told["deployment"] == "complete, 3 of 3 available"
    assert told["image"] == "visits:1.0@sha256:ab"
    assert told["lock"] == "free"
    assert "candidate" not in told


ROUTE = "parent edge/public//\nResolvedRefs=False BackendNotFound: no Service shop\n"


@pytest.mark.parametrize(
    ("told", "ingress", "url"),
    [
        ("|", "shop||", "http://shop.test/"),
        ("|", "shop|[{}]|", "https://shop.test/"),
        ("ingress|https", "shop||", "https://shop.test/"),
        ("none|http", "", "none outside the cluster"),
        (
            "httproute|https",
            "",
            "https://shop.test/; the HTTPRoute is not served: BackendNotFound: no Service shop ",
        ),
    ],
)
def test_the_url_is_of_what_is_installed(told: str, ingress: str, url: str, shell: Shell) -> None:
    replies = {"get configmap shop ": told, "get ingress": ingress, "get httproutes": ROUTE}
    assert status(shell, **replies)["URL"] == url


def test_what_a_killed_deploy_left_is_named(shell: Shell) -> None:
    told = status(shell, get_lease="5 me@host then")
    assert told["lock"] == "me@host, since then"


def test_a_candidate_that_was_left_is_named(shell: Shell) -> None:
    told = status(shell, **{"get pod shop-candidate": "then"})
    assert told["candidate"] == "shop-candidate, since then; the next deploy removes it"


def test_history_says_what_was_verified(shell: Shell) -> None:
    shell.stub("kubectl", {"get secrets": "3 c superseded\n13 m deployed\n", "get configmap": "13/m"})
    shell.stub("helm", {"history": "REVISION  STATUS\n3  superseded\n13  deployed\n"})
    lines = shell.run("show_history", "record", "status").stdout.splitlines()
    assert [line.startswith("verified ") for line in lines] == [False, False, True]


ENDED = json.dumps(
    {
        "outcome": "failed",
        "status": 9,
        "message": 'GET /: it says "no" \u00abnow\u00bb',
        "advice": "mend it",
        "digest": "sha256:ab",
        "commit": "0123",
        "by": "me@host",
        "seconds": 34,
    },
    separators=(",", ":"),
)


def history(shell: Shell, **variables: object) -> str:
    shell.stub(
        "kubectl",
        {
            "get secrets": "3 c superseded\n12 k superseded\n13 m deployed\n",
            "go-template": f"content 1-2 x\nrevision-12 k {ENDED}\nrevision-13 k {ENDED}\nservice 3/c 13/m\n",
            "get configmap": "3/c 13/m",
        },
    )
    shell.stub("helm", {"history": "REVISION  STATUS\n3  superseded\n12  superseded\n13  deployed\n"})
    return shell.says("show_history", "record", "status", **variables)


def test_history_tells_who_deployed_what_and_how_it_ended(shell: Shell) -> None:
    assert history(shell).splitlines() == [
        "REVISION  STATUS",
        "verified 3  superseded",
        "         12  superseded",
        '            failed after 34 s, by me@host, commit 0123, sha256:ab: GET /: it says "no" «now»',
        "verified 13  deployed",
    ]


def test_history_as_json(shell: Shell) -> None:
    assert json.loads(history(shell, as_json="yes")) == [
        {"revision": 3, "state": "superseded", "verified": True, "outcome": None},
        {"revision": 12, "state": "superseded", "verified": False, "outcome": json.loads(ENDED)},
        {"revision": 13, "state": "deployed", "verified": True, "outcome": None},
    ]


def test_status_as_json(shell: Shell) -> None:
    answers = {
        "get secrets": "3 c superseded\n4 d deployed\n",
        "get configmap shop-deploy": "3/c 4/d",
        "get deployment": deployment(),
        "get lease": "5 me@host then",
        "get": "",
    }
    shell.stub("kubectl", answers)
    done = shell.run("show_status", *FILES, asked_digest="sha256:ab", as_json="yes", **KNOWN)
    told = json.loads(done.stdout)
    assert (told["service_revision"], told["service_state"], told["service_verified"]) == (
        4,
        "deployed",
        [3, 4],
    )
    assert (told["service_wanted"], told["service_available"], told["service_fault"]) == (3, 3, "")
    assert (told["image"], told["tag"], told["digest"]) == ("visits", "1.0", "sha256:ab")
    assert (told["project"], told["environment"], told["url"]) == ("shop", "dev", "http://shop.test/")
    assert (told["lock"], told["lock_since"]) == ("me@host", "then")
    assert "candidate_since" not in told


def test_history_of_nothing_is_refused(shell: Shell) -> None:
    shell.stub("kubectl", {"get": ""})
    assert shell.run("show_history", "record", "status").status == 3


def test_a_status_that_cannot_be_read_is_no_empty_one(shell: Shell) -> None:
    shell.stub("kubectl", {"get": failure("error: You must be logged in to the server (Unauthorized)")})
    assert shell.run("show_status", *FILES, asked_digest="", **KNOWN).status == 3


@pytest.mark.parametrize(
    ("entries", "back"),
    [("3/c 4/d", "./deploy.sh shop --rollback --context testing --namespace other"), ("4/d", "none")],
)
def test_the_summary_tells_the_way_back(entries: str, back: str, shell: Shell) -> None:
    shell.stub("kubectl", {"get secrets": "3 c superseded\n4 d deployed\n", "get configmap": entries})
    call = "changes=(); asked_digest=sha256:ab url=https://shop.test/; read_revisions shop; show_summary"
    said = shell.says(call, "record", "status", namespace="other", **KNOWN)
    assert f"  way back   {back}\n" in said
    assert "  URL        https://shop.test/\n" in said
    assert "  changed    nothing: what runs is what was asked\n" in said
