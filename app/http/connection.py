"""One connection of a client, the same whatever transport serves it."""

import time
from typing import Protocol


class Wire(Protocol):
    """What a transport tells of a connection and does with it."""

    def is_quiet(self) -> bool:
        """Tell of an idle connection whether nothing of the next request has arrived."""

    def has_unread(self) -> bool:
        """Tell whether anything has arrived beyond the requests that were read."""

    def has_unsent(self) -> bool:
        """Tell whether its client has yet to take a part of what was written."""

    def close(self) -> None:
        """Close, after what the system has taken over is sent."""

    def abort(self) -> None:
        """Close at once; what is unsent is thrown away."""


class Gone:
    """In the place of a wire that is closed, so that the two do not keep each other in memory."""

    def is_quiet(self) -> bool:
        return True

    def has_unread(self) -> bool:
        return False

    def has_unsent(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing is left to close."""

    def abort(self) -> None:
        """Nothing is left to close."""


class Connection:
    """What is known of it. Handlers find it as `request.connection.context`."""

    protocol = "http"
    """Tornado's HTTPServerRequest asks for this and for `remote_ip`."""

    def __init__(self, peer: str) -> None:
        self.remote_ip = peer
        self.wire: Wire = Gone()
        """Until a transport has one, and after it was closed."""
        self.response: object | None = None
        """Of the request that is in flight on it: from its header until its answer is flushed."""
        self.is_last = False
        """Whether the answer under way, or the one before, is the last: it closes the connection."""
        self.asks_since: float | None = None
        """When it was first seen that a request is on its way, since its last answer."""
        self.taken_at = time.monotonic()
        """When its client last took a part of an answer, or had all of it."""

    def __str__(self) -> str:
        """In Tornado's own log lines."""
        return self.remote_ip
