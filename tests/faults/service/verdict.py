"""What visitors and probes saw of a fault, and whether it is what the service promises."""

import re
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass

from tests.visitors import BROKEN, HUNG, UNREACHED, Visit

MARGIN = 0.2
"""Seconds, for everything that takes time beside what is bounded."""
LONGEST_RECOVERY = 5.0

HEALTHZ = re.compile(r"200 (ok|degraded)")
"""Never an error: a restart would not bring Redis back."""
READYZ = re.compile(r"200 ok|503 (redis: [a-z ]+|draining|starting)")
AS_VISITORS = {BROKEN: {"ConnectionResetError", "RemoteDisconnected"}, UNREACHED: {"ConnectionRefusedError"}}
"""What probes may meet, too, where visitors may."""
NAMES = {BROKEN: "no answer", UNREACHED: "no connection", HUNG: "hung"}


class DidNotStrike(AssertionError):
    """The fault is not seen where it should have struck, so what the visitors saw proves nothing."""


class Broken(AssertionError):
    """The service did not keep a promise; `complaints` has what is wrong, by the column of the table."""

    def __init__(self, row: "Row", complaints: dict[str, str]) -> None:
        super().__init__(f"{row.fault}: {'; '.join(complaints.values())}\n{row}")
        self.row = row
        self.complaints = complaints


@dataclass(frozen=True)
class Row:
    """One fault, as the visitors and the probes saw it."""

    fault: str
    server: str
    struck: dict[str, int]
    visits: list[Visit]
    lost: int
    doubled: int
    seconds: float
    """The fault took so long."""
    healthy_after: float | None
    """Seconds; None where the service ends."""
    healthz: list[str]
    readyz: list[str]
    """What the probes said, the most frequent first."""
    longest_probe: float
    memory: str

    @property
    def answered(self) -> int:
        return sum(visit.status == 200 for visit in self.visits)

    @property
    def longest_answer(self) -> float:
        """Of all visits, also of those who got no answer."""
        return max(visit.seconds for visit in self.visits)

    def cells(self) -> dict[str, str]:
        """What stands in each column of the table, by its heading."""
        return {
            "fault": self.fault,
            "server": self.server,
            "struck": ", ".join(f"{what}: {times}" for what, times in self.struck.items()),
            "visits": str(sum(visit.status != UNREACHED for visit in self.visits)),
            "answered 200": str(self.answered),
            "lost": str(self.lost),
            "doubled": str(self.doubled),
            "longest answer, s": f"{self.longest_answer:.2f}",
            "healthy after, s": "" if self.healthy_after is None else f"{self.healthy_after:.1f}",
            "/healthz": ", ".join(self.healthz),
            "/readyz": ", ".join(self.readyz),
            "longest probe, s": f"{self.longest_probe:.2f}",
            "memory, MB": self.memory,
        }

    def __str__(self) -> str:
        return str(self.cells())


@dataclass(frozen=True)
class Promise:
    """What may be seen of one fault."""

    statuses: Set[int]
    request_timeout: float
    probe_seconds: float

    @property
    def probes_may_meet(self) -> set[str]:
        return set().union(*(words for status, words in AS_VISITORS.items() if status in self.statuses))


def judge(row: Row, promise: Promise) -> None:
    """Raise Broken if visitors or probes saw what they never should."""
    found = {
        "lost": f"{row.lost} answered visits are not in the counter" if row.lost else "",
        "doubled": f"{row.doubled} counts without a visit" if row.doubled else "",
        "answers": wrong_answers(row.visits, promise.statuses),
        "longest answer": late_answers(row, promise),
        "healthy after": late_recovery(row),
        "/healthz": wrong_words(row.healthz, HEALTHZ, promise.probes_may_meet),
        "/readyz": wrong_words(row.readyz, READYZ, promise.probes_may_meet),
        "longest probe": (
            f"a probe took {row.longest_probe:.2f} s, allowed: {promise.probe_seconds + MARGIN:.2f} s"
            if row.longest_probe > promise.probe_seconds + MARGIN
            else ""
        ),
    }
    complaints = {column: text for column, text in found.items() if text}
    if complaints:
        raise Broken(row, complaints)


def wrong_answers(visits: list[Visit], allowed: Set[int]) -> str:
    wrong = [visit for visit in visits if visit.status not in allowed]
    counts = Counter(str(NAMES.get(visit.status, visit.status)) for visit in wrong)
    told = [f"{name}: {times}" for name, times in counts.most_common()]
    if silent := sum(visit.status == 503 and not visit.retry_after for visit in visits):
        told.append(f"503 without Retry-After: {silent}")
    return f"visitors got {', '.join(told)}" if told else ""


def late_answers(row: Row, promise: Promise) -> str:
    """Nobody waits longer than the fault takes, nor than REQUEST_TIMEOUT."""
    allowed = min(promise.request_timeout, row.seconds + (row.healthy_after or 0)) + MARGIN
    if row.longest_answer <= allowed:
        return ""
    return f"a visitor waited {row.longest_answer:.2f} s, allowed: {allowed:.2f} s"


def late_recovery(row: Row) -> str:
    if row.healthy_after is None or row.healthy_after <= LONGEST_RECOVERY:
        return ""
    return f"healthy only after {row.healthy_after:.1f} s, allowed: {LONGEST_RECOVERY:g} s"


def wrong_words(said: list[str], allowed: re.Pattern[str], may_meet: Set[str]) -> str:
    if not said:
        return "nobody asked"
    wrong = [word for word in said if not allowed.fullmatch(word) and word not in may_meet]
    return f"probes got {', '.join(wrong)}" if wrong else ""
