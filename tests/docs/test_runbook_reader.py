"""How the tests of docs/runbook.md read it, and what the functions of its first block tell."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.docs.runbook import Block, Step, anchor, blocks, examples, names_in, script, with_values

BLOCKS = blocks()
SETUP = BLOCKS[0]
VALUES = {
    "RELEASE": "visits-1",
    "NAMESPACE": "apart",
    "CONTEXT": "a context",
    "HOST": "visits.test",
    "URL": "http://visits.test",
    "ENVIRONMENT": "dev",
    "INGRESS_NAMESPACE": "ingress-nginx",
    "REPOSITORY": "/a clone",
    "KEY": "counter",
    "DB": "3",
}


def test_the_first_block_gives_an_example_of_each_value_and_no_more() -> None:
    assert set(examples(SETUP.text)) == VALUES.keys()


def test_the_given_values_take_the_place_of_the_examples(tmp_path: Path) -> None:
    """What a test or a person sets is what the functions use, blanks and all."""
    fake = tmp_path / "kubectl"
    fake.write_text('#!/bin/sh\nprintf "<%s>" "$@"\n')
    fake.chmod(0o755)
    before = with_values(SETUP.text, VALUES)
    step = Step('kube get pod "$REDIS-0" -l "$PODS"\n', [["x"]])
    run = script(f"PATH={shlex.quote(str(tmp_path))}:$PATH\n{before}", [step], tmp_path)
    subprocess.run(["bash", "-c", run], check=True, capture_output=True)
    assert (tmp_path / "0.out").read_text() == (
        "<--context><a context><--namespace><apart><get><pod><visits-1-redis-0>"
        "<-l><app.kubernetes.io/name=visits,app.kubernetes.io/instance=visits-1>"
    )


KUBECTL = r"""#!/bin/sh
# Two pods; the second one is ready when it is asked again. Of a third an eviction left the name.
echo "$*" >>asked
case "$*" in
  *" get pods "*phase!=Failed*) printf 'pod/a\npod/b\n' ;;
  *" get pods "*) printf 'pod/a\npod/b\npod/evicted\n' ;;
  *exec*pod/a*/readyz*) echo 200 ok ;;
  *exec*pod/b*/readyz*) if [ -e seen ]; then echo 200 ok; else touch seen; echo 503 redis: connection; fi ;;
  *pod/a*/metrics*) printf '%s\n' '200 # HELP x_total is 0' 'x_total{r="a"} 0' 'x_total{r="b"} 2' 'y 1' ;;
  *exec*visits-1-redis-0*) echo "$*" ;;
  *) echo "Error: $*" >&2; exit 1 ;;
