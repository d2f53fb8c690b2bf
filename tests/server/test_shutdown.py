"""From a signal to the end: what is in flight, what still comes, and how long it may take."""

import signal
import threading

import pytest

from dev.valkey import free_port
from tests.conftest import StartService, ValkeyServer
from tests.server.waiting import visitor_who_waits
from tests.service import VISIT, Service, eventually

pytestmark = pytest.mark.usefixtures("each_transport")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_drain_answers_what_is_in_flight(
    valkey: ValkeyServer, start_service: StartService, number: signal.Signals
) -> None:
    """With the word that the connection closes, though the request came before the signal."""
    service = start_service(
        valkey, ADMIN_PORT=free_port(), REDIS_TIMEOUT=3, REQUEST_TIMEOUT=4
    ).wait_until_ready()
    with visitor_who_waits(service, valkey) as connection:
        service.signal(number)
        service.line("draining", in_flight=1)
        valkey.resume()
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"Connection: close" in answer
        assert connection.recv(1) == b""
    assert service.wait() == 0
    service.line("stopped")
    assert service.errors() == ""


def test_drain_under_steady_requests_fails_none(valkey: ValkeyServer, start_service: StartService) -> None:
    """Clients stop coming once /readyz says so, as behind a Service; none of theirs may fail."""
    service = start_service(valkey, DRAIN_DELAY=0.5).wait_until_ready()
    withdrawn = threading.Event()
    statuses: list[object] = []

    def visit(*, keep_alive: bool) -> None:
        while not withdrawn.is_set():
            try:
                if keep_alive:
                    statuses.extend(visits_on_one_connection(service, withdrawn))
                else:
                    statuses.append(service.get("/", Accept="application/json").status)
            except OSError as error:
                statuses.append(error)

    kinds = (True, True, False, False)
    clients = [threading.Thread(target=visit, kwargs={"keep_alive": kind}) for kind in kinds]
    for client in clients:
        client.start()
    eventually(lambda: len(statuses) > 50, "load")
    service.signal(signal.SIGTERM)
    eventually(lambda: service.get("/readyz").status == 503, "not ready")
    assert service.get("/readyz").body == b"draining\n"
    assert service.get("/healthz").status == 200
    before = len(statuses)
    eventually(lambda: len(statuses) > before + 20, "still served during the delay")
    withdrawn.set()
    for client in clients:
        client.join()
    assert service.wait() == 0
    assert set(statuses) == {200}
    assert valkey.get("counter") == str(len(statuses))


def visits_on_one_connection(service: Service, withdrawn: threading.Event) -> list[int]:
    statuses = []
    with service.connect() as connection:
        while not withdrawn.is_set():
            connection.sendall(VISIT)
            answer = connection.recv(65536)
            statuses.append(int(answer.split()[1]))
            if b"Connection: close" in answer:
                break
    return statuses


def test_drain_waits_for_a_request_that_is_still_arriving(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    service = start_service(valkey, ADMIN_PORT=free_port()).wait_until_ready()
    with service.connect() as connection:
        head = b"POST /api/v1/counter HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
        connection.sendall(head + b"Content-Type: application/json\r\n\r\n{")
        eventually(lambda: service.in_flight() == 1, "in flight")
        service.signal(signal.SIGTERM)
        service.line("draining", in_flight=1)
        connection.sendall(b"}")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert service.wait() == 0


def test_a_visitor_who_left_is_in_flight_until_the_work_is_done(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    service = start_service(
        valkey, ADMIN_PORT=free_port(), REDIS_TIMEOUT=3, REQUEST_TIMEOUT=4
    ).wait_until_ready()
    with visitor_who_waits(service, valkey):
        pass
    # The end of the connection is seen before an answer on a later one.
    assert service.get("/version").status == 200
    assert service.in_flight() == 1
    valkey.resume()
    eventually(lambda: service.in_flight() == 0, "done")


def test_a_draining_service_ends_keep_alive(valkey: ValkeyServer, start_service: StartService) -> None:
    service = start_service(valkey, DRAIN_DELAY=5).wait_until_ready()
    with service.connect() as connection:
        connection.sendall(VISIT)
        assert b"Connection: close" not in connection.recv(65536)
        service.signal(signal.SIGTERM)
        service.line("draining")
        connection.sendall(VISIT)
        assert b"Connection: close" in connection.recv(65536)
        assert connection.recv(1) == b""


def test_drain_ends_at_its_timeout(valkey: ValkeyServer, start_service: StartService) -> None:
    service = start_service(
        valkey, ADMIN_PORT=free_port(), DRAIN_TIMEOUT=0.3, REDIS_TIMEOUT=8, REQUEST_TIMEOUT=9
    ).wait_until_ready()
    with visitor_who_waits(service, valkey):
        service.signal(signal.SIGTERM)
        assert service.wait(5) == 0
    service.line("drain timed out", in_flight=1)


def test_a_second_signal_ends_at_once(valkey: ValkeyServer, start_service: StartService) -> None:
    service = start_service(valkey, DRAIN_DELAY=60).wait_until_ready()
    service.signal(signal.SIGTERM)
    service.line("draining")
    service.signal(signal.SIGTERM)
    assert service.wait(3) == 128 + signal.SIGTERM


def test_a_signal_while_redis_is_away_drains_too(valkey: ValkeyServer, start_service: StartService) -> None:
    valkey.stop()
    service = start_service(valkey)
    service.line("waiting for redis")
    service.signal(signal.SIGTERM)
    assert service.wait(5) == 0
