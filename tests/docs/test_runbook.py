"""docs/runbook.md has a section for whatever may wake somebody, and its commands are commands.

That they show what stands beside them is tests/e2e/test_runbook.py's.
"""

import re
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from app.counter.waiting import REFUSED
from app.health import State
from app.redis.failures import _CLASSES, MENDS_ITSELF, NOTHING_APPLIED, failure_reason
from tests.conftest import StartService
from tests.docs.runbook import (
    PAGE,
    ROOT,
    Block,
    Section,
    Step,
    anchor,
    blocks,
    examples,
    names_in,
    runbook,
    script,
    sections,
    with_values,
)

CONTRACT = {
    "VisitsFailFast",
    "VisitsFailSlowly",
    "VisitsLateFast",
    "VisitsLateSlowly",
    "EntranceFails",
    "NoPodReady",
    "NoPodSeen",
    "RedisUnreachable",
    "RedisRefuses",
    "RedisNearlyFull",
    "RedisCannotPersist",
    "PodRestarts",
    "RolloutStuck",
    "CertificateEnds",
    "CredentialRefused",
    "CounterStandsStill",
}
PARTS = ["What visitors see", "How to see it", "What to do", "Over when"]
SECTIONS = runbook()
BLOCKS = blocks()
SETUP, *OTHERS = BLOCKS
TOOLS = {"kube": "kubectl", "kubectl": "kubectl", "deploy": "deploy.sh"}
PIECES = {"|", "||", "&&", ";", "(", ")", "\n"}


def below(title: str) -> list[Section]:
    """The sections under this one."""
    (start,) = [number for number, section in enumerate(SECTIONS) if section.title == title]
    found = []
    for section in SECTIONS[start + 1 :]:
        if section.level <= SECTIONS[start].level:
            break
        found.append(section)
    return found


def alerts() -> set[str]:
    """Those of the charts' rules; of the contract while the charts have none."""
    files = [path for path in (ROOT / ".helm").rglob("*") if path.suffix in {".yaml", ".tpl", ".yml"}]
    named = {name for file in files for name in re.findall(r"\balert: ([A-Z]\w+)", file.read_text())}
    return named or CONTRACT


def test_every_alert_has_its_section_and_no_other_has_one() -> None:
    assert {section.title for section in below("Alerts")} == alerts()


@pytest.mark.parametrize("section", below("Alerts"), ids=lambda section: section.title)
def test_an_alert_is_told_in_four_parts(section: Section) -> None:
    assert section.anchor == section.title.lower()
    _, *found = re.split(r"^\*\*([\w ]+?)(?::|\.)?\*\*", section.text, flags=re.MULTILINE)
    assert found[::2] == PARTS, "in this order, each at the beginning of a line"
    told = dict(zip(found[::2], found[1::2], strict=True))
    assert all(text.strip(" .:\n") for text in told.values())
    assert "```sh" in told["How to see it"]
    assert "```sh" in told["Over when"]
    assert "```sh" in told["What to do"] or "](#" in told["What to do"]


def test_every_exit_status_of_deploy_sh_has_its_section() -> None:
    usage = (ROOT / "deploy" / "usage.txt").read_text().partition("Exit status:\n")[2]
    numbers = re.findall(r"(?:^ |  )((?:\d+, )*\d+)(?= )", usage, re.MULTILINE)
    told = {status for few in numbers for status in few.split(", ")}
    titles = [re.findall(r"\d+", section.title) for section in below("Exit status of deploy.sh")]
    assert sorted(status for few in titles for status in few) == sorted(told)


def reasons() -> dict[str, str]:
    """The rows of the table: what is in the third column, by the reason without what it is that is needed."""
    (section,) = [one for one in SECTIONS if one.title == "Reasons of /readyz"]
    rows = re.findall(r"^\| `(?:redis: )?([^`]+)` \| [^|]+ \| (\w+) \| [^|]+ \|$", section.text, re.MULTILINE)
    assert len(rows) == section.text.count("\n| `"), "a row has other columns, or a reason twice"
    return dict(rows)


def test_every_reason_of_readyz_and_of_the_metrics_is_explained() -> None:
    of_redis = {word for _, word in _CLASSES} | NOTHING_APPLIED | MENDS_ITSELF | {REFUSED}
    unknown = {failure_reason(ResponseError("ERR unknown command")), failure_reason(ValueError())}
    of_the_process = {str(state) for state in State} - {State.READY}
    assert reasons().keys() == of_redis | unknown | of_the_process


def test_what_the_table_says_to_mend_itself_does() -> None:
    by_itself = {reason for reason, told in reasons().items() if told == "yes"}
    assert set(reasons().values()) == {"yes", "no"}
    assert by_itself == MENDS_ITSELF | {REFUSED, State.STARTING, State.DRAINING}


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", re.sub(r"\n", " ", PAGE.read_text()))
    assert len(links) > 50
    for path, part in links:
        file = PAGE.parent / path if path else PAGE
        assert file.is_file(), path
        if part:
            assert part in {one.anchor for one in sections(file.read_text())}, f"{path}#{part}"


def test_the_metrics_that_the_page_asks_for_are_those_of_the_service(start_service: StartService) -> None:
    """Else `metrics` would find nothing, which looks well."""
    text = start_service().metrics()
    if "visits_counted" not in text:
        pytest.skip("the service does not tell of its counter yet")
    call = re.compile(r"^metrics '?([^'\n]+)'?$", re.MULTILINE)
    asked = {name for block in OTHERS for names in call.findall(block.text) for name in parted(names)}
    assert len(asked) > 8
    for name in asked:
        assert re.search(rf"^{name.partition('.*')[0]}[{{ ]", text, re.MULTILINE), name


