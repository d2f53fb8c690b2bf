"""Compares answers with the counter: every answered visit is in it, and every count is somebody's visit."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from itertools import accumulate

from tests.visitors import UNREACHED, Visit


def balance(processes: Sequence[Sequence[Visit]], value: int, others: int = 0) -> tuple[int, int]:
    """Return how many answered visits are not in the counter, and how many of its counts no visit explains.

    `processes` has the visits to each process of the service, `others` how many more visits were counted, of
    which nothing else is known. An answered visit has a number of its own that the counter reached. A number
    that nobody was shown needs a visit without one that can have been counted under it and explains no other.
    """
    numbers = [number_of(visit) for visits in processes for visit in visits if visit.status == 200]
    shown = set(numbers)
    lost = len(numbers) - len(shown) + sum(not 1 <= number <= value for number in shown)
    windows = sorted(windows_of(processes, value), reverse=True)
    unexplained = 0
    ends: list[int] = []
    for number in range(1, value + 1):
        if number in shown:
            continue
        while windows and windows[-1][0] <= number:
            heappush(ends, windows.pop()[1])
        # Of those who fit, the one that fits no later number: no other choice explains more.
        while ends and ends[0] < number:
            heappop(ends)
        if ends:
            heappop(ends)
        else:
            unexplained += 1
    return lost, max(unexplained - others, 0)


def windows_of(processes: Sequence[Sequence[Visit]], value: int) -> Iterator[tuple[int, int]]:
    """Yield, for each visit without a number, the first and the last that it can have been counted under.

    The counter only grows, so it comes after every number shown before it began. A process settles a batch,
    or gives it up for good, before the next: so a visit that was told of its failure comes before every
    number shown to whoever came to that process afterwards. One that got no answer may be counted even later.
    """
    before = sorted((visit.ended, number_of(visit)) for visits in processes for visit in answered(visits))
    highest = [0, *accumulate((number for _, number in before), max)]
    for visits in processes:
        after = sorted((visit.began, number_of(visit)) for visit in answered(visits))
        lowest = [*accumulate((number for _, number in reversed(after)), min, initial=value + 1)][::-1]
        for visit in visits:
            if visit.status in {200, UNREACHED}:
                continue
            first = highest[bisect_right(before, visit.began, key=moment)] + 1
            last = lowest[bisect_left(after, visit.ended, key=moment)] - 1 if visit.status > 0 else value
            yield first, last


def answered(visits: Sequence[Visit]) -> Iterator[Visit]:
    return (visit for visit in visits if visit.status == 200)


def moment(of: tuple[float, int]) -> float:
    return of[0]


def number_of(visit: Visit) -> int:
    assert visit.number is not None, f"a 200 without a number: {visit}"
    return visit.number
