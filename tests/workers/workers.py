"""A service of several processes, seen from outside."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

from tests.processes import children, runs, stands_still
from tests.service import Service, eventually


class Workers(Service):
    """The arbiter, and what tells of its workers."""

    def pids(self) -> set[int]:
        """The processes that the arbiter has started and that have not ended."""
        return {child for child in children(self.process.pid) if runs(child)}

    def wait_for_workers(self, count: int, seconds: float = 20.0) -> set[int]:
        """Wait until so many workers serve; return their processes."""
        eventually(lambda: self.gauge("workers") == count and len(self.pids()) == count, "workers", seconds)
        return self.pids()

    def wait_without(self, gone: set[int]) -> None:
        """Wait until these have ended."""
        eventually(lambda: gone.isdisjoint(self.pids()), "ended")

    def each_alone(self) -> Iterator[int]:
        """Let each worker in turn serve while the others stand still."""
        pids = sorted(self.pids())
        for pid in pids:
            others = [other for other in pids if other != pid]
            for other in others:
                os.kill(other, signal.SIGSTOP)
            eventually(lambda: all(map(stands_still, others)), "they stand still")  # noqa: B023 - called here
            yield pid
            for other in others:
                os.kill(other, signal.SIGCONT)

    def gauge(self, name: str) -> float | None:
        """Read what all workers show together."""
        found = re.search(rf"^{name} (\S+)$", self.metrics(), re.MULTILINE)
        return float(found[1]) if found else None

    def requests(self, route: str) -> float:
        """Read how many requests all workers have counted."""
        counted = re.findall(
            rf'^http_request_duration_seconds_count{{.*route="{route}".*}} (\S+)$',
            self.metrics(),
            re.MULTILINE,
        )
        return sum(map(float, counted))

    def metrics_folder(self) -> Path:
        """Where the workers keep what they count."""
        maps = Path(f"/proc/{min(self.pids())}/maps").read_text()
        return Path(re.findall(r"(/\S+)/gauge_livesum_\d+\.db", maps)[0])