def parted(names: str) -> list[str]:
    """The names in `a|b_(sum|count)`."""
    return re.split(r"\|(?![^(]*\))", names)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_a_block_is_shell_and_says_what_each_command_shows(block: Block) -> None:
    done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for step in block.steps:
        # A step of many commands would hide which of them showed it; the first block defines functions.
        commands = [line for line in step.command.splitlines() if line and not line.startswith("#")]
        assert block is SETUP or len(commands) <= 3, step.command


def test_shellcheck_finds_nothing_on_the_whole_page() -> None:
    # SC2016: single quotes are for the shell in the pod.
    command = ["shellcheck", "--shell", "bash", "--exclude", "SC2016", "-"]
    page = "\n".join(block.text for block in BLOCKS)
    done = subprocess.run(command, input=page, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def commands(text: str) -> list[list[str]]:
    """The words of every command of a tool that the page uses, however deep it stands."""
    code = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    words = shlex.shlex(code.replace("$(", "( "), posix=True, punctuation_chars="|&;()\n")
    words.whitespace, words.whitespace_split, words.commenters = " \t", True, "#"
    found: list[list[str]] = [[]]
    for word in words:
        if word.strip(" \t") and not set(word) <= set("|&;()\n"):
            found[-1].append(word)
        else:
            found.append([])
    return [few for few in found if few and few[0] in TOOLS]


@cache
def options_of_kubectl(verb: tuple[str, ...]) -> set[str]:
    """What this command of kubectl takes, with what all of them take."""
    known = set()
    for asked in ([*verb, "--help"], ["options"]):
        told = subprocess.run(["kubectl", *asked], capture_output=True, text=True, check=True).stdout
        for line in re.findall(r"^ +(-.*)$", told, re.MULTILINE):
            known |= set(re.findall(r"(?:^|, )(--?[\w-]+)", line))
    assert "--namespace" in known
    return known


def flags(words: list[str]) -> list[str]:
    """What begins with a dash, up to the command for the container."""
    mine = words[: words.index("--")] if "--" in words else words
    return [word.partition("=")[0] for word in mine if re.match(r"--?[a-z]", word)]


def verb(words: list[str]) -> tuple[str, ...]:
    """`rollout status` of `kubectl --context C rollout status deployment …`."""
    rest = iter(words[1:])
    found: list[str] = []
    for word in rest:
        if word in {"--context", "--namespace"} and not found:
            next(rest)
        elif re.fullmatch(r"[a-z]+", word):
            found.append(word)
        else:
            break
    return tuple(found[:3])


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on PATH: see dev/tools.py")
def test_every_option_of_kubectl_exists() -> None:
    asked = [words for block in BLOCKS for words in commands(block.text) if TOOLS[words[0]] == "kubectl"]
    assert len(asked) > 60
    for words in asked:
        assert set(flags(words)) <= options_of_kubectl(verb(words)), " ".join(words)


def test_every_option_of_deploy_sh_exists() -> None:
    known = set(re.findall(r"^ +(--[a-z-]+)", (ROOT / "deploy" / "usage.txt").read_text(), re.MULTILINE))
    known |= {"--help"}
    asked = [words for block in BLOCKS for words in commands(block.text) if words[0] == "deploy"]
    assert {flag for words in asked for flag in flags(words)} >= {"--status", "--rollback", "--plan"}
    for words in asked:
        assert set(flags(words)) <= known, " ".join(words)
    in_words = set(re.findall(r"`(--[a-z-]+)`", PAGE.read_text()))
    assert in_words <= known


def test_every_function_that_the_page_uses_is_in_its_first_block() -> None:
    defined = set(re.findall(r"^(\w+)\(\)", SETUP.text, re.MULTILINE))
    used = {name for name in defined if any(re.search(rf"\b{name}\b", one.text) for one in OTHERS)}
    assert used == defined
    for block in OTHERS:
        assert "kubectl -n" not in block.text, "the page's own kube names context and namespace"


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
# Two pods; the second one is ready when it is asked again.
case "$*" in
  *" get pods "*) printf 'pod/a\npod/b\n' ;;
  *exec*pod/a*/readyz) echo 200 ok ;;
  *exec*pod/b*/readyz) if [ -e seen ]; then echo 200 ok; else touch seen; echo 503 redis: connection; fi ;;
  *exec*pod/a*/metrics) printf '%s\n' '200 # HELP x_total is 0' 'x_total{r="a"} 0.0' 'x_total{r="b"} 2.0' 'y 1.0' ;;
  *) echo "Error: $*" >&2; exit 1 ;;
esac
"""


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("readyz", "pod/a 200 ok\npod/b 503 redis: connection\n"),
        ("await_ready", "pod/b 503 redis: connection\nevery pod is ready\n"),
        ("metrics 'x_total|z'", 'pod/a:\nx_total{r="b"} 2.0\npod/b gives no answer\n'),
    ],
)
def test_what_the_functions_of_the_first_block_tell(tmp_path: Path, command: str, told: str) -> None:
    fake = tmp_path / "kubectl"
    fake.write_text(KUBECTL)
    fake.chmod(0o755)
    run = f'PATH="$PWD:$PATH"\n{with_values(SETUP.text, VALUES)}\n{{ {command}; }} >told'
    subprocess.run(["bash", "-c", run], cwd=tmp_path, check=True, capture_output=True, timeout=20)
    assert (tmp_path / "told").read_text() == told


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
