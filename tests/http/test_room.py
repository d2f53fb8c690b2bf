"""Who makes room for a new connection, as a transport tells it in the middle of a turn of the loop."""

import asyncio
import socket
from contextlib import ExitStack

import pytest
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from app.http.connections import CLOSING_AT_ONCE, MADE_ROOM
from app.http.drain import drain
from app.settings import Settings
from dev.valkey import LOOPBACK
from tests.http.listener import REQUEST, Listener, turns
from tests.service import PATIENCE

pytestmark = pytest.mark.usefixtures("each_transport")

PLACES = 4


def was_closed(client: socket.socket) -> bool:
    try:
        return client.recv(65536) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


class Visited(RequestHandler):
    """Remembers who was served."""

    served: list[str]

    def initialize(self, served: list[str]) -> None:
        self.served = served

    def get(self) -> None:
        self.served.append(str(self.request.uri))


@pytest.mark.gen_test
async def test_one_that_just_connected_asks_for_nothing() -> None:
    listener = Listener(Settings())
    with listener.client():
        assert listener.connections.arriving() == 0
        await listener.server.aclose()


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_one_that_asked_is_never_quiet_before_its_answer() -> None:
    listener = Listener(Settings())
    connections = listener.connections
    with ExitStack() as stack:
        clients = [stack.enter_context(listener.client()) for _ in range(PLACES)]
        # Until they are read from: what comes later takes a turn more.
        await turns(10)
        for client in clients:
            client.send(REQUEST)
        while (answered := len(connections.quiet_when_flushed)) < PLACES:
            assert answered + len(connections.policy.in_flight) + connections.arriving() == PLACES
            await asyncio.sleep(0)
        await listener.server.aclose()


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_one_that_was_just_answered_asks_for_nothing() -> None:
    listener = Listener(Settings())
    with listener.client() as client:
        client.send(REQUEST)
        await asyncio.get_running_loop().sock_recv(client, 65536)
        assert listener.connections.quiet_when_flushed == [True]
        await listener.server.aclose()


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_one_that_was_just_answered_and_asked_again_is_not_quiet() -> None:
    listener = Listener(Settings())
    with listener.client() as client:
        client.send(2 * REQUEST)
        while len(listener.connections.quiet_when_flushed) < 2:
            await asyncio.get_running_loop().sock_recv(client, 65536)
        assert listener.connections.quiet_when_flushed == [False, True]
        await listener.server.aclose()


@pytest.mark.gen_test
async def test_any_number_of_empty_lines_hides_no_request() -> None:
    listener = Listener(Settings())
    with listener.client() as client:
        await turns(10)
        client.send(b"\r\n" * 20)
        assert listener.connections.arriving() == 0
        client.send(REQUEST)
        assert listener.connections.arriving() == 1
        await listener.server.aclose()


@pytest.mark.gen_test
async def test_a_probe_that_just_connected_is_not_closed_for_a_crowd_of_half_requests() -> None:
    listener = Listener(Settings(max_connections=PLACES))
    with ExitStack() as stack:
        crowd = [stack.enter_context(listener.client()) for _ in range(PLACES - 1)]
        for client in crowd:
            client.send(REQUEST[:1])
        probe = stack.enter_context(listener.client())
        crowd.append(stack.enter_context(listener.client()))
        assert [was_closed(client) for client in [*crowd, probe]] == [True] + [False] * PLACES
        await listener.server.aclose()


@pytest.mark.gen_test
async def test_half_a_request_is_kept_before_those_who_ask_for_nothing() -> None:
    listener = Listener(Settings(max_connections=PLACES))
    with ExitStack() as stack:
        asking, quiet, *others = [stack.enter_context(listener.client()) for _ in range(PLACES)]
        asking.send(REQUEST[:1])
        others.append(stack.enter_context(listener.client()))
        assert [was_closed(client) for client in [asking, quiet, *others]] == [False, True] + [False] * 3
        await listener.server.aclose()


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_bodies_that_never_come_keep_no_probe_out() -> None:
    listener = Listener(Settings(max_connections=PLACES))
    loop = asyncio.get_running_loop()
    with ExitStack() as stack:
        crowd = [stack.enter_context(listener.client()) for _ in range(PLACES)]
        for client in crowd:
            client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n")
        while len(listener.policy.in_flight) < PLACES:  # noqa: ASYNC110 - turns of the loop
            await asyncio.sleep(0)
        for _ in range(2):
            probe = stack.enter_context(listener.client())
            probe.send(REQUEST)
            assert (await loop.sock_recv(probe, 65536)).startswith(b"HTTP/1.1 200 ")
        # The second took the place of the first one.
        assert [was_closed(client) for client in crowd] == [True] + [False] * (PLACES - 1)
        assert len(listener.policy.in_flight) == PLACES - 1
        await listener.server.aclose()


