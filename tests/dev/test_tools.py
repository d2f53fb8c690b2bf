"""Which helm and kubectl a machine gets: its own where new enough, a package's where these run."""

from pathlib import Path

import pytest

from dev import tools
from dev.tools import Version, chosen, complaint, own

PACKAGED = {"helm", "helm3", "kubectl", "kubectl-1.32"}
Found = dict[str, tuple[str, Version] | None]


def found(helm: Version | None, kubectl: Version | None) -> Found:
    return {
        "helm": ("/own/helm", helm) if helm else None,
        "kubectl": ("/own/kubectl", kubectl) if kubectl else None,
    }


@pytest.mark.parametrize(
    ("helm", "kubectl", "own_names"),
    [
        (None, None, set()),
        ((4, 1), (1, 36), {"helm", "kubectl"}),
        ((3, 18), (1, 33), {"helm3"}),
        ((3, 9), (1, 20), set()),
    ],
)
def test_where_packages_run_everything_is_there(
    helm: Version | None, kubectl: Version | None, own_names: set[str]
) -> None:
    plan = chosen(found(helm, kubectl), packaged=True)
    assert plan.keys() == PACKAGED
    assert {name for name, program in plan.items() if program} == own_names
    assert complaint(found(helm, kubectl), plan) == ""


@pytest.mark.parametrize(
    ("helm", "kubectl", "names"),
    [((4, 1), (1, 36), {"helm", "kubectl"}), ((3, 18), (1, 33), {"helm3", "kubectl"})],
)
def test_elsewhere_the_machines_own_do(helm: Version, kubectl: Version, names: set[str]) -> None:
    plan = chosen(found(helm, kubectl), packaged=False)
    assert plan.keys() == names
    assert None not in plan.values()
    assert complaint(found(helm, kubectl), plan) == ""


def test_elsewhere_what_is_missing_or_too_old_is_one_line() -> None:
    lacking = found(None, (1, 20))
    told = complaint(lacking, chosen(lacking, packaged=False))
    assert told.startswith(
        "make: install helm 3.14 or newer (there is none on PATH)"
        " and kubectl 1.32 or newer (/own/kubectl is 1.20): the packages' binaries do not run on "
    )
    assert len(told.splitlines()) == 1


def program(folder: Path, text: str) -> Path:
    folder.mkdir()
    written = folder / "helm"
    written.write_text(f"#!/bin/sh\n{text}\n")
    written.chmod(0o755)
    return written


def test_a_program_is_asked_and_what_was_put_here_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = program(tmp_path / "ours", "echo v9.9.9")
    theirs = program(tmp_path / "theirs", 'test "$*" = "version --short" && echo v4.2.1+gabcdef')
    monkeypatch.setattr(tools, "TOOLS", ours.parent)
    monkeypatch.setenv("PATH", f"{ours.parent}:{theirs.parent}:/usr/bin:/bin")
    assert own("helm") == (str(theirs), (4, 2))
    theirs.write_text("#!/bin/sh\nexit 1\n")
    assert own("helm") is None
