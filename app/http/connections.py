"""The only book of a listener's connections: how many may be open, what each waits for, and for how long."""

import asyncio
import itertools
import resource
import time
from collections.abc import Callable

from app.http.connection import Connection, Gone
from app.http.policy import RequestPolicy

SPARE_DESCRIPTORS = 64
"""Not for visitors: what the process needs to listen, to log and to reach Redis again."""
CLOSING_AT_ONCE = 16
"""So many of the spare ones may be of connections that made room and are not closed yet."""
LOOKED_AT = 100
"""So many connections, at most, are looked at to find one that asks for nothing."""
SWEEP_SECONDS = 1.0
"""Between two looks at the deadlines of all connections: they end so much late at most."""
STALLED_SECONDS = 1.0
"""An answer of which its client took nothing for so long gives way where there is no room."""
WRITE_BUFFER = 1024 * 1024
"""Bytes of an answer that may wait for its client when a handler writes more. A handler that waits for what
it wrote, or writes all at once, may write any number."""
NO_ROOM, MADE_ROOM, UNREAD = "no room", "made room", "unread answer"
"""Why a connection was dropped: turned away while all the others are busy; idle, closed for a new one; closed
because its client takes no more of its answer."""


class Connections:
    """Every open connection, from `opened` to `closed`; a transport tells what happens on each.

    A connection is idle until a request's header has been read (`began`), then held until the answer is
    flushed (`flushed`), then idle again. Idle ones are closed after IDLE_TIMEOUT, held ones whose clients
    take nothing of their answers after REQUEST_TIMEOUT.
    """

    def __init__(self, policy: RequestPolicy, on_drop: Callable[[str], None] = lambda _: None) -> None:
        """`on_drop` hears why a connection was dropped."""
        self.policy = policy
        self._on_drop = on_drop
        self._open: set[Connection] = set()
        self._idle: dict[Connection, None] = {}
        """In order: those that are idle for longest first."""
        self._held: dict[Connection, None] = {}
        self._none_open = asyncio.Event()
        self._none_open.set()
        self._is_keep_alive_ended = False
        self._sweep: asyncio.TimerHandle | None = None
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = max(1, descriptors - SPARE_DESCRIPTORS)

    def opened(self, connection: Connection) -> bool:
        """Enter a new connection; tell whether there is room for it.

        One that waits for no answer is closed for it, or else one whose client does not read its answer, so
        that a probe gets in however many connections clients hold open.
        """
        if len(self._idle) + len(self._held) >= self._most and not self._make_room():
            self._on_drop(NO_ROOM)
            return False
        self._none_open.clear()
        self._open.add(connection)
        self._idle[connection] = None
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._end_overdue)
        return True

    def began(self, connection: Connection, response: object) -> None:
        """Count a request in, whose header has been read."""
        self._idle.pop(connection, None)
        self._held[connection] = None
        connection.response = response
        self.policy.in_flight.hold(response)

    def flushed(self, connection: Connection, response: object) -> None:
        """Count it out: the system has all of its answer. Nothing happens if that was told before."""
        if connection.response is not response:
            return
        self._release(connection)
        if connection.is_last:
            connection.wire.close()
        else:
            connection.idle_since = time.monotonic()
            self._idle[connection] = None

    def closed(self, connection: Connection) -> None:
        """Strike a connection off."""
        self._release(connection)
        self._idle.pop(connection, None)
        self._open.discard(connection)
        connection.wire = Gone()
        if not self._open:
            self._none_open.set()

    def drop(self, connection: Connection, reason: str) -> None:
        """Close a connection at once whose client takes too little of its answer."""
        self._on_drop(reason)
        connection.wire.abort()

    def count_open(self) -> int:
        """Return how many are not struck off yet."""
        return len(self._open)

    def count_idle(self) -> int:
        """Return on how many no request is in flight."""
        return len(self._idle)

    def are_many_closing(self) -> bool:
        """Tell whether so many are still to be struck off that descriptors might run short."""
        return len(self._open) - len(self._idle) - len(self._held) >= CLOSING_AT_ONCE

    def end_keep_alive(self) -> None:
        """From now on an answer closes its connection, unless another request has arrived on it."""
        self._is_keep_alive_ended = True
        self.policy.admission.end_rests()

    def answers_last(self, connection: Connection) -> bool:
        """Decide, when an answer begins, whether it closes its connection."""
        if self._is_keep_alive_ended and not connection.wire.has_unread():
            connection.is_last = True
        return connection.is_last

    def arriving(self) -> int:
        """Return on how many connections a request has begun to arrive that is not in flight yet."""
        return sum(not connection.wire.is_quiet() for connection in self._idle)

    def close_when_quiet(self) -> bool:
        """Close all connections if nobody asks on any of them; tell whether they are closed."""
        if self.policy.in_flight or self.arriving():
            return False
        for connection in list(self._idle):
            # Somebody may have asked while the others were closed.
            if not connection.wire.is_quiet():
                return False
            connection.wire.close()
        return True

    async def close_all(self) -> None:
        """Close all connections; return when each has been struck off."""
        for connection in list(self._open):
            connection.wire.close()
        await self._none_open.wait()
        if self._sweep is not None:
            self._sweep.cancel()

    def _release(self, connection: Connection) -> None:
        self._held.pop(connection, None)
        if connection.response is not None:
            self.policy.in_flight.release(connection.response)
            connection.response = None

    def _make_room(self) -> bool:
        if self._idle:
            # Not the newer half: a probe that has just connected asks for nothing yet, either.
            longest = itertools.islice(self._idle, min(LOOKED_AT, len(self._idle) // 2 + 1))
            # Whose request is on its way, or rests, gives way only if nobody else does.
            quiet = (connection for connection in longest if connection.wire.is_quiet())
            idle = next(quiet, next(iter(self._idle)))
            del self._idle[idle]
            self._on_drop(MADE_ROOM)
            idle.wire.close()
            return True
        unread = [connection for connection in self._held if connection.wire.has_unsent()]
        stalled = min(unread, key=lambda connection: connection.taken_at, default=None)
        if stalled is None or time.monotonic() - stalled.taken_at < STALLED_SECONDS:
            return False
        self._release(stalled)
        self.drop(stalled, UNREAD)
        return True

    def _end_overdue(self) -> None:
        self._sweep = None
        if self._open:
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._end_overdue)
        now = time.monotonic()
        settings = self.policy.settings
        for connection in list(self._idle):
            if now - connection.idle_since < settings.idle_timeout:
                break
            connection.wire.close()
        for connection in list(self._held):
            if connection.wire.has_unsent() and now - connection.taken_at >= settings.request_timeout:
                self.drop(connection, UNREAD)
