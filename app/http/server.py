"""One listener for one application: it accepts connections, and hands them to a transport."""

import asyncio
import contextlib
import errno
import functools
import select
import socket
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import structlog
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
EVERY_ADDRESS = "*"
"""As a host to listen on: all of IPv4 and of IPv6, as far as the machine has them."""
SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What accept tells where the process or the system has no more of what a connection needs."""
SHORTAGE_SECONDS = 1.0
"""Until it is tried again."""

log = structlog.get_logger(__name__)


class CannotListen(Exception):
    """The address cannot be bound; the message names it and what to do."""


def bind(host: str, port: int, setting: str) -> list[socket.socket]:
    """Return sockets that listen there. Raises CannotListen.

    `setting` names who asks for this port.
    """
    try:
        return bind_sockets(port, None if host == EVERY_ADDRESS else host, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        # A UnicodeError: no name of a host can be such a text.
        reason = error.strerror if isinstance(error, OSError) else None
        raise CannotListen(
            f"cannot listen on {host}:{port}: {reason or error}; "
            f"stop what listens there, or set {setting} to another port"
        ) from None


def has_visitor(listener: socket.socket) -> bool:
    """Tell whether somebody has connected who was not accepted yet."""
    # Not select.select, which knows no descriptors beyond 1023.
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    return bool(poll.poll(0))


def url_of(host: str, listener: socket.socket) -> str:
    """Return where a socket that listens on `host` is reached, with the port that was bound."""
    in_url = f"[{host}]" if ":" in host else host
    return f"http://{in_url}:{listener.getsockname()[1]}"


class Transport(Protocol):
    """Parses what clients send, and writes what they are answered. All else is above it, once."""

    def open(self, accepted: socket.socket, peer: str) -> None:
        """Serve a connection, or close it where Connections has no room for it."""


class Server:
    """Accepts connections until it is told to stop, and closes them."""

    def __init__(self, connections: Connections, transport: Transport) -> None:
        self.connections = connections
        self._transport = transport
        self._listeners: dict[socket.socket, Callable[[socket.socket, int], None]] = {}
        """And what accepts on each."""
        self._is_taking_in = False

    def add_sockets(self, sockets: Iterable[socket.socket], *, are_shared: bool = False) -> None:
        """Accept on sockets that listen. Of one that other processes share, each takes one visitor at a time:
        who took all would have them to itself for as long as they stay."""
        at_once = 1 if are_shared else ACCEPTED_AT_ONCE
        for listener in sockets:
            self._listeners[listener] = functools.partial(self._accept, at_once)
            IOLoop.current().add_handler(listener, self._listeners[listener], IOLoop.READ)

    async def take_in(self) -> None:
        """Take in who has connected already, so that none of them is lost when listening stops.

        No faster than those can be answered for whom there is no room besides.
        """
        self._is_taking_in = True
        for listener in self._listeners:
            IOLoop.current().remove_handler(listener)
        # As many as the system may have queued, or newcomers would be taken in without end.
        for _ in range(BACKLOG + 1):
            queued = list(filter(has_visitor, self._listeners))
            if not queued:
                return
            for listener in queued:
                await self.connections.wait_for_room()
                await self._take_one_in(listener)

    async def _take_one_in(self, listener: socket.socket) -> None:
        # Another process may have been faster, or the visitor may have left.
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            try:
                self._accepted(*listener.accept())
            except OSError as error:
                self._tell_of_shortage(error)
                await asyncio.sleep(SHORTAGE_SECONDS)

    def stop_listening(self) -> None:
        """Stop: that resets whoever is queued, unless other processes listen on."""
        for listener in self._listeners:
            IOLoop.current().remove_handler(listener)
            listener.close()
        self._listeners.clear()

    async def aclose(self) -> None:
        """Stop listening, and close all connections at once."""
        self.stop_listening()
        await self.connections.close_all()

    def _accept(self, at_once: int, listener: socket.socket, _: int) -> None:
        """Accept some of those who wait; the loop calls again while there are any."""
        # Another process may have been faster, or a visitor may have left.
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            try:
                for _ in range(at_once):
                    self._accepted(*listener.accept())
                    # What those who are in have asked for is read in the turns that follow.
                    if not self.connections.has_room():
                        return
            except OSError as error:
                self._tell_of_shortage(error)
                # Whoever waits is told of as ready again in each turn of the loop.
                IOLoop.current().remove_handler(listener)
                IOLoop.current().call_later(SHORTAGE_SECONDS, self._accept_again, listener)

    def _tell_of_shortage(self, error: OSError) -> None:
        if error.errno not in SHORTAGES:
            raise error
        log.warning("no connection can be accepted for now", reason=str(error), seconds=SHORTAGE_SECONDS)

    def _accept_again(self, listener: socket.socket) -> None:
        accept = self._listeners.get(listener)
        if accept is not None and not self._is_taking_in:
            IOLoop.current().add_handler(listener, accept, IOLoop.READ)

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
