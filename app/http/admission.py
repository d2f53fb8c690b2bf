"""How many requests are worked on at a time, and how soon those who are refused are heard again."""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from weakref import WeakKeyDictionary

RETRY_AFTER_SECONDS = 1
"""What a client who got a 503 is asked to wait at least."""
FREE_REFUSALS_A_SECOND = 100
"""So few that answering them takes a few percent of a processor core."""
LONGEST_REST = 2.0
"""Seconds for which the next request of a refused connection may wait."""


class Admission:
    """How many requests were let in and are being worked on.

    Those that are refused do not count, or a crowd of them would keep everyone out; neither do probes.

    To refuse costs the processor as much as to serve, and whoever is refused may come back at once. So only
    so many refusals a second are free. Beyond that the refused connections rest: a next request on one waits
    for its turn in that pace, for a free place, or for LONGEST_REST. Retry-After says so. A proxy's
    connections carry other visitors' requests, too: they wait no longer than there is no place for them.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._now = 0
        self._clock = clock
        self._next_refusal = clock()
        self._last_came = -math.inf
        self._rest_ends: WeakKeyDictionary[object, float] = WeakKeyDictionary()
        self._resting: dict[asyncio.Future[None], None] = {}
        """In order: who waits for longest first."""
        self._are_rests_ended = False

    def enter(self, connection: object) -> bool:
        """Let a request in that came on `connection`; tell whether there was a place."""
        self._last_came = self._clock()
        if self._now >= self._most:
            self._rest_ends[connection] = self._last_came + self._pace_refusal()
            return False
        self._now += 1
        return True

    def leave(self) -> None:
        """Give a place back, and wake who rests for longest."""
        self._now -= 1
        while self._resting:
            place = next(iter(self._resting))
            del self._resting[place]
            # Whoever has just rested for long enough is on their way already.
            if not place.done():
                place.set_result(None)
                break

    def seconds_since_last(self) -> float:
        """Return for how many seconds no visitor has come, let in or not; infinity before the first."""
        return self._clock() - self._last_came

    def rests(self, connection: object) -> bool:
        """Tell whether the next request on `connection` may have to wait."""
        return connection in self._rest_ends

    def rest_of(self, connection: object) -> float:
        """Return for how many seconds at most."""
        return max(self._rest_ends.get(connection, 0.0) - self._clock(), 0.0)

    def retry_after(self, connection: object) -> int:
        """Return the seconds after which whoever sent a request on `connection` should come back."""
        return max(RETRY_AFTER_SECONDS, math.ceil(self.rest_of(connection)))

    async def rest(self, connection: object) -> None:
        """Return when a request that has arrived on `connection` may be worked on."""
        seconds = self.rest_of(connection)
        self._rest_ends.pop(connection, None)
        if not seconds or self._now < self._most or self._are_rests_ended:
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._resting[place] = None
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await place
        finally:
            self._resting.pop(place, None)

    def resting(self) -> int:
        """Return how many requests wait so."""
        return len(self._resting)

    def end_rests(self) -> None:
        """From now on no request waits."""
        self._are_rests_ended = True
        for place in self._resting:
            if not place.done():
                place.set_result(None)
        self._resting.clear()

    def _pace_refusal(self) -> float:
        now = self._clock()
        rest = min(max(self._next_refusal - now, 0.0), LONGEST_REST)
        self._next_refusal = now + rest + 1 / FREE_REFUSALS_A_SECOND
        return rest
