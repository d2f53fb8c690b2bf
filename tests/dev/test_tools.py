"""Which helm and kubectl a machine gets: its own where new enough, a package's where these run."""

import os
from pathlib import Path

import pytest

from dev import tools
from dev.tools import Version, chosen, lacking, own

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
    assert lacking(found(helm, kubectl), plan) == ""


@pytest.mark.parametrize(
    ("helm", "kubectl", "names"),
    [((4, 1), (1, 36), {"helm", "kubectl"}), ((3, 18), (1, 33), {"helm3", "kubectl"})],
)
def test_elsewhere_the_machines_own_do(helm: Version, kubectl: Version, names: set[str]) -> None:
    plan = chosen(found(helm, kubectl), packaged=False)
    assert plan.keys() == names
    assert None not in plan.values()
    assert lacking(found(helm, kubectl), plan) == ""


def test_elsewhere_what_is_missing_or_too_old_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "own", found(None, (1, 20)).get)
    monkeypatch.setattr(tools, "packages_run", lambda: False)
    with pytest.raises(SystemExit) as ended:
        tools.main()
    told = str(ended.value)
    assert told.startswith(
        "make: install helm 3.14 or newer (there is none on PATH)"
        " and kubectl 1.32 or newer (/own/kubectl is 1.20): the packages' binaries do not run on "
    )
    assert len(told.splitlines()) == 1


@pytest.fixture
def no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which the packages would run, could they be fetched."""
    monkeypatch.setattr(tools, "TOOLS", tmp_path / "tools")
    monkeypatch.setattr(tools, "packages_run", lambda: True)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return tmp_path / "tools"


def test_no_package_index_is_one_line_where_there_is_no_helm(
    no_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "own", found((3, 9), None).get)
    with pytest.raises(SystemExit) as ended:
        tools.main()
    told = str(ended.value)
    assert told.startswith(
        "make: cannot download helm and kubectl: no package index answers; check the network, "
    )
    assert told.endswith(
        "or install helm 3.14 or newer (/own/helm is 3.9) and kubectl 1.32 or newer (there is none on PATH)"
    )
    assert len(told.splitlines()) == 1
    assert list(no_index.iterdir()) == []


def test_the_machines_own_are_enough_where_no_package_index_answers(
    no_index: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The oldest supported are for more tests, not for all of them."""
    monkeypatch.setattr(tools, "own", found((4, 1), (1, 33)).get)
    tools.main()
    assert {tool.name: str(tool.readlink()) for tool in no_index.iterdir()} == {
        "helm": "/own/helm",
        "kubectl": "/own/kubectl",
    }
    assert "make: without helm3, kubectl-1.32: no package index answers\n" in capsys.readouterr().err


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
