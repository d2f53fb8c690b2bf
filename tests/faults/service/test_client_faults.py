"""What clients, the machine and its operators may do, under visitors who mean well."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.conftest import StartService
from tests.faults.service.line import Record, balance, fault, resident
from tests.faults.service.redis_servers import Server
from tests.faults.service.visitors import VISIT, Visitors
from tests.service import Service, eventually

# The server is not what breaks here: one product will do.
pytestmark = pytest.mark.parametrize("product", ["valkey"], indirect=True)

IDLE_CONNECTIONS = 10_000
MALFORMED = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
    b"GET / HTTP/9.9\r\n\r\n",
    b"G" * 100_000,
    b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
)


def paced(count: int) -> Iterator[int]:
    for number in range(count):
        yield number
        if number % 10 == 0:
            time.sleep(0.01)


@contextmanager
def repeated(what: "threading.Event", action: "Iterator[None]") -> Iterator[None]:
    """Let `action` go on in a thread until the block ends."""

    def run() -> None:
        for _ in action:
            if what.is_set():
                return

    thread = threading.Thread(target=run)
    thread.start()
    yield
    what.set()
    thread.join()


def test_slow_clients(server: Server, start_service: StartService, record: Record) -> None:
    """200 connections send one byte of a header every half second."""
    service = start_service(server).wait_until_ready()
    with fault("200 clients send a byte at a time", service, server, record) as line, ExitStack() as stack:
        slow = [stack.enter_context(service.connect()) for _ in range(200)]
        for byte in VISIT[:12]:
            for connection in slow:
                connection.send(bytes([byte]))
            time.sleep(0.5)
        line.mended()


def test_clients_that_leave(server: Server, start_service: StartService, record: Record) -> None:
    service = start_service(server).wait_until_ready()
    sent = 0

    def leave() -> Iterator[None]:
        nonlocal sent
        while True:
            with service.connect() as connection:
                connection.sendall(VISIT)
                sent += 1
                # An abortive close: the service gets a reset, not an end.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            # About 200 a second, so that this is not a test of overload.
            time.sleep(0.005)
            yield

    with fault(
        "clients reset the connection before the answer", service, server, record, others=1_000_000
    ) as line:
        with repeated(threading.Event(), leave()):
            time.sleep(5)
        line.mended()
    value = int(server.run("GET", "counter"))
    assert len(line.visitors.answered) <= value <= len(line.visitors.sent) + sent


def test_pipelining(server: Server, start_service: StartService, record: Record) -> None:
    service = start_service(server).wait_until_ready()
    with fault("50 requests at once on each connection", service, server, record, others=50 * 20) as line:
        for _ in range(20):
            with service.connect() as connection:
                connection.sendall(VISIT * 50)
                received = b""
                while received.count(b"HTTP/1.1 200 OK") < 50:
                    piece = connection.recv(65536)
                    assert piece
                    received += piece
        line.mended()
    assert int(server.run("GET", "counter")) == len(line.visitors.sent) + 50 * 20


def test_malformed(server: Server, start_service: StartService, record: Record) -> None:
    service = start_service(server).wait_until_ready()
    with fault("malformed requests", service, server, record) as line:
        for _ in range(30):
            for garbage in MALFORMED:
                with service.connect() as connection:
                    connection.settimeout(0.05)
                    try:
                        connection.sendall(garbage)
                        connection.recv(4096)
                    except OSError:
                        pass
        line.mended()
    assert int(server.run("GET", "counter")) == len(line.visitors.sent)
    assert not any("Traceback" in raw for raw in service.raw)


def test_idle_connections(server: Server, start_service: StartService, record: Record) -> None:
    service = start_service(server).wait_until_ready()
    with fault("10 000 idle connections", service, server, record) as line:
        before = resident(service)
        # About 1000 come and go in a second, so that this is not a test of overload.
        idle = [service.connect() for _ in paced(IDLE_CONNECTIONS)]
        line.visitors.await_answers(500)
        each = (resident(service) - before) * 1024 / IDLE_CONNECTIONS
        for number in paced(IDLE_CONNECTIONS):
            idle[number].close()
        line.mended()
    assert each < 20, f"{each:.1f} KB for each idle connection"


def test_event_loop_blocked(server: Server, start_service: StartService, record: Record) -> None:
    """As by a debugger or a throttled CPU: nothing runs for 3 s, then everything is late."""
    service = start_service(server).wait_until_ready()
    # For that long nobody can be answered: the bound holds from the moment that the process runs again.
    with fault("the process does not run for 3 s", service, server, record, longest=3 + 2.2) as line:
        service.signal(signal.SIGSTOP)
        time.sleep(3)
        service.signal(signal.SIGCONT)
        line.mended()


def test_file_descriptors_exhausted(server: Server, start_service: StartService, record: Record) -> None:
    service = start_service(server, through=["prlimit", "--nofile=128"]).wait_until_ready()
    with fault("file descriptors exhausted for 5 s", service, server, record) as line:
        with ExitStack() as stack:
            for _ in range(300):
                stack.enter_context(service.connect())
            # Those who are in are served, also when the connection to Redis has to be opened anew.
            server.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            began = time.monotonic()
            line.visitors.await_answers(300)
            time.sleep(max(0, 5 - (time.monotonic() - began)))
        line.mended()
    # No busy loop that logs each refused connection.
    assert len([raw for raw in service.raw if "Too many open files" in raw]) < 30


def test_sigterm_under_load(server: Server, start_service: StartService, record: Record) -> None:
    service = start_service(server, DRAIN_DELAY=0.5).wait_until_ready()
    with fault("SIGTERM under load", service, server, record, ends=True) as line:
        service.signal(signal.SIGTERM)
        assert service.wait(5) == 0
        # Whoever was accepted was answered; a connection that comes when the listener is gone is refused.
        assert {0} & set(line.visitors.statuses()) == set(), line.visitors.statuses()
    assert server.run("KEYS", "*") == ["counter"]


def test_second_sigterm(server: Server, start_service: StartService, record: Record) -> None:
    service = start_service(server, DRAIN_DELAY=5).wait_until_ready()
    with fault("second SIGTERM under load", service, server, record, ends=True):
        service.signal(signal.SIGTERM)
        service.line("draining")
        service.signal(signal.SIGTERM)
        assert service.wait(3) == 128 + signal.SIGTERM


def test_sigkill(server: Server, start_service: StartService, record: Record) -> None:
    service = start_service(server).wait_until_ready()
    with fault("SIGKILL under load", service, server, record, ends=True):
        service.signal(signal.SIGKILL)
        service.wait(3)
    keys = server.run("KEYS", "*:writer:*")
    assert len(keys) <= 1
    assert all(0 < server.run("TTL", key) <= 3600 for key in keys)


def test_three_processes_share_the_counter(
    server: Server, start_service: StartService, record: Record
) -> None:
    """Two of them are killed meanwhile: what they were answered for stays counted."""
    services: list[Service] = [start_service(server).wait_until_ready() for _ in range(3)]
    with (
        Visitors(services[1].port) as others,
        Visitors(services[2].port) as more,
        fault("two of three processes killed", services[0], server, record, others=1_000_000) as line,
    ):
        others.await_answers(100)
        for service in services[1:]:
            service.signal(signal.SIGKILL)
        line.mended()
    together = [*line.visitors.answered, *others.answered, *more.answered]
    numbers = [visit.number for visit in together]
    assert len(set(numbers)) == len(numbers)
    value = int(server.run("GET", "counter"))
    sent = sum(len(group.sent) for group in (line.visitors, others, more))
    assert len(numbers) <= value <= sent


def test_stampede(server: Server, start_service: StartService) -> None:
    """Five processes under load find Redis again: the commands of its first second are few."""
    services = [start_service(server).wait_until_ready() for _ in range(5)]
    with ExitStack() as stack:
        groups = [stack.enter_context(Visitors(service.port, 16, 0.05)) for service in services]
        for group in groups:
            group.await_answers(20)
        server.stop()
        time.sleep(4)
        server.start()
        began = time.monotonic()
        eventually(lambda: time.monotonic() > began + 1, "the first second")
        stats = server.info("commandstats")
        connections = int(server.info("stats")["total_connections_received"])
        calls = {name.removeprefix("cmdstat_"): int(stat["calls"]) for name, stat in stats.items()}
        for group in groups:
            group.await_answers(20)
    print(f"\nfirst second after an outage, 5 processes: {connections} connections, {calls}")
    # Each process: the batch's, the reader's and the probe's, and some attempts that came too early.
    assert connections <= 5 * 6, connections
    registrations = calls.get("set", 0) - calls.get("incrby", 0)
    assert registrations <= 5 * 2, calls
    assert balance(groups[0], int(server.run("GET", "counter")), 10**6)[0] == 0
