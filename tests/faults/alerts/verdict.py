"""Runs one line, and judges what rang by Prometheus' own record."""

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.alerts.scenario import Bells
from tests.deploy.charts import Document
from tests.faults.alerts.ground import Ground, Line
from tests.faults.alerts.pods import STARTUP_SECONDS
from tests.faults.alerts.prometheus import Firing, Prometheus
from tests.faults.alerts.pulse import Pulse
from tests.faults.alerts.windows import LATE, LINE_SECONDS, NOTICED, TIMES
from tests.faults.service.verdict import DidNotStrike
from tests.service import eventually
from tests.visitors import BROKEN, HUNG, UNREACHED, Visit

ATTEMPTS = 3
WORDS = {BROKEN: "connection broken", UNREACHED: "no connection", HUNG: "no answer"}


class WrongBells(AssertionError):
    """What rang is not what should have; each complaint by the alert."""

    def __init__(self, line: str, complaints: Mapping[str, str]) -> None:
        super().__init__(f"{line}: " + "; ".join(f"{alert} {what}" for alert, what in complaints.items()))
        self.complaints = complaints


@dataclass(frozen=True)
class Heard:
    """What happened in a line; moments in seconds of the clock."""

    line: Line
    began: float
    ended: float
    fired: Mapping[str, Firing]
    still: set[str]
    """What rang on after all time was over."""
    visits: list[Visit]

    @property
    def failed(self) -> bool:
        return any(visit.status >= 500 for visit in self.visits)

    @property
    def waited(self) -> bool:
        return any(visit.status < 500 and visit.seconds > LATE for visit in self.visits)

    @property
    def allowed(self) -> Bells:
        """What may ring beside what must: that visitors fared badly only if they did."""
        truth = {"VisitsFail": self.failed, "VisitsLate": self.waited}
        return frozenset(
            alert for alert in self.line.may if all(truth[name] for name in truth if alert.startswith(name))
        )

    def complaints(self) -> dict[str, str]:
        found = dict.fromkeys(self.line.rings - self.fired.keys(), "did not ring")
        for alert, firing in self.fired.items():
            after, on = firing.first - self.began, firing.last - self.ended
            if alert not in self.line.rings | self.allowed:
                found[alert] = f"rang, {after:.0f} s after the beginning"
            elif alert in self.line.rings and after > TIMES[alert].rings + self.line.slower:
                found[alert] = f"rang after {after:.0f} s, allowed: {TIMES[alert].rings + self.line.slower:g}"
            elif alert in self.still or on > TIMES[alert].ends:
                found[alert] = f"rang on for {on:.0f} s, allowed: {TIMES[alert].ends:g}"
        return found

    def cells(self) -> dict[str, str]:
        """A row of the table."""
        must = sorted(self.line.rings, key=lambda alert: self.fired[alert].first)
        also = sorted(self.fired.keys() - self.line.rings)
        ends = [f"{max(0.0, self.fired[alert].last - self.ended):.0f}" for alert in must]
        statuses = Counter(visit.status for visit in self.visits)
        met = [f"{WORDS.get(status, status)}: {count}" for status, count in statuses.most_common()]
        late = sum(visit.status == 200 and visit.seconds > LATE for visit in self.visits)
        return {
            "fault": self.line.name,
            "rang, after s": ", ".join(
                f"{alert} {self.fired[alert].first - self.began:.0f}" for alert in must
            )
            or "nothing",
            "rang on for s": ", ".join(ends),
            "rang too": ", ".join(also),
            "visitors met": ", ".join([*met, *([f"later than {LATE:g} s: {late}"] if late else [])]),
        }


def run(line: Line, folder: Path, rules: list[Document]) -> Heard:
    """Run it, and anew if it went wrong while the machine stood still. Raises DidNotStrike, WrongBells."""
    for attempt in range(1, ATTEMPTS + 1):
        its_folder = folder / f"attempt-{attempt}"
        its_folder.mkdir()
        with Pulse() as pulse:
            try:
                return _run(line, its_folder, rules)
            except AssertionError as error:
                error.add_note(f"attempt {attempt}; the suite itself was {pulse.latest:.1f} s late at worst")
                if not pulse.is_late or attempt == ATTEMPTS:
                    raise
    raise AssertionError(ATTEMPTS)


def _run(line: Line, folder: Path, rules: list[Document]) -> Heard:
    """Break it, listen, mend it, listen until it is quiet."""
    prometheus = Prometheus(folder / "prometheus", rules)
    with Ground(folder, line, prometheus) as ground, prometheus:
        eventually(lambda: prometheus.sees(line.pods), "all pods are scraped", STARTUP_SECONDS)
        ground.open()
        eventually(lambda: not prometheus.firing(), "it is quiet before the fault", STARTUP_SECONDS)
        began = time.time()
        with contextmanager(line.strike)(ground):
            _listen(line, prometheus, began)
            if line.shows and not prometheus.query(line.shows):
                raise DidNotStrike(f"{line.name}: Prometheus finds nothing for {line.shows}")
        ended = time.time()
        patience = max((TIMES[alert].ends for alert in prometheus.fired(began) if alert in TIMES), default=0)
        while prometheus.firing() and time.time() < ended + patience + NOTICED:
            time.sleep(0.2)
        visits = ground.left + [visit for pod in ground.pods for visit in list(pod.visitors.visits)]
        heard = Heard(line, began, ended, prometheus.fired(began), prometheus.firing(), visits)
    if complaints := heard.complaints():
        raise WrongBells(line.name, complaints)
    return heard


def _listen(line: Line, prometheus: Prometheus, began: float) -> None:
    """Until all that must ring does, or should; and as long as anything wrong could still ring."""
    latest = began + line.slower + max((TIMES[alert].rings for alert in line.rings), default=0)
    while not line.rings <= prometheus.firing() and time.time() < latest:
        time.sleep(0.2)
    time.sleep(max(0.0, began + line.slower + LINE_SECONDS - time.time()))
