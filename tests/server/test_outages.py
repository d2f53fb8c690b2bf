"""What visitors and probes meet while Redis is away, or hangs."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from dev.valkey import free_port
from tests.conftest import StartService, ValkeyServer
from tests.service import eventually

pytestmark = pytest.mark.usefixtures("each_transport")


def test_probes_through_an_outage_and_back(valkey: ValkeyServer, start_service: StartService) -> None:
    service = start_service(valkey, REQUEST_TIMEOUT=1).wait_until_ready()
    assert service.count() == 1
    valkey.stop()
    eventually(lambda: service.get("/readyz").body == b"redis: connection\n", "not ready")
    assert service.get("/healthz").body == b"degraded\n"
    answer = service.get("/")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    valkey.start()
    service.wait_until_ready()
    assert service.get("/healthz").body == b"ok\n"
    assert service.count() == 2


def test_a_redis_that_is_away_for_a_moment_costs_time_and_no_error(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    """Visits and reads alike."""
    service = start_service(valkey, ADMIN_PORT=free_port()).wait_until_ready()
    service.count()
    valkey.stop()
    with ThreadPoolExecutor(8) as visitors:
        visits = [visitors.submit(service.count) for _ in range(4)]
        reads = [visitors.submit(service.value) for _ in range(4)]
        eventually(lambda: service.get("/readyz").body == b"redis: connection\n", "Redis is missed")
        eventually(lambda: service.in_flight() == 8, "all of them wait")
        valkey.start()
    assert sorted(visit.result() for visit in visits) == [2, 3, 4, 5]
    assert all(1 <= read.result() <= 5 for read in reads)


def test_a_hung_redis_is_a_503_in_time_and_the_probes_answer(
    valkey: ValkeyServer, start_service: StartService
) -> None:
    service = start_service(valkey, REDIS_TIMEOUT=0.2, REQUEST_TIMEOUT=1).wait_until_ready()
    service.count()
    valkey.pause()
    for path, status in (("/", 503), ("/api/v1/counter", 503), ("/readyz", 503), ("/healthz", 200)):
        started = time.monotonic()
        assert service.get(path).status == status
        assert time.monotonic() - started < 1
    valkey.resume()
    service.wait_until_ready()
    # The visit that timed out may have been applied, but never twice.
    assert service.count() in {2, 3}
