"""What may happen to the process itself, under visitors."""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.conftest import StartService
from tests.faults.service.balance import balance
from tests.faults.service.conftest import StartLine
from tests.faults.service.line import Record, fault
from tests.faults.service.redis_servers import Server
from tests.service import Service, eventually
from tests.visitors import Visitors

pytestmark = pytest.mark.any_product

QUEUED = 500
"""More than the listener takes in at once, less than its backlog and MAX_IN_FLIGHT."""


@contextmanager
def standing_still(service: Service) -> Iterator[None]:
    service.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        service.signal(signal.SIGCONT)


def test_event_loop_blocked(start_line: StartLine) -> None:
    """As by a debugger or a throttled CPU: nothing runs for 3 s, then everything is late."""
    # For that long nobody can be answered: the bound holds from the moment that the process runs again.
    with start_line("the process does not run for 3 s", longest=3 + 2.2) as line:
        with standing_still(line.service):
            time.sleep(3)


def test_file_descriptors_exhausted(server: Server, start_line: StartLine) -> None:
    with start_line("file descriptors exhausted for 5 s", ["prlimit", "--nofile=128"]) as line:
        with ExitStack() as stack:
            for _ in range(300):
                stack.enter_context(line.service.connect())
            # Those who are in are served, also when the connection to Redis has to be opened anew.
            server.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            began = time.monotonic()
            line.visitors.await_answers(300)
            time.sleep(max(0, 5 - (time.monotonic() - began)))
    # No busy loop that logs each refused connection.
    assert len([raw for raw in line.service.raw if "Too many open files" in raw]) < 30


def test_sigterm_under_load(server: Server, start_line: StartLine) -> None:
    """It stands still while its listener is due to close, as under a throttled CPU, and many queue there.

    The visitors never pause: whenever it closes a connection without having said so, a request is on its way.
    """
    with start_line("SIGTERM under load", ends=True, pause=0.0, DRAIN_DELAY=0.5) as line:
        line.service.signal(signal.SIGTERM)
        line.service.line("draining")
        with ExitStack() as stack:
            with standing_still(line.service):
                queued = stack.enter_context(Visitors(line.service.address, count=QUEUED))
                line.more.append(queued)
                eventually(lambda: length_of_queue(line.service.port) >= QUEUED, f"{QUEUED} in the queue")
                time.sleep(0.5)
            assert line.service.wait(5) == 0
    # Whoever was accepted was answered; a connection that comes when the listener is gone is refused.
    statuses = line.visitors.statuses() + queued.statuses()
    assert set(statuses) <= {200, -1}, statuses
    assert len(queued.answered) == QUEUED
    assert server.run("KEYS", "*") == ["counter"]


def length_of_queue(port: int) -> int:
    """Return how many connections wait to be accepted (proc_net_tcp: of a listener, that is its rx_queue)."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(
        int(queues.partition(":")[2], 16)
        for _, local, _, state, queues, *_ in lines
        if int(local.partition(":")[2], 16) == port and state == "0A"
    )


def test_second_sigterm(start_line: StartLine) -> None:
    with start_line("second SIGTERM under load", ends=True, DRAIN_DELAY=5) as line:
        line.service.signal(signal.SIGTERM)
        line.service.line("draining")
        line.service.signal(signal.SIGTERM)
        assert line.service.wait(3) == 128 + signal.SIGTERM


def test_sigkill(server: Server, start_line: StartLine) -> None:
    with start_line("SIGKILL under load", ends=True) as line:
        line.service.signal(signal.SIGKILL)
        line.service.wait(3)
    keys = server.run("KEYS", "*:writer:*")
    assert len(keys) <= 1
    assert all(0 < server.run("TTL", key) <= 3600 for key in keys)


def test_three_processes_share_the_counter(
    server: Server, start_service: StartService, record: Record
) -> None:
    """Two of them are killed meanwhile: what they were answered for stays counted."""
    services = [start_service(server).wait_until_ready() for _ in range(3)]
    with (
        Visitors(services[1].address) as others,
        Visitors(services[2].address) as more,
        fault("two of three processes killed", services[0], server, record) as line,
    ):
        line.more += [others, more]
        others.await_answers(100)
        for service in services[1:]:
            service.signal(signal.SIGKILL)


def test_stampede(server: Server, start_service: StartService) -> None:
    """Five processes under load find Redis again: the commands of its first second are few."""
    services = [start_service(server).wait_until_ready() for _ in range(5)]
    with ExitStack() as stack:
        groups = [
            stack.enter_context(Visitors(service.address, count=16, pause=0.05)) for service in services
        ]
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
    assert balance([group.sent for group in groups], int(server.run("GET", "counter"))) == (0, 0)
