"""A listener without a service around it, in the test's own loop."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

from tornado.web import Application, RequestHandler

from app.http.connection import Connection
from app.http.connections import Connections
from app.http.policy import make_policy
from app.http.refusals import Refusals
from app.http.server import Server, transport_named
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.telemetry.requests import RequestTelemetry

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Page(RequestHandler):
    def get(self) -> None:
        self.finish("page")


class WatchedConnections(Connections):
    """Remembers who was dropped, and who was quiet at once after an answer."""

    def __init__(self, settings: Settings) -> None:
        self.dropped: list[str] = []
        super().__init__(make_policy(settings), self.dropped.append)
        self.quiet_when_flushed: list[bool] = []

    def flushed(self, connection: Connection, response: object) -> None:
        super().flushed(connection, response)
        self.quiet_when_flushed.append(connection.wire.is_quiet())


class Listener:
    """A server whose clients are the other ends of pairs of sockets, or come as they do to any."""

    def __init__(self, settings: Settings, application: Application | None = None) -> None:
        self.connections = WatchedConnections(settings)
        self.policy = self.connections.policy
        if application is None:
            application = Application([("/", Page)], log_function=lambda _: None)
        application.settings["policy"] = self.policy
        refusals = Refusals(self.policy, RequestTelemetry(Metrics(settings)))
        transport = transport_named(settings.http_server)(application, self.connections, refusals)
        self.server = Server(self.connections, transport)
        self._transport = transport

    def open(self, accepted: socket.socket) -> None:
        """Let the transport have this end of a connection."""
        self._transport.open(accepted, "192.0.2.1")

    @contextmanager
    def client(self) -> Iterator[socket.socket]:
        """Open a connection that nobody has looked at yet; yield the client's end of it."""
        client, accepted = socket.socketpair()
        client.setblocking(False)
        accepted.setblocking(False)
        with closing(client):
            self.open(accepted)
            yield client


async def turns(many: int) -> None:
    """Let the loop go on."""
    for _ in range(many):
        await asyncio.sleep(0)
