"""What happens to the service, and which alerts ring when: minutes since the beginning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.alerts.phases import Phase

Bells = frozenset[str]
"""Alerts that fire, each as «name severity», with its source where that is not the service."""
QUIET: Bells = frozenset()


@dataclass(frozen=True)
class Scenario:
    name: str
    pods: Sequence[Sequence[Phase]]
    rings: Mapping[float, Bells] | Mapping[int, Bells]
    """What fires at a minute, and nothing else does."""
    scrape_seconds: int = 30
    evaluate_seconds: int = 30
    others: Mapping[str, str] = field(default_factory=dict)
    """Series that are not the service's, in promtool's notation."""


def three(*phases: Phase) -> list[list[Phase]]:
    """Three pods that fare alike."""
    return [list(phases)] * 3


def bells(*names: str) -> Bells:
    return frozenset(names)


def bell(labels: Mapping[str, str]) -> str:
    """An alert as a scenario names it."""
    return " ".join(labels[name] for name in ("alertname", "severity", "source") if name in labels)


def entrance(*parts: tuple[int, float, float]) -> dict[str, str]:
    """What an entrance counts: (scrapes, good answers a scrape, answers with 503 a scrape)."""
    found = {}
    for column, status in ((1, "200"), (2, "503")):
        total, written = 0.0, []
        for part in parts:
            written.append(f"{total:g}+{part[column]:g}x{part[0] - 1}")
            total += part[column] * part[0]
        found[f'nginx_ingress_controller_requests{{host="x.test",status="{status}"}}'] = " ".join(written)
    return found


WELL = Phase(20)
"""Ten minutes of 40 visits a minute and pod."""
WORRY = "VisitsFailSlowly ticket"
"""With a day of history and no more, a page comes with its ticket: the long window is not full yet."""
