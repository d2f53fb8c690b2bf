"""Runs many streams, and tells of each difference with what is needed to see it again."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.http.sameness.comparison import difference
from tests.http.sameness.exchange import MOST_BODY, MOST_HEADER, Case, Exchange, MakeTransport, Transcript
from tests.http.sameness.rfc9112 import Expected, expected_of
from tests.http.sameness.shrinking import shrunk
from tests.http.sameness.streams import case as case_of

AT_ONCE = 100
"""Streams that are under way on each transport."""
PATIENT_TURNS = 100
"""Of the loop, for a stream on its own that seems to differ."""
SHOWN = 2000
"""Characters of what came back."""


@dataclass
class Run:
    """What came of one."""

    streams: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    """By status, of both transports."""
    ends: Counter[str] = field(default_factory=Counter)
    beyond: int = 0
    """Streams with chunks that Tornado's parser does not take."""
    differences: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        answers = sum(self.answers.values())
        failures = sum(count for status, count in self.answers.items() if status >= 500 and status != 505)
        return (
            f"{self.streams} streams, {answers} answers on both transports, "
            f"{len(self.differences)} differences, {failures} of 5xx (505 apart), "
            f"{answers / max(self.seconds, 0.001):.0f} answers a second"
        )


def run(
    numbers: Iterable[int],
    seed: int,
    *make_transports: MakeTransport,
    most_differences: int = 10,
    progress: Callable[[Run], None] = lambda _: None,
) -> Run:
    """Run the streams of these numbers; end after so many differences."""
    return asyncio.run(_run(list(numbers), seed, make_transports, most_differences, progress))


async def _run(
    numbers: list[int],
    seed: int,
    make_transports: tuple[MakeTransport, ...],
    most_differences: int,
    progress: Callable[[Run], None],
) -> Run:
    exchange = Exchange(*make_transports)
    begun = time.monotonic()
    run = Run()
    for start in range(0, len(numbers), AT_ONCE):
        some = numbers[start : start + AT_ONCE]
        cases = [case_of(seed, number) for number in some]
        found = await exchange.answers(cases)
        was_logged = bool(exchange.complaints())
        for number, case, transcripts in zip(some, cases, found, strict=True):
            expected = expected_of(case.stream, MOST_HEADER, MOST_BODY)
            _count(run, expected, transcripts)
            if was_logged or difference(expected, transcripts):
                report = await _report(exchange, case, f"stream {number} of seed {seed}")
                run.differences += [report] if report else []
            # To make one small takes seconds.
            if len(run.differences) >= most_differences:
                break
        run.seconds = time.monotonic() - begun
        progress(run)
        if len(run.differences) >= most_differences:
            break
    await exchange.aclose()
    return run


def _count(run: Run, expected: Expected, transcripts: tuple[Transcript, ...]) -> None:
    run.streams += 1
    run.beyond += expected.beyond is not None
    for transcript in transcripts:
        run.answers.update(answer.status for answer in transcript.answers)
        run.ends[transcript.end] += 1


async def _complaint(exchange: Exchange, case: Case) -> str | None:
    """Run a stream on its own, and patiently."""
    (transcripts,) = await exchange.answers([case], PATIENT_TURNS)
    logged = exchange.complaints()
    found = difference(expected_of(case.stream, MOST_HEADER, MOST_BODY), transcripts)
    return f"{found or 'logged'}: {logged}" if logged else found


async def _report(exchange: Exchange, case: Case, name: str) -> str | None:
    complaint = await _complaint(exchange, case)
    if complaint is None:
        return None
    kind = complaint[:12]

    async def differs(smaller: Case) -> bool:
        found = await _complaint(exchange, smaller)
        return found is not None and found.startswith(kind)

    small = await shrunk(case, differs)
    (transcripts,) = await exchange.answers([small], PATIENT_TURNS)
    complaint = await _complaint(exchange, small) or complaint
    expected = expected_of(small.stream, MOST_HEADER, MOST_BODY)
    told = "\n".join(f"  {str(one)[:SHOWN]}" for one in (*transcripts, expected))
    return f"{name}: {complaint[:SHOWN]}\n  {small}\n{told}"
