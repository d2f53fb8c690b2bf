"""docs/rights, given to a project."""

import re
import subprocess

from tests.e2e.cluster import ROOT, Project

RIGHTS = ROOT / "docs" / "rights"


def of_project(project: Project, file: str) -> str:
    """A manifest with the project's name in the place of the example's."""
    return re.sub(r"\bshop\b", project.name, (RIGHTS / file).read_text())


def grant(project: Project, *files: str) -> None:
    for file in files:
        subprocess.run(
            ["kubectl", "apply", "-f", "-"], input=of_project(project, file), text=True, check=True
        )
