"""What the system tells of a process."""

from pathlib import Path


def runs(pid: int) -> bool:
    """Whether a process is there, and not merely waits to be asked how it ended."""
    return state_of(pid) not in {"", "Z"}


def stands_still(pid: int) -> bool:
    return state_of(pid) == "T"


def children(pid: int) -> list[int]:
    """The processes that it has started and not yet asked how they ended, oldest first."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def state_of(pid: int) -> str:
    """One letter, as proc(5) has it; nothing for a process that is not there."""
    try:
        _, _, after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return after_name.split()[0]
