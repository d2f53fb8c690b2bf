"""The only book of a listener's connections: how many may be open, what each waits for, and for how long."""

import asyncio
import contextlib
import itertools
import math
import time
from collections.abc import Callable

from app.http.connection import Connection, Gone
from app.http.policy import RequestPolicy

CLOSING_AT_ONCE = 16
"""So many of the spare descriptors may be of connections that made room and are not closed yet."""
LOOKED_AT = 100
"""So many connections, at most, are looked at to find one that asks for nothing."""
SWEEP_SECONDS = 1.0
"""Between two looks at the deadlines of all connections: they end so much late at most."""
SLOW_SECONDS = 1.0
"""A client who took nothing of an answer for so long gives way where there is no room; at a drain one whose
request has been on its way for so long, too."""
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
        self._idle: dict[Connection, float] = {}
        """In order: those that are idle for longest first; and since when."""
        self._held: dict[Connection, None] = {}
        self._bodies: dict[Connection, float] = {}
        """Held ones whose request's body is on its way, in the same order."""
        self._left = asyncio.Event()
        """Set when somebody was answered, or has left."""
        self._none_open = asyncio.Event()
        self._none_open.set()
        self._is_keep_alive_ended = False
        self._sweep: asyncio.TimerHandle | None = None

    def opened(self, connection: Connection) -> bool:
        """Enter a new connection; tell whether there is room for it.

        One that waits for no answer is closed for it, or else one whose client does not read its answer, so
        that a probe gets in however many connections clients hold open.
        """
        if self._is_full() and not self._make_room():
            self._on_drop(NO_ROOM)
            return False
        self._none_open.clear()
        self._open.add(connection)
        self._idle[connection] = time.monotonic()
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._end_overdue)
        return True

    def began(self, connection: Connection, response: object) -> None:
        """Count a request in, whose header has been read."""
        self._idle.pop(connection, None)
        self._held[connection] = None
        connection.response = response
        self.policy.in_flight.hold(response)

    def awaits_body(self, connection: Connection) -> None:
        """Hear that the body of its request is on its way."""
        self._bodies[connection] = time.monotonic()

    def has_body(self, connection: Connection) -> None:
        """Hear that it has arrived, or is not waited for any longer."""
        self._bodies.pop(connection, None)

    def flushed(self, connection: Connection, response: object) -> None:
        """Count it out: the system has all of its answer. Nothing happens if that was told before."""
        if connection.response is not response:
            return
        self._release(connection)
        if connection.is_last:
            connection.wire.close()
        else:
            connection.asks_since = None
            self._idle[connection] = time.monotonic()
        self._left.set()

    def closed(self, connection: Connection) -> None:
        """Strike a connection off."""
        self._release(connection)
        self._idle.pop(connection, None)
        self._open.discard(connection)
        connection.wire = Gone()
        self._left.set()
        if not self._open:
            self._none_open.set()

    def drop(self, connection: Connection, reason: str) -> None:
        """Close a connection at once; what its client has not taken of its answer is lost."""
        self._on_drop(reason)
        connection.wire.abort()

    def count_open(self) -> int:
        """Return how many are not struck off yet."""
        return len(self._open)

    def count_idle(self) -> int:
        """Return on how many no request is in flight."""
        return len(self._idle)

    def has_room(self) -> bool:
        """Tell whether there is room for one more that nobody who asks has to make.

        And not so many are still to be struck off that descriptors might run short.
        """
        if len(self._open) - len(self._idle) - len(self._held) >= CLOSING_AT_ONCE:
            return False
        return not self._is_full() or self._quiet_one() is not None

    async def wait_for_room(self) -> None:
        """Return once there is, or somebody has been slow for so long that they may leave."""
        while not self.has_room() and self._slow_one()[0] is None:
            self._left.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SLOW_SECONDS / 4):
                    await self._left.wait()

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
        self._bodies.pop(connection, None)
        if connection.response is not None:
            self.policy.in_flight.release(connection.response)
            connection.response = None

    def _is_full(self) -> bool:
        return len(self._idle) + len(self._held) >= self.policy.most_connections

    def _quiet_one(self) -> Connection | None:
        # Not of the newer half: a probe that has just connected asks for nothing yet, either.
        longest = itertools.islice(self._idle, min(LOOKED_AT, (len(self._idle) + 1) // 2))
        return next((connection for connection in longest if connection.wire.is_quiet()), None)

    def _asks_for_longest(self) -> tuple[Connection | None, float]:
        """Return whose request is known to be on its way for longest, or rests; and since when."""
        asking = list(itertools.islice(self._bodies.items(), 1))
        for connection in itertools.islice(self._idle, LOOKED_AT):
            if not connection.wire.is_quiet():
                if connection.asks_since is None:
                    connection.asks_since = time.monotonic()
                asking.append((connection, connection.asks_since))
        return min(asking, key=lambda each: each[1], default=(None, math.inf))

    def _slow_one(self) -> tuple[Connection | None, str]:
        """Return who asks, or takes nothing of an answer, for so long that they may leave; and why."""
        slow = time.monotonic() - SLOW_SECONDS
        asks, since = self._asks_for_longest()
        if since <= slow:
            return asks, MADE_ROOM
        unread = [connection for connection in self._held if connection.wire.has_unsent()]
        stalled = min(unread, key=lambda connection: connection.taken_at, default=None)
        return (stalled if stalled is not None and stalled.taken_at <= slow else None), UNREAD

    def _make_room(self) -> bool:
        leaves, reason = self._quiet_one(), MADE_ROOM
        if leaves is None:
            leaves, reason = self._slow_one()
        if leaves is None:
            (leaves, _), reason = self._asks_for_longest(), MADE_ROOM
        if leaves is None:
            return False
        self._idle.pop(leaves, None)
        self._release(leaves)
        if reason == UNREAD:
            self.drop(leaves, reason)
        else:
            self._on_drop(reason)
            leaves.wire.close()
        return True

    def _end_overdue(self) -> None:
        self._sweep = None
        if self._open:
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._end_overdue)
        now = time.monotonic()
        settings = self.policy.settings
        for connection, since in list(self._idle.items()):
            if now - since < settings.idle_timeout:
                break
            connection.wire.close()
        for connection in list(self._held):
            if connection.wire.has_unsent() and now - connection.taken_at >= settings.request_timeout:
                self.drop(connection, UNREAD)