@pytest.mark.gen_test
async def test_a_body_that_has_arrived_gives_nobody_room() -> None:
    """Its request is worked on."""

    class Slow(RequestHandler):
        async def post(self) -> None:
            await asyncio.Event().wait()

    listener = Listener(Settings(max_connections=1), Application([("/", Slow)], log_function=lambda _: None))
    with listener.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nwhole")
        await turns(20)
        with listener.client() as other:
            assert was_closed(other)
            assert not was_closed(client)
        await listener.server.aclose()


@pytest.mark.gen_test
async def test_a_request_is_on_its_way_since_it_came_and_not_since_the_answer_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = 0.2
    monkeypatch.setattr("app.http.connections.SLOW_SECONDS", slow)
    listener = Listener(Settings(max_connections=1))
    loop = asyncio.get_running_loop()
    with listener.client() as client:
        client.send(REQUEST)
        await loop.sock_recv(client, 65536)
        await asyncio.sleep(slow)
        client.send(REQUEST[:5])
        came = loop.time()
        await listener.connections.wait_for_room()
        assert loop.time() - came > slow
        await listener.server.aclose()


@pytest.mark.gen_test
async def test_whoever_made_room_is_not_served_what_was_just_read() -> None:
    served: list[str] = []
    routes = [("/", Visited, {"served": served})]
    listener = Listener(Settings(max_connections=1), Application(routes, log_function=lambda _: None))
    with ExitStack() as stack:
        client = stack.enter_context(listener.client())
        await turns(10)
        client.send(REQUEST)
        # The next turn reads the request, the one after that first lets somebody in.
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(lambda: stack.enter_context(listener.client()))
        await turns(10)
        assert (listener.connections.dropped, served) in [([MADE_ROOM], []), (["no room"], ["/"])]
        await listener.server.aclose()


class Crowd:
    """Clients who come as they do to any server."""

    def __init__(self, listener: Listener, stack: ExitStack, listening: int = 1) -> None:
        self._stack = stack
        self.sockets = [one for _ in range(listening) for one in bind_sockets(0, LOOPBACK, backlog=1024)]
        listener.server.add_sockets(self.sockets)

    def connect(self, sent: bytes, to: int = 0) -> socket.socket:
        client = self._stack.enter_context(socket.create_connection(self.sockets[to].getsockname()))
        client.setblocking(False)
        client.send(sent)
        return client


async def answers(clients: list[socket.socket]) -> list[bytes]:
    loop = asyncio.get_running_loop()
    return [(await loop.sock_recv(client, 65536))[9:12] for client in clients]


@pytest.mark.gen_test(timeout=2 * PATIENCE)
async def test_a_drain_takes_in_no_more_than_it_can_answer() -> None:
    """Where all places are taken, each of those who have connected and asked is answered, too."""
    places = 4 * CLOSING_AT_ONCE
    listener = Listener(Settings(max_connections=places))
    with ExitStack() as stack:
        crowd = Crowd(listener, stack)
        for _ in range(places):
            crowd.connect(b"")
        while listener.connections.count_open() < places:  # noqa: ASYNC110 - turns of the loop
            await asyncio.sleep(0)
        askers = [crowd.connect(REQUEST) for _ in range(2 * places)]
        draining = asyncio.create_task(drain(listener.server, ()))
        assert await answers(askers) == [b"200"] * len(askers)
        await draining


@pytest.mark.gen_test(timeout=2 * PATIENCE)
async def test_half_requests_keep_nobody_out_of_a_drain() -> None:
    places = 8
    listener = Listener(Settings(max_connections=places))
    with ExitStack() as stack:
        crowd = Crowd(listener, stack)
        for _ in range(places):
            crowd.connect(REQUEST[:5])
        while listener.connections.arriving() < places:  # noqa: ASYNC110 - turns of the loop
            await asyncio.sleep(0)
        crowd.connect(REQUEST[:5])
        askers = [crowd.connect(REQUEST) for _ in range(places)]
        draining = asyncio.create_task(drain(listener.server, ()))
        assert await answers(askers) == [b"200"] * len(askers)
        draining.cancel()
        await listener.server.aclose()


@pytest.mark.gen_test(timeout=2 * PATIENCE)
async def test_whoever_connected_is_taken_in_from_every_address() -> None:
    class Slow(RequestHandler):
        async def get(self) -> None:
            await asyncio.sleep(0.2)

    listener = Listener(Settings(max_connections=1), Application([("/", Slow)], log_function=lambda _: None))
    with ExitStack() as stack:
        crowd = Crowd(listener, stack, listening=2)
        visitors = [crowd.connect(REQUEST)]
        while not listener.policy.in_flight:  # noqa: ASYNC110 - turns of the loop
            await asyncio.sleep(0)
        listener.connections.end_keep_alive()
        visitors += [crowd.connect(REQUEST, to=number % 2) for number in range(4)]
        taking_in = asyncio.create_task(listener.server.take_in())
        assert await answers(visitors) == [b"200"] * len(visitors)
        await taking_in
        await listener.server.aclose()
