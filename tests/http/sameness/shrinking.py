"""Makes a stream small that shows a difference."""

import time
from collections.abc import Awaitable, Callable

from tests.http.sameness.exchange import Case

LONGEST = 3.0
"""Seconds that are spent on one."""
Differs = Callable[[Case], Awaitable[bool]]


async def shrunk(case: Case, differs: Differs) -> Case:
    """Return the smallest case that is found that still differs."""
    for cuts in ((), tuple(range(1, len(case.stream)))):
        whole = Case(case.stream, cuts)
        if await differs(whole):
            case = whole
            break
    else:
        # It depends on where the stream was cut.
        return case
    until = time.monotonic() + LONGEST
    is_cut = bool(case.cuts)
    stream = case.stream
    size = len(stream) // 2
    while size:
        start = 0
        while start < len(stream) and time.monotonic() < until:
            shorter = stream[:start] + stream[start + size :]
            if await differs(Case(shorter, tuple(range(1, len(shorter))) if is_cut else ())):
                stream = shorter
            else:
                start += size
        size //= 2
    return Case(stream, tuple(range(1, len(stream))) if is_cut else ())
