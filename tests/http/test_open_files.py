"""What a process does where its open files do not suffice for whoever would like to connect."""

import resource
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.http.open_files import ADMIN_CONNECTIONS, SPARE_DESCRIPTORS
from app.http.policy import CONNECTIONS_FOR_PROBES
from dev.valkey import free_port
from tests.conftest import StartService, ValkeyServer
from tests.service import PATIENCE, VISIT, Service, eventually

pytestmark = pytest.mark.usefixtures("each_transport")

PLACES = 64
SHORTAGE = "no connection can be accepted for now"


def limit_of(service: Service) -> int:
    limits = Path(f"/proc/{service.process.pid}/limits").read_text().splitlines()
    return int(next(line for line in limits if line.startswith("Max open files")).split()[3])


def shortages(service: Service) -> int:
    return sum(line["event"] == SHORTAGE for line in list(service.lines))


def limited_to(descriptors: str) -> list[str]:
    return ["prlimit", f"--nofile={descriptors}"]


def test_the_process_raises_its_own_limit(valkey: ValkeyServer, start_service: StartService) -> None:
    """Many systems give 1024, of which MAX_IN_FLIGHT alone takes all but a few."""
    service = start_service(valkey, limited_to("64:"), MAX_CONNECTIONS=2000).wait_until_ready()
    assert limit_of(service) == 2000 + SPARE_DESCRIPTORS


def test_the_process_raises_it_no_further_than_it_may(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    service = start_service(valkey, limited_to("128:200")).wait_until_ready()
    assert limit_of(service) == 200
    with ExitStack() as stack:
        for _ in range(2 * 200):
            stack.enter_context(service.connect())
        assert service.get("/readyz").status == 200


def test_visitors_who_wait_leave_room_for_probes(valkey: ValkeyServer, start_service: StartService) -> None:
    """However large MAX_IN_FLIGHT is."""
    service = start_service(
        valkey, MAX_CONNECTIONS=PLACES, ADMIN_PORT=free_port(), REQUEST_TIMEOUT=PATIENCE
    ).wait_until_ready()
    valkey.pause()
    with ExitStack() as stack:
        visitors = [stack.enter_context(service.connect()) for _ in range(PLACES)]
        for visitor in visitors:
            visitor.sendall(VISIT)
        eventually(lambda: service.in_flight() == PLACES - CONNECTIONS_FOR_PROBES, "the others are refused")
        assert [service.get("/healthz").status for _ in range(5)] == [200] * 5
        valkey.resume()
        answers = [visitor.recv(65536)[9:12] for visitor in visitors]
    assert answers.count(b"200") == PLACES - CONNECTIONS_FOR_PROBES
    # Those that were refused waited for nothing, so that one or another made room for a probe.
    assert set(answers) <= {b"200", b"503"}


def test_connections_of_the_admin_listener_take_no_place_of_visitors(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    limit = limited_to(str(SPARE_DESCRIPTORS + PLACES))
    service = start_service(valkey, limit, ADMIN_PORT=free_port()).wait_until_ready()
    with ExitStack() as stack:
        for _ in range(2 * PLACES):
            stack.enter_context(service.connect())
        for _ in range(4 * ADMIN_CONNECTIONS):
            stack.enter_context(service.connect(service.admin_port))
        assert service.get("/readyz").status == 200
        assert "\nhttp_connections_open" in service.metrics()
    assert not [line for line in service.lines if line["level"] in {"error", "warning"}]


def test_a_shortage_is_told_of_once_a_second_and_ends_by_itself(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    service = start_service(valkey).wait_until_ready()
    before = resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE)
    # Fewer than it has open.
    resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, (4, before[1]))
    with service.connect() as visitor:
        visitor.sendall(VISIT)
        eventually(lambda: shortages(service) >= 2, "it is tried again")
        resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, before)
        assert visitor.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert service.get("/readyz").status == 200
    assert shortages(service) < PATIENCE
    assert not [line for line in service.lines if line["level"] == "error"]
