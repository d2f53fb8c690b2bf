"""A workflow's steps are commands that are here; docs/pipeline.md says what ran each, or why nothing did."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").iterdir())
DOCS = (ROOT / "docs" / "pipeline.md").read_text()
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: str(path.name))


class Step(NamedTuple):
    """A command, and where it stands."""

    workflow: str
    job: str
    command: str


def workflow(path: Path) -> dict[Any, Any]:
    read = yaml.safe_load(path.read_text())
    assert isinstance(read, dict)
    return read


def steps() -> Iterator[Step]:
    for path in WORKFLOWS:
        for name, job in workflow(path)["jobs"].items():
            for step in job.get("steps", []):
                if "run" in step:
                    yield Step(path.stem, name, step["run"])


def rows() -> dict[str, str]:
    """What docs/pipeline.md says of each command."""
    _, _, rest = DOCS.partition("\n| command | run by |\n|---|---|\n")
    table, _, _ = rest.partition("\n\n")
    cells = [row.strip("|").split("|") for row in table.splitlines()]
    return {command.strip().strip("`"): told.strip() for command, told in cells}


@pytest.mark.parametrize(
    "step", list(steps()), ids=lambda step: f"{step.workflow}/{step.job}: {step.command}"
)
def test_a_step_is_one_command_that_exists(step: Step) -> None:
    program, *arguments = step.command.split()
    assert "\n" not in step.command
    assert "${{" not in step.command, "an expression there is read as shell"
    if program == "make":
        assert len(arguments) == 1
        assert arguments[0] in TARGETS
    else:
        assert (ROOT / program).is_file()
        assert os.access(ROOT / program, os.X_OK)


def test_the_page_names_every_command_and_no_other() -> None:
    assert {step.command for step in steps()} == rows().keys()


def test_what_ran_a_command_exists_and_what_did_not_run_has_a_reason() -> None:
    there = {
        (file.name, name)
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^ *(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    for command, told in rows().items():
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", told)
        assert set(named) <= there, command
        assert named or told.startswith(("`.ci/run`", "not run: ")), command


@each_workflow
def test_rights_are_given_to_jobs_and_explained(path: Path) -> None:
    read = workflow(path)
    assert read["permissions"] == {}
    assert all("permissions" in job for job in read["jobs"].values())
    text = path.read_text()
    assert re.findall(r"^ +[a-z-]+: (?:read|write)$", text, re.MULTILINE) == [], "say what for"
    assert "secrets." not in text, "there is no stored key"


@each_workflow
def test_jobs_end_and_do_not_race(path: Path) -> None:
    read = workflow(path)
    # YAML takes `on` for a truth value.
    called = "workflow_call" in read[True]
    for name, job in read["jobs"].items():
        if "uses" not in job:
            assert job["timeout-minutes"] <= 350, name  # GitHub ends a job after 360
        if "environment" in job:
            assert not job["concurrency"]["cancel-in-progress"], "half a deploy"
    assert called or path.stem == "deploy" or "concurrency" in read


@each_workflow
def test_actions_are_pinned_and_say_their_version(path: Path) -> None:
    for used in re.findall(r"uses: (.*)", path.read_text()):
        if not used.startswith("./"):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), used
    checkouts = re.findall(r"uses: actions/checkout.*\n(.*\n.*)\n", path.read_text())
    assert all("persist-credentials: false" in options for options in checkouts)


def test_one_action_has_one_commit_everywhere() -> None:
    used = {
        tuple(found)
        for path in WORKFLOWS
        for found in re.findall(r"uses: ([^./][^@]+)@(\S+)", path.read_text())
    }
    assert len(used) == len({name for name, _ in used})
    # A fork may have taken one out.
    assert {name for name, _ in used} <= set(re.findall(r"^\| `([\w-]+/[\w-]+)` \|", DOCS, re.MULTILINE))


def jobs_of(name: str) -> dict[str, Any]:
    jobs = workflow(ROOT / ".github" / "workflows" / f"{name}.yaml")["jobs"]
    assert isinstance(jobs, dict)
    return jobs


def waits_for(jobs: dict[str, Any], name: str) -> set[str]:
    """All jobs that must have succeeded before this one begins."""
    needed = jobs[name].get("needs", [])
    direct = {needed} if isinstance(needed, str) else set(needed)
    return direct.union(*(waits_for(jobs, one) for one in direct))


@pytest.mark.parametrize(
    ("name", "ends"), [("deploy", {"staging", "prod"}), ("release", {"image", "charts", "publish"})]
)
def test_nothing_leaves_untested(name: str, ends: set[str]) -> None:
    """A tag may name a commit that never was on main."""
    jobs = jobs_of(name)
    assert jobs["test"]["uses"] == "./.github/workflows/test.yaml"
    for end in ends:
        assert "test" in waits_for(jobs, end), end
        assert "if" not in jobs[end], "it would begin after a failure, too"


def test_an_older_commit_does_not_overtake_a_newer_one() -> None:
    jobs = jobs_of("deploy")
    assert jobs["image"]["concurrency"] == {"group": "deploy-image", "cancel-in-progress": False}
    # The tests are of one duration only on average.
    assert "test" in waits_for(jobs, "image")
    # A run that somebody starts by hand is of the branch that they choose.
    for first in ["test", "image"]:
        assert "github.ref == 'refs/heads/main'" in jobs[first]["if"]


def test_what_names_a_commit_has_them_all() -> None:
    """A shallow clone knows one commit, and would name that."""
    naming = ("dev/ci/image", "dev/ci/index", "./deploy.sh", "make e2e", "make faults-deploy")
    for path in WORKFLOWS:
        for name, job in workflow(path)["jobs"].items():
            listed = job.get("steps", [])
            if any(step.get("run", "").startswith(naming) for step in listed):
                assert listed[0]["with"].get("fetch-depth") == 0, f"{path.name}: {name}"


def test_prod_gets_what_staging_ran() -> None:
    jobs = jobs_of("deploy")
    staging, prod = (jobs[name]["steps"][-1] for name in ["staging", "prod"])
    assert staging["env"] == prod["env"]
    assert staging["run"].replace("staging", "prod") == prod["run"]
    assert "@$DIGEST" in prod["run"]
    assert "staging" in jobs["prod"]["needs"]
    assert [jobs[name]["environment"]["name"] for name in ["staging", "prod"]] == ["staging", "prod"]
    # A job that may reach a cluster may not push.
    assert all("packages" not in jobs[name]["permissions"] for name in ["staging", "prod"])


def test_who_can_sign_installs_none_of_the_tests_packages() -> None:
    """Any of them could sign as this workflow: pip runs a source package, Python a .pth file."""
    makefile = (ROOT / "Makefile").read_text()
    for path in WORKFLOWS:
        for name, job in workflow(path)["jobs"].items():
            if job["permissions"].get("id-token") != "write":
                continue
            for command in [step["run"] for step in job.get("steps", []) if "run" in step]:
                if command.startswith("make "):
                    target = re.escape(command.removeprefix("make "))
                    (needed,) = re.findall(rf"(?m)^{target}: (.*?) ##", makefile)
                    assert ".venv/test" not in needed.split(), f"{path.name}: {name}: {command}"
