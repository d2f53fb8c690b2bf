"""What the kernel says of a process."""

import os
import signal
from pathlib import Path

from tests.processes import stands_still
from tests.service import eventually


def stop(pid: int) -> None:
    """Return once the kernel has stopped it; SIGCONT lets it run again."""
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: stands_still(pid), f"process {pid} is stopped")


def descriptors(pid: int) -> int:
    """Return how many files and connections it has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