esac
"""


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("readyz", "pod/a 200 ok\npod/b 503 redis: connection\n"),
        ("await_ready", "pod/b 503 redis: connection\nevery pod is ready\n"),
        ("metrics 'x_total|z'", 'pod/a:\nx_total{r="b"} 2\npod/b gives no answer\n'),
    ],
)
def test_what_the_functions_of_the_first_block_tell(tmp_path: Path, command: str, told: str) -> None:
    fake = tmp_path / "kubectl"
    fake.write_text(KUBECTL)
    fake.chmod(0o755)
    run = f'PATH="$PWD:$PATH"\n{with_values(SETUP.text, VALUES)}\n{{ {command}; }} >told'
    subprocess.run(["bash", "-c", run], cwd=tmp_path, check=True, capture_output=True, timeout=20)
    assert (tmp_path / "told").read_text() == told
    # A service with ALLOWED_HOSTS answers no others.
    asked = [line for line in (tmp_path / "asked").read_text().splitlines() if line.startswith("print(")]
    assert all(line.endswith(f" {VALUES['HOST']}") for line in asked)
    assert asked


def test_redis_is_asked_for_the_database_of_the_values(tmp_path: Path) -> None:
    fake = tmp_path / "kubectl"
    fake.write_text(KUBECTL)
    fake.chmod(0o755)
    run = f'PATH="$PWD:$PATH"\n{with_values(SETUP.text, VALUES)}\nredis GET "a key" >told'
    subprocess.run(["bash", "-c", run], cwd=tmp_path, check=True, capture_output=True, timeout=20)
    assert (tmp_path / "told").read_text().endswith("redis -n 3 GET a key\n")


def test_steps_share_a_shell_and_each_has_its_output_and_status(tmp_path: Path) -> None:
    steps = [Step("name=world\nfalse\n"), Step("echo hello\necho $name >&2\n")]
    subprocess.run(["bash", "-c", script("", steps, tmp_path)], check=True)
    told = [(tmp_path / f"{number}.{what}").read_text() for number in (0, 1) for what in ("status", "out")]
    assert told == ["1\n", "", "0\n", "hello\nworld\n"]


def test_a_block_is_taken_apart_into_commands_and_what_they_show() -> None:
    text = "a\nb\n# well: one\n# shows: two\n# or: three\n# a remark\nc\n# shows: nothing\n# or fails: no …\n"
    assert Block("x", 1, text).steps == [
        Step("a\nb\n", [["one"], ["two", "three"]]),
        Step("# a remark\nc\n", [["nothing"]], ["no …"]),
    ]


@pytest.mark.parametrize("text", ["# shows: x\n", "a\n", "a\n# or: x\n", "a\n# well: x\nb\n"])
def test_a_block_that_leaves_something_open_is_refused(text: str) -> None:
    with pytest.raises(AssertionError):
        _ = Block("x", 1, text).steps


@pytest.mark.parametrize(
    ("wanted", "failures", "status", "output", "complaint"),
    [
        ([["pod/$RELEASE-… 1/1 … Running"]], [], 0, "pod/visits-1-a   1/1   Running  0\n", None),
        ([["pod/$RELEASE-… 1/1 … Running"]], [], 0, "pod/visits-1-a   0/1   Running\n1/1", "does not show"),
        ([["pod/$RELEASE-… 1/1"]], [], 0, "pod/other-a 1/1\n", "does not show"),
        ([["$REDIS-0"]], [], 0, "visits-1-redis-0\n", None),
        ([["role:master"], ["ok"]], [], 0, "role:master\r\nok\r\n", None),
        ([["role:master"], ["ok"]], [], 0, "role:master\r\n", "does not show ok"),
        ([["a", "b"]], [], 0, "b\n", None),
        ([["nothing"]], [], 0, "\n \n", None),
        ([["nothing"]], [], 0, "a\n", "does not show"),
        ([["…"]], [], 0, "", "does not show"),
        ([["a"]], ["no such …"], 1, "there is no such thing\n", None),
        ([["a"]], ["no such …"], 1, "a\n", "ended with 1"),
        ([["a"]], ["no such …"], 0, "there is no such thing\n", "does not show"),
        ([["a"]], [], 3, "a\n", "ended with 3"),
        ([["1.0 (x)"]], [], 0, "1+0 x\n", "does not show"),
    ],
)
def test_a_step_is_held_to_what_the_page_says(
    wanted: list[list[str]], failures: list[str], status: int, output: str, complaint: str | None
) -> None:
    found = Step("x\n", wanted, failures).complaint(status, output, names_in(VALUES))
    assert (found is None) if complaint is None else (complaint in str(found))


def test_an_anchor_is_that_of_the_page_in_a_browser() -> None:
    assert anchor("Exit status of deploy.sh") == "exit-status-of-deploysh"
    assert anchor("Reasons of /readyz") == "reasons-of-readyz"
    assert anchor("Verified, and back") == "verified-and-back"


def test_every_name_in_a_mark_is_known() -> None:
    known = names_in(VALUES)
    for block in BLOCKS:
        for step in block.steps:
            texts = [*step.failures, *(text for few in step.wanted for text in few)]
            assert set(re.findall(r"\$([A-Z_]+)", " ".join(texts))) <= known.keys(), block.name
