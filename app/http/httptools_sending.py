"""The sending side of a connection on asyncio's transports: what waits for its client, and how it ends."""

import asyncio
import socket
import time
from typing import cast

from app.http.client_socket import end_answers, never_written, reset_on_close
from app.http.connection import Connection
from app.http.connections import UNREAD, WRITE_BUFFER, Connections


class Sending(asyncio.Protocol):
    """Half of a Wire; the other half reads."""

    def __init__(self, accepted: socket.socket, peer: str, connections: Connections) -> None:
        self.connection = Connection(peer)
        self.connections = connections
        self._socket = accepted
        self._transport: asyncio.Transport | None = None
        self._is_to_close = False
        self._nothing_waits: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._nothing_waits.set_result(None)
        self._drained: asyncio.Future[None] | None = None
        """Done when the system has all that was written."""
        self._unsent_before = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # For mypy: uvloop's transports are of no class of asyncio's, but do the same.
        self._transport = cast(asyncio.Transport, transport)
        # So that resume_writing says when nothing waits any more.
        self._transport.set_write_buffer_limits(high=0)
        if self._is_to_close:
            self._transport.abort()

    def connection_lost(self, _: Exception | None) -> None:
        self._transport, self._is_to_close = None, True
        drained, self._drained = self._drained, None
        if drained is not None:
            never_written(drained)

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None:
            drained.set_result(None)

    def send(self, data: bytes) -> "asyncio.Future[None]":
        """Write; the future is done when the system has taken over all of it."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return never_written()
        unsent = transport.get_write_buffer_size()
        if not unsent:
            self.connection.taken_at = time.monotonic()
        elif unsent > WRITE_BUFFER:
            self.connections.drop(self.connection, UNREAD)
            return never_written()
        transport.write(data)
        self._unsent_before = transport.get_write_buffer_size()
        if not self._unsent_before:
            return self._nothing_waits
        if self._drained is None:
            self._drained = asyncio.get_running_loop().create_future()
        return self._drained

    def is_closing(self) -> bool:
        """Tell whether nothing more is read or written."""
        return self._is_to_close or (self._transport is not None and self._transport.is_closing())

    def has_unsent(self) -> bool:
        if self._transport is None:
            return False
        unsent = self._transport.get_write_buffer_size()
        if unsent < self._unsent_before:
            self.connection.taken_at = time.monotonic()
        self._unsent_before = unsent
        return unsent > 0

    def close(self) -> None:
        end_answers(self._socket)
        self._end()

    def abort(self) -> None:
        reset_on_close(self._socket)
        self._end()

    def _end(self) -> None:
        self._is_to_close = True
        if self._transport is not None:
            # What waits for the client would hold the connection for as long as the client likes.
            self._transport.abort()


def behind(written: "asyncio.Future[None]") -> "asyncio.Future[None]":
    """Return a future that is done with `written`, and may be cancelled without it."""
    if written.done():
        return written
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def tell(_: "asyncio.Future[None]") -> None:
        if waiting.done():
            return
        if written.exception() is None:
            waiting.set_result(None)
        else:
            never_written(waiting)

    written.add_done_callback(tell)
    return waiting
