"""A drain cuts nobody off who asked before their connection was told to close, without any DRAIN_DELAY."""

import contextlib
import random
import select
import signal
import time
from collections.abc import Sequence

import pytest

from dev.valkey import free_port
from tests.conftest import StartService, ValkeyServer
from tests.service import PATIENCE, VISIT, Service, eventually, parse_answers

pytestmark = pytest.mark.usefixtures("each_transport")

READ = b"GET /api/v1/counter HTTP/1.1\r\nHost: localhost\r\n\r\n"
VERSION = b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n"
COUNT = (
    b"POST /api/v1/counter HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
)

ROUNDS = 6
CLIENTS = 24
MOMENTS = 8
"""How often a round stops the process and lets clients ask."""
LONGEST_PAUSE = 0.04
"""Seconds between two moments; all together are longer than a drain where nobody asks."""


class Client:
    """A connection, what came back on it, and how many requests were sent."""

    def __init__(self, service: Service, stack: contextlib.ExitStack) -> None:
        self._socket = stack.enter_context(service.connect())
        self.received = b""
        self.asked = 0
        self.unsent = b""
        """The rest of a request that has begun."""

    def may_ask(self) -> bool:
        """Tell whether all is answered, and nothing says by now that the connection closes.

        Whoever waits for an answer and asks more may do so in the moment between the decision to close and
        the answer that says so: such a request is not answered, as HTTP/1.1 has it.
        """
        self._socket.setblocking(False)
        try:
            while piece := self._socket.recv(65536):
                self.received += piece
        except BlockingIOError:
            is_all_answered = self.received.count(b"HTTP/1.1 ") == self.asked
            return is_all_answered and b"Connection: close" not in self.received
        except ConnectionResetError:
            pass
        return False

    def ask(self, requests: Sequence[bytes], *, in_full: bool = True) -> None:
        data = b"".join(requests)
        end = len(data) if in_full else len(data) - len(requests[-1]) // 2
        self.asked += len(requests)
        self._send(data[:end])
        self.unsent = data[end:]

    def send_rest(self) -> None:
        self._send(self.unsent)
        self.unsent = b""

    def read_to_the_end(self) -> None:
        self._socket.settimeout(PATIENCE)
        with contextlib.suppress(ConnectionError):
            while piece := self._socket.recv(65536):
                self.received += piece

    def _send(self, data: bytes) -> None:
        self._socket.settimeout(PATIENCE)
        # Whoever was cut off shows in what came back.
        with contextlib.suppress(ConnectionError):
            self._socket.sendall(data)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_whenever_clients_ask_they_are_answered(
    valkey: ValkeyServer, start_service: StartService, round_: int
) -> None:
    """They ask while the process is stopped: what it has not closed by then has reached it in time.

    But for one in a round at most: it may be stopped between its last look at a connection and the end of it.
    """
    seed = f"{round_} {time.time_ns()}"
    chance = random.Random(seed)  # noqa: S311 - moments of a test
    service = start_service(valkey).wait_until_ready()
    with contextlib.ExitStack() as stack:
        clients = [Client(service, stack) for _ in range(CLIENTS)]
        for client in clients:
            client.ask([VERSION])
        service.signal(signal.SIGTERM)
        for _ in range(MOMENTS):
            time.sleep(chance.uniform(0, LONGEST_PAUSE))
            with service.frozen():
                for client in clients:
                    if client.unsent:
                        client.send_rest()
                    elif client.may_ask() and chance.random() < 1 / MOMENTS:
                        requests = chance.choices(
                            [VISIT, READ, VERSION, COUNT], k=chance.choice([1, 1, 1, 5])
                        )
                        client.ask(requests, in_full=chance.random() < 0.7)
                # Nobody accepts them now, but as long as somebody listens, they may connect.
                with contextlib.suppress(ConnectionRefusedError):
                    clients.append(Client(service, stack))
                    clients[-1].ask([VISIT])
        for client in clients:
            client.send_rest()
        cut_off = []
        for client in clients:
            client.read_to_the_end()
            answers = parse_answers(client.received)
            assert {answer.status for answer in answers} <= {200}, (seed, client.received)
            if len(answers) != client.asked:
                cut_off.append((client.asked, client.received))
            # Nothing was promised that was not kept, and whoever was told to leave got nothing afterwards.
            closing = [answer.headers["Connection"] == "close" for answer in answers]
            assert not any(closing[:-1]), (seed, client.received)
        assert len(cut_off) <= 1, (seed, cut_off)
    assert service.wait() == 0


@pytest.fixture
def waiting(valkey: ValkeyServer, start_service: StartService) -> Service:
    """A service that gets no answer from Redis until the test lets it."""
    service = start_service(valkey, ADMIN_PORT=free_port(), REDIS_TIMEOUT=3, REQUEST_TIMEOUT=4)
    service.wait_until_ready()
    valkey.pause()
    return service


