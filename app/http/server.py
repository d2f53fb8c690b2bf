"""One listener for one application: it accepts connections, and hands them to a transport."""

import contextlib
import socket
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.web import Application

from app.http.connections import Connections
from app.http.policy import RequestPolicy
from app.http.refusals import Refusals
from app.telemetry.requests import RequestTelemetry

BACKLOG = 1024
ACCEPTED_AT_ONCE = 128
"""In one turn of the loop, as Tornado does."""


class CannotListen(Exception):
    """The address cannot be bound; the message names it and what to do."""


class Transport(Protocol):
    """Parses what clients send, and writes what they are answered. All else is above it, once."""

    def open(self, accepted: socket.socket, peer: str) -> None:
        """Serve a connection, or close it where Connections has no room for it."""


class Server:
    """Accepts connections until it is told to stop, and closes them."""

    def __init__(self, connections: Connections, transport: Transport) -> None:
        self.connections = connections
        self._transport = transport
        self._listeners: list[socket.socket] = []

    def listen(self, host: str, port: int, setting: str) -> str:
        """Bind and accept; return the URL, with the port that was bound. Raises CannotListen.

        `setting` names who asks for this port.
        """
        try:
            sockets = bind_sockets(port, host, backlog=BACKLOG)
        except (OSError, UnicodeError) as error:
            # A UnicodeError: no name of a host can be such a text.
            reason = error.strerror if isinstance(error, OSError) else None
            raise CannotListen(
                f"cannot listen on {host}:{port}: {reason or error}; "
                f"stop what listens there, or set {setting} to another port"
            ) from None
        self.add_sockets(sockets)
        in_url = f"[{host}]" if ":" in host else host
        return f"http://{in_url}:{sockets[0].getsockname()[1]}"

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Accept on sockets that listen already."""
        for listener in sockets:
            self._listeners.append(listener)
            IOLoop.current().add_handler(listener, self._accept, IOLoop.READ)

    def stop_listening(self) -> None:
        """Take in who has connected already, then stop listening: closing resets whoever is queued."""
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                while True:
                    self._accepted(*listener.accept())
            IOLoop.current().remove_handler(listener)
            listener.close()
        self._listeners.clear()

    async def aclose(self) -> None:
        """Stop listening, and close all connections at once."""
        self.stop_listening()
        await self.connections.close_all()

    def _accept(self, listener: socket.socket, _: int) -> None:
        """Accept some of those who wait; the loop calls again while there are any."""
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            for _ in range(ACCEPTED_AT_ONCE):
                self._accepted(*listener.accept())
                # Whoever made room has a descriptor until a later turn.
                if self.connections.are_many_closing():
                    return

    def _accepted(self, accepted: socket.socket, address: Any) -> None:  # noqa: ANN401 - as its family has it
        self._transport.open(accepted, str(address[0]) if address else "unknown")


def make_server(
    application: Application,
    policy: RequestPolicy,
    telemetry: RequestTelemetry,
    on_drop: Callable[[str], None] = lambda _: None,
) -> Server:
    """Build the server of one listener. `on_drop` hears why a connection was dropped."""
    connections = Connections(policy, on_drop)
    make_transport = transport_named(policy.settings.http_server)
    return Server(connections, make_transport(application, connections, Refusals(policy, telemetry)))


def transport_named(name: str) -> Callable[[Application, Connections, Refusals], Transport]:
    """Return the transport that HTTP_SERVER names, without the import of what only the other one needs."""
    if name == "httptools":
        from app.http.httptools_http1 import HttptoolsHTTP1  # noqa: PLC0415

        return HttptoolsHTTP1
    from app.http.tornado_http1 import TornadoHTTP1  # noqa: PLC0415

    return TornadoHTTP1
