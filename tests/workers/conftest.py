"""The service with several workers."""

import signal
from collections.abc import Callable, Iterator, Sequence

import pytest

from dev.valkey import LOOPBACK, Valkey, free_port
from tests.workers.workers import Workers

StartWorkers = Callable[..., Workers]


@pytest.fixture
def start_workers() -> Iterator[StartWorkers]:
    """Start services of two workers that end with the test."""
    services: list[Workers] = []

    def start(
        valkey: Valkey | None = None, module: str = "app", through: Sequence[str] = (), **settings: object
    ) -> Workers:
        where = {"REDIS_HOST": LOOPBACK, "REDIS_PORT": valkey.port} if valkey is not None else {}
        usual = {"WORKERS": 2, "ADMIN_PORT": free_port()}
        service = Workers(module, usual | where | settings, through)
        services.append(service)
        return service

    yield start
    for service in services:
        if service.process.poll() is None:
            # Unlike SIGKILL it ends the workers, too.
            service.signal(signal.SIGQUIT)
            service.wait()
        service.close()
