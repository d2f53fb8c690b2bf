"""What a listener does with connections that clients leave open, do not read, or share."""

import re
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from app.http.admission import FREE_REFUSALS_A_SECOND
from app.http.connections import UNREAD
from app.http.open_files import SPARE_DESCRIPTORS
from dev.valkey import LOOPBACK, free_port
from tests.conftest import StartService, ValkeyServer
from tests.server.waiting import visitor_who_waits
from tests.service import PATIENCE, VISIT, Service, eventually

pytestmark = pytest.mark.usefixtures("each_transport")

STYLE = b"GET /static/style.css HTTP/1.1\r\nHost: localhost\r\n\r\n"
LIMIT = 16 * 1024
PLACES = 3


def drops(service: Service) -> dict[str, int]:
    metrics = service.metrics()
    found = re.findall(r'\nhttp_connections_dropped_total\{reason="(.*)"\} (\d+)', metrics)
    return {reason: int(count) for reason, count in found if int(count)}


@contextmanager
def small_client(service: Service) -> Iterator[socket.socket]:
    """A client whose system takes little that it does not read."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(PATIENCE)
        client.connect((LOOPBACK, service.port))
        yield client


def ask_without_reading(service: Service, *clients: socket.socket) -> None:
    """Send requests until none is answered any more, as there is no room for the answers."""
    many = STYLE * 200
    sent = dict.fromkeys(clients, 0)
    answered = -1
    while (now := answers(service)) != answered or service.in_flight() != len(clients):
        answered = now
        _, ready, _ = select.select([], clients, [], 0)
        for client in ready:
            sent[client] += client.send(many[sent[client] % len(STYLE) :])
        time.sleep(0.2)


def answers(service: Service) -> int:
    """How many style sheets were asked for."""
    found = re.search(r'_count\{.*route="/static/.*\} (\d+)', service.metrics())
    return int(found[1]) if found else 0


def was_reset(client: socket.socket) -> bool:
    """Read to the end; tell whether it was cut off."""
    try:
        while client.recv(65536):
            pass
    except ConnectionResetError:
        return True
    return False


@pytest.fixture
def service(valkey: ValkeyServer, start_service: StartService) -> Service:
    return start_service(valkey, ADMIN_PORT=free_port(), REQUEST_TIMEOUT=2).wait_until_ready()


def test_a_client_that_never_reads_holds_nothing_for_ever(service: Service) -> None:
    with small_client(service) as client:
        ask_without_reading(service, client)
        eventually(lambda: drops(service) == {UNREAD: 1}, "dropped")
        assert service.in_flight() == 0
        assert was_reset(client)


def test_probes_get_in_among_clients_that_never_read(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    through = ["prlimit", f"--nofile={SPARE_DESCRIPTORS + PLACES}"]
    settings = {"ADMIN_PORT": free_port(), "REQUEST_TIMEOUT": 60}
    service = start_service(valkey, through, **settings).wait_until_ready()
    with ExitStack() as stack:
        clients = [stack.enter_context(small_client(service)) for _ in range(PLACES)]
        ask_without_reading(service, *clients)
        # As each answer that nobody reads is some time old by now.
        time.sleep(1)
        assert [service.get("/readyz").status for _ in range(5)] == [200] * 5
        assert drops(service)[UNREAD] == 1


def test_who_is_asking_gives_way_last(valkey: ValkeyServer, start_service: StartService) -> None:
    """Even one that waits for longer than others that ask for nothing."""
    service = start_service(valkey, ["prlimit", f"--nofile={SPARE_DESCRIPTORS + PLACES}"]).wait_until_ready()
    # The answer shows that whoever came before is being read from.
    with service.connect(), service.connect() as asking, service.connect() as resting:
        asking.sendall(VISIT[:-1])
        resting.sendall(VISIT)
        assert resting.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert [service.get("/readyz").status for _ in range(3)] == [200] * 3
        asking.sendall(VISIT[-1:])
        assert asking.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_crowd_at_a_full_service_takes_no_spare_descriptor(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    """They are for Redis, and for the log; whoever is closed for a new one has one for some turns more."""
    service = start_service(valkey, ["prlimit", f"--nofile={SPARE_DESCRIPTORS + PLACES}"]).wait_until_ready()
    with ExitStack() as stack:
        with service.frozen():
            crowd = [stack.enter_context(service.connect()) for _ in range(2 * SPARE_DESCRIPTORS)]
        for client in crowd[:-PLACES]:
            assert client.recv(1) == b""
    assert service.get("/readyz").status == 200
    assert not [line for line in service.lines if line["level"] in {"error", "warning"}]


def test_a_request_on_a_refused_connection_waits_no_longer_than_for_a_place(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    """A proxy's connections carry other visitors' requests, too, who were not refused."""
    service = start_service(
        valkey, ADMIN_PORT=free_port(), MAX_IN_FLIGHT=1, REDIS_TIMEOUT=5, REQUEST_TIMEOUT=6
    ).wait_until_ready()
    with ExitStack() as stack:
        visitor = stack.enter_context(visitor_who_waits(service, valkey))
        with service.frozen():
            # So many that the last one rests for as long as any does.
            crowd = [stack.enter_context(service.connect()) for _ in range(3 * FREE_REFUSALS_A_SECOND)]
            for connection in crowd:
                connection.sendall(VISIT)
        for connection in crowd:
            assert connection.recv(65536).startswith(b"HTTP/1.1 503 ")
        shared = crowd[-1]
        shared.sendall(VISIT)
        eventually(lambda: "\nhttp_requests_resting 1.0\n" in service.metrics(), "it rests")
        valkey.resume()
        freed = time.monotonic()
        assert visitor.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert shared.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert time.monotonic() - freed < 0.8
        assert "\nhttp_requests_resting 0.0\n" in service.metrics()


@pytest.mark.parametrize("path", ["/version", "/no-page"])
def test_headers_that_are_too_large_are_a_431_on_a_kept_connection_too(
    valkey: ValkeyServer, start_service: StartService, path: str
) -> None:
    service = start_service(valkey).wait_until_ready()
    with service.connect() as connection:
        for _ in range(2):
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert connection.recv(65536).startswith(b"HTTP/1.1 ")
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * LIMIT + b"\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 431 ")
