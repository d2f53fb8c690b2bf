"""CPU and memory of a process with all that it started (Linux)."""

import os
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")


def members(root: int) -> list[int]:
    """Return a process and its descendants."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(_fields(stat)[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    tree = [root]
    for process in tree:
        tree.extend(child for child, parent in parents.items() if parent == process)
    return tree


def cpu_seconds(root: int) -> float:
    """User and system time so far."""
    ticks = 0
    for process in members(root):
        fields = _fields(Path(f"/proc/{process}/stat"))
        ticks += int(fields[11]) + int(fields[12])
    return ticks * TICK


def proportional_megabytes(root: int) -> float:
    """PSS: what several processes share counts once; in units of 10⁶ bytes."""
    kilobytes = 0
    for process in members(root):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                kilobytes += int(line.split()[1])
    return kilobytes * 1024 / 1e6


def _fields(stat: Path) -> list[str]:
    """Return what follows the name, which may have spaces: state, parent, …"""
    return stat.read_text().rpartition(")")[2].split()
