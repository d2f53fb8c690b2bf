"""More requests than MAX_IN_FLIGHT."""

import signal
import threading
import time
from collections.abc import Iterator

import pytest

from app.http.admission import FREE_REFUSALS_A_SECOND
from dev.valkey import free_port
from tests.conftest import StartService, ValkeyServer
from tests.server.waiting import visitor_who_waits
from tests.service import VISIT, Service, eventually
from tests.visitors import Visitors

pytestmark = pytest.mark.usefixtures("each_transport")


def test_too_many_in_flight_is_a_503_at_once_but_not_for_probes(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    service = start_service(
        valkey, ADMIN_PORT=free_port(), MAX_IN_FLIGHT=2, REDIS_TIMEOUT=3, REQUEST_TIMEOUT=4
    ).wait_until_ready()
    valkey.pause()
    held = [service.connect() for _ in range(2)]
    for connection in held:
        connection.sendall(VISIT)
    eventually(lambda: service.in_flight() == 2, "no place is left")
    started = time.monotonic()
    answer = service.get("/")
    assert time.monotonic() - started < 1
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    # They wait for Redis; what matters is that they are let in.
    results: list[int] = []
    probe = threading.Thread(target=lambda: results.append(service.get("/healthz").status))
    probe.start()
    valkey.resume()
    probe.join()
    assert results == [200]
    for connection in held:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.close()
    assert valkey.get("counter") == "2"


def test_a_crowd_that_is_refused_keeps_nobody_else_out(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    service = start_service(valkey, MAX_IN_FLIGHT=10).wait_until_ready()
    crowd = [service.connect() for _ in range(50)]
    assert service.get("/version").status == 200
    # While it does not run they all arrive, and are read in one turn of its loop.
    service.signal(signal.SIGSTOP)
    for connection in crowd:
        connection.sendall(VISIT)
    service.signal(signal.SIGCONT)
    answers = [connection.recv(65536).split()[1] for connection in crowd]
    for connection in crowd:
        connection.close()
    assert answers.count(b"200") >= 10
    assert set(answers) == {b"200", b"503"}
    assert valkey.get("counter") == str(answers.count(b"200"))


@pytest.fixture
def full(valkey: ValkeyServer, start_service: StartService) -> Iterator[Service]:
    """A service whose only place is taken by a visitor who waits for Redis."""
    service = start_service(
        valkey, ADMIN_PORT=free_port(), MAX_IN_FLIGHT=1, REDIS_TIMEOUT=5, REQUEST_TIMEOUT=6
    ).wait_until_ready()
    with visitor_who_waits(service, valkey):
        yield service


def test_a_crowd_that_comes_back_at_once_is_read_at_a_pace(full: Service) -> None:
    refusals = 2 * FREE_REFUSALS_A_SECOND
    began = time.monotonic()
    with Visitors(full.address, count=20, pause=0) as crowd:
        eventually(lambda: crowd.statuses().get(503, 0) >= refusals, "refused")
        assert set(crowd.statuses()) == {503}
    # The first and the last refusal of each connection are not paced.
    assert time.monotonic() - began > (refusals - 2 * 20) / FREE_REFUSALS_A_SECOND