def test_pipelined_requests_that_have_arrived_are_answered(waiting: Service, valkey: ValkeyServer) -> None:
    with waiting.connect() as connection:
        connection.sendall(VISIT)
        eventually(lambda: waiting.in_flight() == 1, "in flight")
        connection.sendall(VISIT + COUNT)
        waiting.signal(signal.SIGTERM)
        waiting.line("draining", in_flight=1)
        connection.sendall(READ)
        valkey.resume()
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    answers = parse_answers(received)
    assert [answer.status for answer in answers] == [200] * 4
    assert [answer.headers["Connection"] for answer in answers] == [None, None, None, "close"]
    assert waiting.wait() == 0


def test_an_http_1_0_client_is_told_that_its_connection_closes(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    service = start_service(valkey, DRAIN_DELAY=5).wait_until_ready()
    request = b"GET /version HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n"
    with service.connect() as connection:
        connection.sendall(request)
        assert b"\r\nConnection: Keep-Alive\r\n" in connection.recv(65536)
        service.signal(signal.SIGTERM)
        service.line("draining")
        connection.sendall(request)
        assert b"\r\nConnection: close\r\n" in connection.recv(65536)
        assert connection.recv(1) == b""


def test_a_header_that_has_begun_to_arrive_is_waited_for(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    service = start_service(valkey).wait_until_ready()
    with service.connect() as connection:
        connection.sendall(VERSION[:20])
        service.signal(signal.SIGTERM)
        service.line("draining")
        # Several times as long as a drain where nobody asks.
        closed, _, _ = select.select([connection], [], [], 0.5)
        assert not closed
        connection.sendall(VERSION[20:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert service.wait() == 0


def test_a_header_that_does_not_arrive_holds_a_drain_no_longer_than_its_timeout(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    service = start_service(valkey, DRAIN_TIMEOUT=0.5).wait_until_ready()
    with service.connect() as connection:
        connection.sendall(VERSION[:20])
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
    service.line("drain timed out", in_flight=0, arriving=1)


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"\n\r\n"])
def test_an_idle_connection_holds_up_no_drain(
    valkey: ValkeyServer, start_service: StartService, sent: bytes
) -> None:
    """Neither does the empty line that some clients send after a body."""
    service = start_service(valkey, DRAIN_TIMEOUT=PATIENCE).wait_until_ready()
    with service.connect() as connection:
        connection.sendall(VISIT)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(sent)
        service.signal(signal.SIGTERM)
        assert service.wait(3) == 0


def test_a_visitor_who_left_is_waited_for_without_complaint(waiting: Service, valkey: ValkeyServer) -> None:
    with waiting.connect() as connection:
        connection.sendall(VISIT)
        eventually(lambda: waiting.in_flight() == 1, "in flight")
    # The end of the connection is seen before an answer on a later one.
    assert waiting.get("/version").status == 200
    waiting.signal(signal.SIGTERM)
    waiting.line("draining", in_flight=1)
    valkey.resume()
    assert waiting.wait() == 0
    assert not [line for line in waiting.lines if line["level"] in {"error", "warning"}]
    assert valkey.get("counter") == "1"


def visit_until_refused(service: Service, seconds: float) -> tuple[int, float]:
    """Visit for so many seconds, each time on a new connection; return the visits, and when one was refused.

    Whoever gets in is answered.
    """
    began = time.monotonic()
    visits = 0
    while (elapsed := time.monotonic() - began) < seconds:
        try:
            connection = service.connect()
        except ConnectionRefusedError:
            return visits, elapsed
        with connection:
            connection.sendall(VISIT)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        visits += 1
        time.sleep(0.1)
    return visits, seconds


def test_visitors_whom_an_entrance_sends_for_longer_than_the_delay_are_served(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    service = start_service(valkey, DRAIN_DELAY=0.2).wait_until_ready()
    service.signal(signal.SIGTERM)
    service.line("draining")
    visits, served_for = visit_until_refused(service, 3)
    assert served_for == 3
    assert service.wait() == 0
    assert valkey.get("counter") == str(visits)


def test_visitors_who_never_cease_to_come_hold_no_drain_longer_than_its_timeout(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    settings = {"DRAIN_DELAY": 0.2, "DRAIN_TIMEOUT": 4, "REQUEST_TIMEOUT": 2, "BODY_TIMEOUT": 1}
    service = start_service(valkey, **settings).wait_until_ready()
    service.signal(signal.SIGTERM)
    service.line("draining")
    visits, served_for = visit_until_refused(service, PATIENCE)
    # Whoever comes last would still have REQUEST_TIMEOUT.
    assert 0.2 + 4 - 2 - 0.5 < served_for < 0.2 + 4
    assert service.wait() == 0
    assert valkey.get("counter") == str(visits)
