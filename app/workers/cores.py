"""How many processes run at the same time here."""

import math
import os
import sys
from pathlib import Path

GROUP = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")


def usable_cores(group: Path = GROUP, groups: Path = GROUPS) -> int:
    """Return the cores that this process may use: of those that it may run on (cpuset, taskset) no more than
    it gets the time of (`cpu.max` of its control group or one above, rounded up; cgroup v2 only)."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, min([cores, *_quotas(group, groups)]))


def _quotas(group: Path, groups: Path) -> list[int]:
    try:
        # The unified hierarchy, which alone has cpu.max.
        (own,) = (line[3:] for line in group.read_text().splitlines() if line.startswith("0::"))
    except (OSError, ValueError):
        return []
    folder = groups / own.lstrip("/")
    return [quota for one in (folder, *folder.parents) if (quota := _quota(one / "cpu.max")) is not None]


def _quota(file: Path) -> int | None:
    try:
        time, _, period = file.read_text().partition(" ")
        return math.ceil(int(time) / int(period))
    except (OSError, ValueError):
        # Not there, or "max": no limit.
        return None
