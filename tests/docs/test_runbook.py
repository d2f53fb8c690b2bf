"""docs/runbook.md has a section for whatever may wake somebody, and its commands are commands.

That they show what stands beside them is tests/e2e/runbook's.
"""

import re
import shlex
import shutil
import subprocess
from functools import cache

import pytest

from app.counter.waiting import REFUSED
from app.health import State
from app.redis.failures import FAILURES, MENDS_ITSELF
from dev.valkey import free_port
from tests.conftest import StartService
from tests.docs.runbook import (
    PAGE,
    ROOT,
    Block,
    Section,
    blocks,
    runbook,
    sections,
)

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
    """Those of the chart."""
    return set(re.findall(r"\balert: ([A-Z]\w+)", (ROOT / ".helm/files/alerts.yaml").read_text()))


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
    of_the_process = {str(state) for state in State} - {State.READY}
    assert reasons().keys() == FAILURES | {REFUSED} | of_the_process


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
    text = start_service(ADMIN_PORT=free_port()).metrics()
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
