"""The password is made once, and nobody sees it."""

import json
import shutil
import subprocess

import pytest

from tests.canary import Search
from tests.deploy.shell import Done, Reply, Shell, failure
from tests.process_trace import ProcessTrace

GENERATED = {"secret_name": "shop-redis", "secret_mode": "generated", "secret_keys": "REDIS_PASSWORD"}
CREATE = "create -f -"


def prepared(shell: Shell, held: str, create: Reply | list[str | Reply] | None = None, **more: str) -> Done:
    shell.no_sleep()
    shell.stub(
        "kubectl", {"get secret shop-redis": held, "get lease": "1 me now", CREATE: create or Reply("made")}
    )
    return shell.run("lock_identity=me; set -x; prepare_secrets", "lock", "secrets", **(GENERATED | more))


def document(shell: Shell) -> dict[str, dict[str, str]]:
    """What was sent last."""
    text = shell.stdin("kubectl")
    found: dict[str, dict[str, str]] = json.loads(text[text.rindex('{"apiVersion"') :])
    return found


def password(shell: Shell) -> str:
    return document(shell)["stringData"]["REDIS_PASSWORD"]


def test_a_password_is_made_and_never_printed(shell: Shell) -> None:
    """Not even by bash -x."""
    done = prepared(shell, "")
    assert done.status == 0, done
    made = password(shell)
    assert len(made) == 48
    assert int(made, 16) > 0
    assert "+ prepare_secrets" in done.stderr
    assert made not in done.stderr + done.stdout
    assert made not in "".join(shell.calls("kubectl"))
    assert [file for file in shell.work.iterdir() if made in file.read_text()] == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not on PATH")
def test_it_is_in_no_argument_no_environment_and_no_file(shell: Shell) -> None:
    shell.stub("kubectl", {"get secret": "", "get lease": "1 me now", CREATE: "made"})
    trace = ProcessTrace(shell.folder / "trace")
    command = shell.command("lock_identity=me; prepare_secrets", "lock", "secrets", **GENERATED)
    subprocess.run([*trace.command(), *command], env=shell.environment(), check=True, capture_output=True)
    search = Search(password(shell))
    trace.look(search)
    # Where the stub keeps what it was sent: the search would have found it elsewhere, too.
    assert search.found == [f"written to {shell.folder}/kubectl.stdin: plainly"]
    assert any(place.endswith("/od") for place in search.places), search.places


def test_the_document_names_whose_it_is(shell: Shell) -> None:
    prepared(shell, "")
    metadata = document(shell)["metadata"]
    assert metadata == {"name": "shop-redis", "labels": {"deploy/project": "shop"}}


def test_each_password_is_another(shell: Shell) -> None:
    prepared(shell, "")
    first = password(shell)
    prepared(shell, "")
    assert password(shell) != first


def test_a_secret_that_is_there_stays(shell: Shell) -> None:
    done = prepared(shell, "shop-redis REDIS_PASSWORD ")
    assert done.status == 0, done
    assert shell.calls("kubectl", "create") == []


def test_what_a_secret_holds_is_never_asked_for(shell: Shell) -> None:
    prepared(shell, "shop-redis REDIS_PASSWORD ")
    (call,) = shell.calls("kubectl")
    assert "$key, $_ := .data" in call
    assert "json" not in call


@pytest.mark.parametrize("held", ["shop-redis OTHER ", "shop-redis REDIS_PASSWORD_OLD ", "shop-redis "])
def test_a_key_that_lacks_is_named_before_pods_wait_for_it(held: str, shell: Shell) -> None:
    done = prepared(shell, held)
    assert done.status == 3
    assert "has no key REDIS_PASSWORD" in done.stderr


@pytest.mark.parametrize("mode", ["existing", "external"])
def test_a_secret_of_others_is_not_made(mode: str, shell: Shell) -> None:
    done = prepared(shell, "", secret_mode=mode)
    assert done.status == 3
    assert "«shop-redis» is not in the namespace «shop»" in done.stderr
    assert shell.calls("kubectl", "create") == []


def test_a_try_whose_reply_was_lost_made_it(shell: Shell) -> None:
    exists = failure('Error from server (AlreadyExists): secrets "shop-redis" already exists')
    done = prepared(shell, "", [failure("Unable to connect to the server: EOF"), exists])
    assert done.status == 0, done
    assert len(shell.calls("kubectl", CREATE)) == 2


def test_a_refusal_ends_the_deploy(shell: Shell) -> None:
    done = prepared(shell, "", failure("Error from server (Forbidden): exceeded quota"))
    assert done.status == 3
    assert len(shell.calls("kubectl", CREATE)) == 1


def test_nothing_is_made_without_the_lock(shell: Shell) -> None:
    shell.stub("kubectl", {"get secret": "", "get lease": "1 another now", CREATE: ""})
    done = shell.run("lock_identity=me; prepare_secrets", "lock", "secrets", **GENERATED)
    assert done.status == 5
    assert shell.calls("kubectl", "create") == []
