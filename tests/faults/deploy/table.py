"""The table of results that the suite prints, and keeps in docs/deploy-faults.md."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One fault: how deploy.sh ended, what visitors saw meanwhile, and what a person was told."""

    fault: str
    helm: str
    status: str
    requests: int
    failed: int
    seconds: float
    told: str


def add_row(file: Path, row: Row) -> None:
    with file.open("a") as rows:
        rows.write(json.dumps(asdict(row)) + "\n")


def without_names(told: str) -> str:
    """A table that is kept names neither the machine nor the cluster that it was made on."""
    told = re.sub(r"context «(?!production)[^»]+»", "context «test»", told)
    return re.sub(r"[\w.-]+@[\w-]+-\d+-\d+", "somebody@machine", told)


def table(file: Path) -> str:
    rows = sorted((json.loads(line) for line in file.read_text().splitlines()), key=lambda row: row["fault"])
    lines = [
        "| fault | helm | exit | requests meanwhile | failed | seconds | what it said |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        told = without_names(row["told"]).replace("|", "\\|").replace("deploy.sh: ", "")
        lines.append(
            f"| {row['fault']} | {row['helm']} | {row['status']} | {row['requests']} | {row['failed']} "
            f"| {row['seconds']:.0f} | {told} |"
        )
    return "\n".join(lines) + "\n"
