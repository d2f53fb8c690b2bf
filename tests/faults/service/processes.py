"""What the kernel says of a process."""

import os
import signal
from pathlib import Path

from tests.service import eventually


def stop(pid: int) -> None:
    """Return once the kernel has stopped it; SIGCONT lets it run again."""
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: state_of(pid) == "T", f"process {pid} is stopped")


def state_of(pid: int) -> str:
    """Return the letter that `ps` shows, T for a stopped process."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def descriptors(pid: int) -> int:
    """Return how many files and connections it has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
