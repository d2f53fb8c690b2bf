"""One line of the fault table: visitors come, something breaks and mends, and then the books must balance."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.service.balance import balance
from tests.faults.service.prober import Prober
from tests.faults.service.redis_servers import Server
from tests.service import Service, eventually
from tests.visitors import PAUSE, Visit, Visitors

REQUEST_TIMEOUT = 2.0
"""The service's default."""
LONGEST_ANSWER = REQUEST_TIMEOUT + 0.2
LONGEST_RECOVERY = 5.0

Record = Callable[[Mapping[str, str]], None]


class Line:
    """What the block of a fault works with."""

    def __init__(self, service: Service, visitors: Visitors, prober: Prober) -> None:
        self.service = service
        self.visitors = visitors
        self.prober = prober
        self.more: list[Visitors] = []
        """Further visitors, perhaps of other processes, whom the block sent."""
        self.others = 0
        """Visits that the block sent itself, and of which nothing is known."""

    def says(self, reason: str) -> None:
        """Wait until the service says why it is not ready; it is alive all the same."""
        expected = f"redis: {reason}\n"
        eventually(lambda: self.service.get("/readyz").body.decode() == expected, f"not ready: {reason}")
        assert self.service.get("/healthz").status == 200

    def recovery(self) -> float:
        """Return the seconds from now until the service is healthy."""
        mended = time.monotonic()

        def healthy() -> bool:
            return self.service.get("/readyz").status == 200 and any(
                visit.began > mended for visit in self.visitors.answered[-50:]
            )

        eventually(healthy, "healthy again", 30)
        return time.monotonic() - mended

    def sent(self) -> list[list[Visit]]:
        """Return the visits of each group of visitors."""
        return [visitors.sent for visitors in (self.visitors, *self.more)]


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

    def cells(self) -> dict[str, str]:
        """What stands in each column of the table, by its heading."""
        return {
            "fault": self.fault,
            "server": self.server,
            "visits": str(self.visits),
            "answered 200": str(self.answered),
            "lost": str(self.lost),
            "doubled": str(self.doubled),
            "longest answer, s": f"{self.longest:.2f}",
            "healthy after, s": "" if self.healthy_after is None else f"{self.healthy_after:.1f}",
            "/healthz": self.healthz,
            "/readyz": self.readyz,
            "memory, MB": self.memory,
        }


def resident(service: Service) -> float:
    """Resident memory in MB."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024


@contextmanager
def fault(
    name: str,
    service: Service,
    server: Server,
    record: Record,
    *,
    ends: bool = False,
    longest: float = LONGEST_ANSWER,
    pause: float = PAUSE,
) -> Iterator[Line]:
    """Judge the block by what visitors and probes saw during it, and by the counter afterwards.

    The end of the block is the end of the fault. With `ends` the service does not outlive the block. A
    visitor comes again after `pause` seconds.
    """
    with Visitors(service.address, pause=pause) as visitors, Prober(service) as prober:
        visitors.await_answers(200)
        before = resident(service)
        line = Line(service, visitors, prober)
        yield line
        healthy_after = None if ends else line.recovery()
        if not ends:
            visitors.await_answers(200)
    memory = f"{before:.0f}" if ends else f"{before:.0f} → {resident(service):.0f}"
    lost, doubled = balance(line.sent(), int(server.run("GET", "counter") or 0), line.others)
    sent = [visit for visits in line.sent() for visit in visits]
    row = Row(
        fault=name,
        server=str(server.product),
        visits=len(sent),
        answered=sum(visit.status == 200 for visit in sent),
        lost=lost,
        doubled=doubled,
        longest=max(visit.seconds for visit in sent if visit.status > 0),
        healthy_after=healthy_after,
        healthz=prober.told("/healthz"),
        readyz=prober.told("/readyz"),
        memory=memory,
    )
    record(row.cells())
    assert (row.lost, row.doubled) == (0, 0), row
    assert row.longest <= longest, row
    assert healthy_after is None or healthy_after <= LONGEST_RECOVERY, row
