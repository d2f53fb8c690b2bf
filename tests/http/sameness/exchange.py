"""Lets the transports answer streams, side by side in one event loop, over pairs of sockets."""

import asyncio
import json
import logging
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NoReturn

import structlog
from tornado.web import Application, RequestHandler

from app.http.connection import Connection
from app.http.connections import Connections
from app.http.httptools_http1 import HttptoolsHTTP1
from app.http.policy import make_policy
from app.http.refusals import Refusals
from app.http.server import Transport
from app.http.tornado_http1 import TornadoHTTP1
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.telemetry.requests import RequestTelemetry

MOST_HEADER, MOST_BODY = 6000, 300
QUIET_TURNS = 24
"""Turns of the loop without a byte from anywhere, after which no more is awaited. All that the transports do
for a stream is done in turns that follow one another, and none of it waits for time."""
MADE_ID = re.compile(r"[0-9a-f]{32}")
MakeTransport = Callable[[Application, Connections, Refusals], Transport]


@dataclass(frozen=True)
class Case:
    """A stream, and where it is cut on its way."""

    stream: bytes
    cuts: tuple[int, ...] = ()

    def pieces(self) -> Iterable[bytes]:
        edges = [0, *self.cuts, len(self.stream)]
        return (self.stream[start:end] for start, end in pairwise(edges))


@dataclass(frozen=True)
class Answer:
    """What was answered to one request."""

    status: int
    connection: str
    """Its field of that name."""
    continues: int
    """How many 100 came before."""
    document: Any


@dataclass
class Transcript:
    """What came back for a stream."""

    answers: list[Answer] = field(default_factory=list)
    end: str = ""
    continues: int = 0
    garbage: bytes = b""


class AnyMethod(tuple[str, ...]):
    """Every method is supported."""

    __slots__ = ()

    def __contains__(self, _: object) -> bool:
        return True


class EchoHandler(RequestHandler):
    """Tells what it was asked, before Tornado looks for a method of its class."""

    SUPPORTED_METHODS = AnyMethod()

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.clear_header("Date")

    def compute_etag(self) -> None:
        """None."""

    def prepare(self) -> None:
        request = self.request
        echo = json.dumps(
            {
                "method": request.method,
                "uri": request.uri,
                "host": request.host,
                "version": request.version,
                "fields": sorted(request.headers.get_all()),
                "body": request.body.decode("latin-1"),
            }
        )
        if request.method == "HEAD":
            self.set_header("Echo", echo)
            self.finish()
        else:
            self.finish(echo)


class KnownConnections(Connections):
    """Tells the connection that was opened last."""

    last: Connection

    def opened(self, connection: Connection) -> bool:
        self.last = connection
        return super().opened(connection)


class Complaints(logging.Handler):
    """Keeps what is logged as a warning or worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@dataclass
class Activity:
    """What has happened on all connections."""

    events: int = 0
    ended: int = 0


class Client:
    """Sends one stream to one transport, and keeps what comes back."""

    def __init__(
        self, activity: Activity, connections: KnownConnections, transport: Transport, case: Case
    ) -> None:
        self.received = bytearray()
        self.is_ended = False
        self._activity = activity
        self._pieces = iter(case.pieces())
        self._socket, accepted = socket.socketpair()
        self._socket.setblocking(False)
        accepted.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket, self._read)
        transport.open(accepted, "192.0.2.1")
        self._connection = connections.last

    def send_next(self) -> bool:
        """Send the next piece; tell whether there was one that was wanted."""
        piece = next(self._pieces, None)
        if piece is None:
            return False
        self._activity.events += 1
        try:
            self._socket.sendall(piece)
        except OSError:
            return False
        return True

    def _read(self) -> None:
        self._activity.events += 1
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.received += data
        if not data:
            self.is_ended = True
            self._activity.ended += 1
            asyncio.get_running_loop().remove_reader(self._socket)

    def close(self) -> Transcript:
        """Leave; return what came."""
        transcript = transcript_of(bytes(self.received))
        connection = self._connection
        if self.is_ended:
            transcript.end = "closed"
        elif connection.response is None and connection.wire.is_quiet():
            transcript.end = "open"
        else:
            transcript.end = "waiting"
        if not self.is_ended:
            asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        return transcript


class Exchange:
    """The transports, in the running loop."""

    def __init__(self, *make_transports: MakeTransport) -> None:
        settings = Settings(
            max_header_size=MOST_HEADER,
            max_body_size=MOST_BODY,
            body_timeout=600,
            idle_timeout=600,
            request_timeout=600,
            max_in_flight=10**6,
        )
        telemetry = RequestTelemetry(Metrics(settings))
        telemetry._log = structlog.wrap_logger(None, processors=[_drop])
        self._sides: list[tuple[KnownConnections, Transport]] = []
        for make_transport in make_transports or (TornadoHTTP1, HttptoolsHTTP1):
            policy = make_policy(settings)
            application = Application([(r"(?s:.*)", EchoHandler)], log_function=lambda _: None)
            connections = KnownConnections(policy)
            transport = make_transport(application, connections, Refusals(policy, telemetry))
            self._sides.append((connections, transport))
        self._complaints = Complaints()
        logging.getLogger().addHandler(self._complaints)
        asyncio.get_running_loop().set_exception_handler(self._complain)

    async def answers(
        self, cases: Sequence[Case], quiet_turns: int = QUIET_TURNS
    ) -> list[tuple[Transcript, ...]]:
        """Return what each transport answers to each stream."""
        activity = Activity()
        clients = [Client(activity, *side, case) for case in cases for side in self._sides]
        sending, events, quiet = clients, -1, 0
        while quiet < quiet_turns and activity.ended < len(clients):
            sending = [client for client in sending if client.send_next()]
            # The first lets the transports see what was sent.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            quiet = quiet + 1 if events == activity.events else 0
            events = activity.events
        transcripts = [client.close() for client in clients]
        many = len(self._sides)
        return [tuple(transcripts[start : start + many]) for start in range(0, len(transcripts), many)]

    def complaints(self) -> list[str]:
        """Return what was logged since it was asked last."""
        lines, self._complaints.lines = self._complaints.lines, []
        return lines

    async def aclose(self) -> None:
        """End all connections."""
        for connections, _ in self._sides:
            await connections.close_all()
        logging.getLogger().removeHandler(self._complaints)

    def _complain(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._complaints.lines.append(f"{context.get('message')}: {context.get('exception')!r}")


def transcript_of(received: bytes) -> Transcript:
    """Read what a transport sent."""
    transcript = Transcript()
    while received:
        head, is_whole, received = received.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        if not is_whole or not re.fullmatch(r"HTTP/1\.1 [1-5][0-9][0-9] .*", lines[0]):
            transcript.garbage = head
            break
        status = int(lines[0][9:12])
        if status == 100:
            transcript.continues += 1
            continue
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        text = fields.get("echo", "")
        # The answer to HEAD has a length, and no body.
        if received.startswith(b"{"):
            length = int(fields["content-length"])
            text, received = received[:length].decode(), received[length:]
        document = json.loads(text) if text else None
        if document and MADE_ID.fullmatch(document.get("request_id", "")):
            document["request_id"] = "made"
        connection = fields.get("connection", "").lower()
        transcript.answers.append(Answer(status, connection, transcript.continues, document))
        transcript.continues = 0
    return transcript


def _drop(*_: object) -> NoReturn:
    raise structlog.DropEvent
