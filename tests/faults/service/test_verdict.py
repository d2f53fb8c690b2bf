"""What the verdict on a line complains of; test_controls has the same with a real service."""

from dataclasses import replace
from typing import Any

import pytest

from tests.faults.service.verdict import Broken, Promise, Row, judge
from tests.visitors import BROKEN, HUNG, UNREACHED, Visit

ANSWERED = [Visit(float(number), number + 0.1, 200, number) for number in range(1, 6)]
TOLD = Visit(2.0, 4.5, 503, retry_after=True)
PROMISE = Promise(frozenset({200, 503}), request_timeout=3.0, probe_seconds=1.0)
FINE = Row(
    fault="something",
    server="some server",
    struck={"something": 1},
    visits=[*ANSWERED, TOLD],
    lost=0,
    doubled=0,
    seconds=2.0,
    healthy_after=1.0,
    healthz=["200 ok", "200 degraded"],
    readyz=["503 redis: read only", "200 ok"],
    longest_probe=1.1,
    memory="",
)


def test_nothing_to_complain_of() -> None:
    judge(FINE, PROMISE)


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"lost": 1}, "lost"),
        ({"doubled": 1}, "doubled"),
        ({"visits": [Visit(1, 1.1, 500)]}, "answers"),
        ({"visits": [Visit(1, 1.1, BROKEN)]}, "answers"),
        ({"visits": [Visit(1, 1.1, HUNG)]}, "answers"),
        ({"visits": [Visit(1, 1.1, 503, retry_after=False)]}, "answers"),
        # Later than REQUEST_TIMEOUT, or than the service was healthy again.
        ({"visits": [Visit(1, 4.3, 200, 1)], "seconds": 60.0}, "longest answer"),
        ({"visits": [Visit(1, 3.3, 200, 1)], "seconds": 1.0}, "longest answer"),
        ({"healthy_after": 5.1}, "healthy after"),
        ({"healthz": ["200 ok", "503 degraded"]}, "/healthz"),
        ({"healthz": ["200 ok", "TimeoutError"]}, "/healthz"),
        ({"healthz": ["200 ok", "ConnectionRefusedError"]}, "/healthz"),
        ({"healthz": []}, "/healthz"),
        ({"readyz": ["500 oops"]}, "/readyz"),
        ({"readyz": ["TimeoutError"]}, "/readyz"),
        ({"longest_probe": 1.3}, "longest probe"),
    ],
)
def test_complaints(change: dict[str, Any], column: str) -> None:
    with pytest.raises(Broken) as broken:
        judge(replace(FINE, **change), PROMISE)
    assert set(broken.value.complaints) == {column}


@pytest.mark.parametrize(
    ("status", "word"),
    [(BROKEN, "ConnectionResetError"), (BROKEN, "RemoteDisconnected"), (UNREACHED, "ConnectionRefusedError")],
)
def test_probes_may_meet_what_visitors_may(status: int, word: str) -> None:
    row = replace(FINE, healthz=["200 ok", word], readyz=["200 ok", word])
    with pytest.raises(Broken):
        judge(row, PROMISE)
    judge(row, replace(PROMISE, statuses=PROMISE.statuses | {status}))
