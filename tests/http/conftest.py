"""One service for all raw requests that leave no trace; starting one for each would take a minute."""

from collections.abc import Iterator

import pytest

from dev.valkey import LOOPBACK
from tests.conftest import ValkeyServer
from tests.http.raw_requests import Counted
from tests.service import Service


@pytest.fixture(scope="module")
def shared(
    each_transport: None,  # noqa: ARG001 - sets the environment
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[ValkeyServer, Service]]:
    """One service for all that leaves no trace; starting one for each request would take a minute."""
    valkey = ValkeyServer(tmp_path_factory.mktemp("valkey"))
    valkey.start()
    where = {"REDIS_HOST": LOOPBACK, "REDIS_PORT": valkey.port}
    service = Service(settings={**where, "BODY_TIMEOUT": 0.6})
    yield valkey, service.wait_until_ready()
    service.close()
    valkey.stop()


@pytest.fixture
def service(shared: tuple[ValkeyServer, Service]) -> Service:
    valkey, service = shared
    with valkey.client as client:
        client.flushall()
    return service


@pytest.fixture
def counted(shared: tuple[ValkeyServer, Service]) -> Counted:
    """What Redis holds."""
    return lambda: shared[0].get("counter")
