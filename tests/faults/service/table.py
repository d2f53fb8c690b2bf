"""The table of results that the suite prints, and keeps in docs/service-faults.md."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

HEADER = (
    "| fault | server | visits | answered 200 | lost | doubled | longest answer, s | healthy after, s "
    "| /healthz | /readyz | memory, MB |\n|---|---|---|---|---|---|---|---|---|---|---|\n"
)


@dataclass(frozen=True)
class Row:
    """One fault, as the visitors and the probes saw it."""

    fault: str
    server: str
    visits: int
    answered: int
    lost: int
    doubled: int
    longest: float
    healthy_after: float | None
    healthz: str
    readyz: str
    memory: str


def add_row(file: Path, row: Row) -> None:
    with file.open("a") as rows:
        rows.write(json.dumps(asdict(row)) + "\n")


def table(file: Path) -> str:
    rows = sorted(
        (Row(**json.loads(line)) for line in file.read_text().splitlines()),
        key=lambda row: (row.fault, row.server),
    )
    lines = []
    for row in rows:
        healthy = "" if row.healthy_after is None else f"{row.healthy_after:.1f}"
        lines.append(
            f"| {row.fault} | {row.server} | {row.visits} | {row.answered} | {row.lost} | {row.doubled} "
            f"| {row.longest:.2f} | {healthy} | {row.healthz} | {row.readyz} | {row.memory} |\n"
        )
    return HEADER + "".join(lines)
