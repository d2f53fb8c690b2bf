"""One line of the fault table: visitors come, something breaks and mends, and then the answers are judged."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from app.settings import Settings
from tests.faults.service.balance import balance
from tests.faults.service.evidence import Evidence
from tests.faults.service.prober import Prober
from tests.faults.service.redis_servers import Server, holds
from tests.faults.service.verdict import DidNotStrike, Promise, Row, judge
from tests.service import Service, eventually
from tests.visitors import PAGE_AND_API, PAUSE, Request, Visit, Visitors

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Record = Callable[[Mapping[str, str]], None]

DEFAULTS = Settings.model_construct()
SOME_VISITS = 100
"""Before the fault, and after it."""
BEYOND = 3.0
"""Seconds that visitors and probes wait longer than they are allowed to: what is silent by then hangs."""


def seconds_of(service: Service, name: str) -> float:
    """Return a setting of this service, or its default."""
    return float(str(service.settings.get(name, getattr(DEFAULTS, name.lower()))))


class Line:
    """What the block of a fault works with.

    The fault is made of steps that the block takes with `do`. With `is_on` False no step is taken and nothing
    breaks: that is a control, which must fail as the fault is not seen to have struck.
    """

    def __init__(self, service: Service, visitors: Visitors, prober: Prober, *, is_on: bool) -> None:
        self.service = service
        self.request_timeout = seconds_of(service, "REQUEST_TIMEOUT")
        self.one_attempt = 2 * seconds_of(service, "REDIS_TIMEOUT")
        """Seconds that one attempt to reach Redis may take, with looking up anew where it is."""
        self.visitors = visitors
        self.prober = prober
        self.more: list[Visitors] = []
        """Further visitors, perhaps of other processes, whom the block sent."""
        self.known: list[Visit] = []
        """Visits to the service that the block made itself."""
        self.others: Callable[[], int] = lambda: 0
        """At the end: how many more visits were counted, of which nothing else is known."""
        self.stood_still = 0.0
        """Seconds in which the process itself did not run."""
        self.is_on = is_on
        self._watched: list[tuple[Evidence, int, int]] = []
        self._struck: Counter[str] = Counter()

    def do(
        self, step: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Result | None:
        """Take a step of the fault, its end included."""
        return step(*arguments, **named) if self.is_on else None

    def lasts(self, seconds: float) -> None:
        """Let the fault go on for so long."""
        if self.is_on:
            time.sleep(seconds)

    def watch(self, *evidence: Evidence, least: int = 1) -> None:
        """From now on each of these must happen so often, or the fault did not strike."""
        self._watched += [(one, one.count(), least) for one in evidence]

    def struck(self, what: str, times: int, least: int = 1) -> None:
        """Note how often the block saw the fault strike. Raises DidNotStrike."""
        if times < least:
            raise DidNotStrike(f"{what}: {times}, and at least {least} were to be seen")
        self._struck[what] += times

    def sees(self, what: str, condition: Callable[[], object], seconds: float = 30.0) -> None:
        """Wait until the fault shows."""
        if self.is_on:
            eventually(lambda: holds(condition), what, seconds)

    def says(self, reason: str) -> None:
        """Wait until the service says why it is not ready; it is alive all the same."""
        expected = f"redis: {reason}\n"
        self.sees(f"not ready: {reason}", lambda: self.service.get("/readyz").body.decode() == expected)

    def strikes(self) -> dict[str, int]:
        """Return how often the fault struck, by what shows it. Raises DidNotStrike."""
        for one, before, least in self._watched:
            self.struck(one.what, one.count() - before, least)
        assert self._struck, "a line names what shows that its fault struck"
        return dict(self._struck)

    def recovery(self) -> float:
        """Return the seconds from now until the service is healthy."""
        mended = time.monotonic()

        def healthy() -> bool:
            return self.service.get("/readyz").status == 200 and any(
                visit.began > mended for visit in self.visitors.answered[-50:]
            )

        eventually(healthy, "healthy again", 30)
        return time.monotonic() - mended

    def visits(self) -> list[list[Visit]]:
        """Return what each group of visitors saw, once all have left."""
        assert all(visitors.have_left for visitors in self.more), (
            "they must leave before the end of the block"
        )
        own, *more = [list(visitors.visits) for visitors in (self.visitors, *self.more)]
        return [own + self.known, *more]


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
    *,
    record: Record,
    is_on: bool,
    also: Sequence[int] = (),
    ends: bool = False,
    pause: float = PAUSE,
    requests: Sequence[Request] = PAGE_AND_API,
) -> Iterator[Line]:
    """Judge the block by what visitors and probes saw during it, and by the counter afterwards.

    The end of the block is the end of the fault. Every visitor gets a 200, or one of the statuses in `also`.
    With `ends` the service does not outlive the block. A visitor comes again after `pause` seconds.
    Raises DidNotStrike, or else Broken.
    """
    request_timeout = seconds_of(service, "REQUEST_TIMEOUT")
    # A probe asks Redis twice.
    probe_seconds = 2 * seconds_of(service, "REDIS_TIMEOUT")
    with (
        Visitors(
            service.address, pause=pause, requests=requests, patience=request_timeout + BEYOND
        ) as visitors,
        Prober(service, probe_seconds + BEYOND) as prober,
    ):
        visitors.await_answers(SOME_VISITS)
        before = resident(service)
        line = Line(service, visitors, prober, is_on=is_on)
        began = time.monotonic()
        yield line
        seconds = time.monotonic() - began
        struck = line.strikes()
        healthy_after = None if ends else line.recovery()
        if not ends:
            visitors.await_answers(SOME_VISITS)
    groups = line.visits()
    lost, doubled = balance(groups, int(server.run("GET", "counter") or 0), line.others())
    row = Row(
        fault=name,
        server=f"{server.product}, {service.settings['HTTP_SERVER']}",
        struck=struck,
        visits=[visit for visits in groups for visit in visits],
        lost=lost,
        doubled=doubled,
        seconds=seconds,
        healthy_after=healthy_after,
        healthz=prober.told("/healthz"),
        readyz=prober.told("/readyz"),
        longest_probe=prober.longest,
        memory=f"{before:.0f}" if ends else f"{before:.0f} → {resident(service):.0f}",
    )
    record(row.cells())
    judge(row, Promise({200, *also}, request_timeout, probe_seconds + line.stood_still))
