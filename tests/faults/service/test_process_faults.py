"""What may happen to the process itself, under visitors."""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.conftest import StartService
from tests.faults.service.conftest import StartLine
from tests.faults.service.evidence import end, failures, starts
from tests.faults.service.line import Line
from tests.faults.service.processes import stop
from tests.faults.service.redis_servers import Server
from tests.visitors import BROKEN, UNREACHED, Visitors

pytestmark = pytest.mark.any_product

QUEUED = 500
"""More than the listener takes in at once, less than its backlog and MAX_IN_FLIGHT."""


@contextmanager
def standing_still(line: Line) -> Iterator[None]:
    """The kernel does not let the process run."""
    process = line.service.process
    stopped = time.monotonic()
    line.do(stop, process.pid)
    try:
        yield
    finally:
        line.do(process.send_signal, signal.SIGCONT)
        if line.is_on:
            line.stood_still += time.monotonic() - stopped


def test_event_loop_blocked(start_line: StartLine) -> None:
    """As by a debugger or a throttled CPU: nothing runs for 3 s, then everything is late."""
    with start_line("the process does not run for 3 s") as line:
        with standing_still(line):
            line.lasts(3)
        line.sees("the probe that had to wait", lambda: line.prober.longest > 2.9)
        line.struck("seconds that a probe waited", round(line.prober.longest))


def test_file_descriptors_exhausted(server: Server, start_line: StartLine, *, fault_is_on: bool) -> None:
    # Enough for those who ask, and for what the service keeps for itself and for probes.
    limit = ["prlimit", "--nofile=160"] if fault_is_on else []
    # Whoever is idle makes room for who comes: a request may be on its way just then.
    with start_line("file descriptors exhausted for 5 s", limit, also=[BROKEN]) as line, ExitStack() as stack:
        crowd = [stack.enter_context(line.service.connect()) for _ in range(300)]
        # Those who are in are served, also when the connection to Redis has to be opened anew.
        server.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        began = time.monotonic()
        line.visitors.await_answers(300)
        line.lasts(max(0.0, 5 - (time.monotonic() - began)))
        line.struck("connections closed", sum(map(is_closed, crowd)))
    # A probe that connects together with the crowd may be taken for one of them.
    for heard in line.prober.heard.values():
        assert heard["200 ok"] > 0.9 * heard.total(), heard
    # No busy loop that logs each refused connection.
    assert len([raw for raw in line.service.raw if "Too many open files" in raw]) < 30


def is_closed(connection: socket.socket) -> bool:
    """Whether the other end has closed it."""
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_sigterm_under_load(server: Server, start_line: StartLine) -> None:
    """It stands still while its listener is due to close, as under a throttled CPU, and many queue there.

    The visitors never pause: whenever it closes a connection without having said so, a request is on its way.
    """
    # Whoever was accepted is answered; a connection that comes when the listener is gone is refused.
    # Visitors come to the end: it is due when the last of them would still have REQUEST_TIMEOUT.
    due = {"DRAIN_DELAY": 0.5, "DRAIN_TIMEOUT": 10, "REQUEST_TIMEOUT": 10}
    with start_line("SIGTERM under load", also=[UNREACHED], ends=True, pause=0.0, **due) as line:
        line.watch(end(line.service, 0))
        line.do(line.service.signal, signal.SIGTERM)
        line.sees("draining", lambda: line.service.has_said("draining"))
        with ExitStack() as stack:
            with standing_still(line):
                queued = stack.enter_context(Visitors(line.service.address, count=QUEUED))
                line.more.append(queued)
                line.sees(f"{QUEUED} in the queue", lambda: length_of_queue(line.service.port) >= QUEUED)
                line.struck("connections in the queue", length_of_queue(line.service.port), least=QUEUED)
                line.lasts(0.5)
            line.do(line.service.wait, 5)
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
    name = "second SIGTERM under load"
    with start_line(name, also=[BROKEN, UNREACHED], ends=True, DRAIN_DELAY=5) as line:
        code = 128 + signal.SIGTERM
        line.watch(end(line.service, code))
        line.do(line.service.signal, signal.SIGTERM)
        line.sees("draining", lambda: line.service.has_said("draining"))
        line.do(line.service.signal, signal.SIGTERM)
        line.do(line.service.wait, 3)


def test_sigkill(server: Server, start_line: StartLine) -> None:
    with start_line("SIGKILL under load", also=[BROKEN, UNREACHED], ends=True) as line:
        line.watch(end(line.service, -signal.SIGKILL))
        line.do(line.service.signal, signal.SIGKILL)
        line.do(line.service.wait, 3)
    keys = server.run("KEYS", "*:writer:*")
    assert len(keys) <= 1
    assert all(0 < server.run("TTL", key) <= 3600 for key in keys)


def test_three_processes_share_the_counter(
    server: Server, start_service: StartService, begin_line: StartLine
) -> None:
    """Two of them are killed meanwhile: what they were answered for stays counted."""
    services = [start_service(server).wait_until_ready() for _ in range(3)]
    survivor, *victims = services
    name = "two of three processes killed"
    with begin_line(name, survivor, server, also=[BROKEN, UNREACHED]) as line, ExitStack() as stack:
        line.more += [stack.enter_context(Visitors(service.address)) for service in victims]
        line.watch(*(end(service, -signal.SIGKILL) for service in victims))
        for visitors in line.more:
            visitors.await_answers(100)
        for service in victims:
            line.do(service.signal, signal.SIGKILL)
            line.do(service.wait, 3)
    assert set(line.visitors.statuses()) == {200}
    assert line.prober.told("/healthz") == line.prober.told("/readyz") == ["200 ok"]


def test_stampede(server: Server, start_service: StartService, begin_line: StartLine) -> None:
    """Five processes under load find Redis again: the commands of its first second are few."""
    services = [start_service(server).wait_until_ready() for _ in range(5)]
    # So long that nobody comes twice in that second.
    pause = 1.0
    name = "five processes find Redis again after 4 s"
    with begin_line(name, services[0], server, pause=pause) as line, ExitStack() as stack:
        line.more += [stack.enter_context(Visitors(service.address, pause=pause)) for service in services[1:]]
        for visitors in line.more:
            visitors.await_answers(32)
        line.watch(starts(server), *(failures(service, "connection") for service in services))
        line.do(server.stop)
        line.lasts(4)
        line.do(server.start)
        line.lasts(1)
        stats = server.info("commandstats")
        connections = int(server.info("stats")["total_connections_received"])
        for visitors in (line.visitors, *line.more):
            visitors.await_answers(32)
    calls = {name.removeprefix("cmdstat_"): int(stat["calls"]) for name, stat in stats.items()}
    print(f"\nfirst second after an outage, 5 processes: {connections} connections, {calls}")
    # Each process: the batch's, the reader's and the probe's, and some attempts that came too early.
    assert connections <= 5 * 6, connections
    registrations = calls.get("set", 0) - calls.get("incrby", 0)
    assert registrations <= 5 * 2, calls
    # Everyone who waited goes with the first one; it is sent again where the server knows no script yet.
    batches = calls.get("evalsha", 0) + calls.get("eval", 0)
    assert batches <= 5 * 4, calls
