"""This service, which notes a hundred times in a second of its CPU time where it is: see bench.http.parts.

`python -m bench.http.sampled FILE`: from SIGUSR1 to SIGUSR2, then it writes how often it was where.
"""

import json
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from app.__main__ import start

PERIOD = 0.01
"""Seconds of CPU time between two looks."""
Place = tuple[str, str]
"""A file and a function in it."""


class Sampler:
    """Looks at the stack of the main thread, where the event loop runs."""

    def __init__(self) -> None:
        self.stacks: Counter[tuple[Place, ...]] = Counter()
        self._wakes = -1

    def begin(self, *_: object) -> None:
        signal.signal(signal.SIGPROF, self._look)
        # The event loop would be woken for each look.
        self._wakes = signal.set_wakeup_fd(-1)
        signal.setitimer(signal.ITIMER_PROF, PERIOD, PERIOD)

    def end(self, file: Path) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.set_wakeup_fd(self._wakes)
        told = [[list(stack), count] for stack, count in self.stacks.items()]
        written = file.with_suffix(".part")
        written.write_text(json.dumps(told))
        written.rename(file)

    def _look(self, _: int, frame: FrameType | None) -> None:
        self.stacks[tuple(places(frame))] += 1


def places(frame: FrameType | None) -> Iterator[Place]:
    """Yield where a stack is, the innermost first."""
    while frame is not None:
        yield frame.f_code.co_filename, frame.f_code.co_name
        frame = frame.f_back


def main() -> int:
    sampler, file = Sampler(), Path(sys.argv[1])
    signal.signal(signal.SIGUSR1, sampler.begin)
    signal.signal(signal.SIGUSR2, lambda *_: sampler.end(file))
    return start()


if __name__ == "__main__":
    sys.exit(main())
