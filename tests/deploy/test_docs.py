"""docs/deploy.md names the steps, exit statuses and variables that deploy.sh has."""

import json
import re
import subprocess
from pathlib import Path

from tests.deploy.shell import Shell

ROOT = Path(__file__).resolve().parents[2]
DOCS = (ROOT / "docs" / "deploy.md").read_text()
MAIN = (ROOT / "deploy.sh").read_text()
SCRIPTS = "\n".join(script.read_text() for script in sorted((ROOT / "deploy").glob("*.sh")))


def table(heading: str) -> list[list[str]]:
    """The rows of the first table under this header row, a list of cells each."""
    _, _, rest = DOCS.partition(f"\n{heading}\n")
    assert rest, f"docs/deploy.md has no table {heading}"
    rows, _, _ = rest.partition("\n\n")
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows.splitlines()[1:]]


def test_the_exit_statuses_are_those_of_help() -> None:
    usage = subprocess.run([str(ROOT / "deploy.sh"), "--help"], capture_output=True, text=True, check=True)
    _, _, statuses = usage.stdout.partition("Exit status:\n")
    told = {
        int(status)
        for numbers in re.findall(r"(?:^ |  )((?:\d+, )*\d+)(?= )", statuses, re.MULTILINE)
        for status in numbers.split(", ")
    }
    rows = table("| status | meaning | what serves now | what to do next |")
    documented = {int(status) for row in rows for status in row[0].split(", ")}
    assert documented == told
    assert all(len(row) == 4 and all(row) for row in rows)


def test_every_status_that_the_scripts_end_with_has_its_row() -> None:
    ends = r"\b(?:fail|exit|release_failed \"\$\w+\"|candidate_failed|interrupted) (\d+)\b"
    used = {int(status) for status in re.findall(ends, re.sub(r"^\s*#.*", "", SCRIPTS, flags=re.MULTILINE))}
    rows = table("| status | meaning | what serves now | what to do next |")
    assert used == {int(status) for row in rows for status in row[0].split(", ")}


def test_the_variables_and_their_defaults_are_those_of_the_scripts() -> None:
    read = dict(re.findall(r"\$\{(DEPLOY_[A-Z_]+):?-([^}]*)\}", SCRIPTS))
    assert read.keys() == set(re.findall(r"DEPLOY_[A-Z_]+", SCRIPTS + MAIN))
    actual = {name: default.removeprefix("$root/") or "none" for name, default in read.items()}
    documented = {row[0].strip("`"): row[1].strip("`") for row in table("| variable | default | meaning |")}
    assert documented == actual


def test_the_steps_are_those_of_a_deploy() -> None:
    _, _, deploy = MAIN.partition("  deploy)\n")
    steps = re.findall(r'^    step "?(\w+)"? ', deploy.partition(";;")[0], re.MULTILINE)
    assert [row[0] for row in table("| step | what it does |")] == ["parse", *steps]


def test_the_keys_of_an_outcome_are_those_of_the_page(shell: Shell) -> None:
    files = ["image", "record", "lock", "entrance", "evidence"]
    told = json.loads(shell.says("outcome 0", *files))
    documented = {key for row in table("| key | meaning |") for key in re.findall(r"`(\w+)`", row[0])}
    assert documented == told.keys()


def test_the_keys_of_a_status_that_the_page_names_are_there() -> None:
    _, _, section = DOCS.partition("## What a program is told")
    (line,) = re.findall(r"^- `--status`: (.*?)^- ", section, re.MULTILINE | re.DOTALL)
    text = (ROOT / "deploy" / "status.sh").read_text()
    for key in re.findall(r"`service_(\w+)`", line):
        assert f"${{key}}_{key}" in text, key
