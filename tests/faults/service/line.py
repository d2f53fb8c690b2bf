"""One line of the fault table: visitors come, something breaks and mends, and then the books must balance."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.service.redis_servers import Server
from tests.faults.service.table import Row
from tests.faults.service.visitors import Prober, Visitors
from tests.service import Service, eventually

REQUEST_TIMEOUT = 2.0
"""The service's default."""
LONGEST_ANSWER = REQUEST_TIMEOUT + 0.2
LONGEST_RECOVERY = 5.0

Record = Callable[[Row], None]


class Line:
    """What the block of a fault works with."""

    def __init__(self, service: Service, visitors: Visitors, prober: Prober) -> None:
        self.service = service
        self.visitors = visitors
        self.prober = prober
        self.healthy_after: float | None = None

    def mended(self) -> None:
        """Call it when the fault is over: measures how long until the service is healthy."""
        mended = time.monotonic()

        def healthy() -> bool:
            return self.service.get("/readyz").status == 200 and any(
                visit.began > mended for visit in self.visitors.answered[-50:]
            )

        eventually(healthy, "healthy again", 30)
        self.healthy_after = time.monotonic() - mended


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
    others: int = 0,
    ends: bool = False,
    longest: float = LONGEST_ANSWER,
) -> Iterator[Line]:
    """Judge the block by what visitors and probes saw during it, and by the counter afterwards.

    `others` is how many visits the block itself may send. With `ends` the service does not outlive the block.
    """
    with Visitors(service.port) as visitors, Prober(service) as prober:
        visitors.await_answers(200)
        before = resident(service)
        line = Line(service, visitors, prober)
        yield line
        if not ends:
            visitors.await_answers(200)
    memory = f"{before:.0f}" if ends else f"{before:.0f} → {resident(service):.0f}"
    value = int(server.run("GET", "counter") or 0)
    lost, doubled = balance(visitors, value, others)
    row = Row(
        fault=name,
        server=server.product,
        visits=len(visitors.sent),
        answered=len(visitors.answered),
        lost=lost,
        doubled=doubled,
        longest=max(visit.seconds for visit in visitors.sent if visit.status > 0),
        healthy_after=line.healthy_after,
        healthz=prober.told("/healthz"),
        readyz=prober.told("/readyz"),
        memory=memory,
    )
    record(row)
    assert (row.lost, row.doubled) == (0, 0), row
    assert row.longest <= longest, row
    assert line.healthy_after is None or line.healthy_after <= LONGEST_RECOVERY, row


def balance(visitors: Visitors, value: int, others: int) -> tuple[int, int]:
    """Return how many answered visits are not in the counter, and how many were counted twice.

    An answered visit has a number of its own that the counter reached. Every number that no visitor was shown
    needs a visit that was not answered with 200.
    """
    numbers = [visit.number for visit in visitors.answered if visit.number is not None]
    assert len(numbers) == len(visitors.answered), "a 200 without a number"
    beyond = sum(number > value for number in numbers)
    shown_twice = len(numbers) - len(set(numbers))
    unanswered = len(visitors.sent) - len(visitors.answered) + others
    unexplained = value - len(set(numbers))
    return max(beyond, -unexplained, 0) + shown_twice, max(unexplained - unanswered, 0)
