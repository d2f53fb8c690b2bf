"""A visitor who waits for Redis."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.conftest import ValkeyServer
from tests.service import VISIT, Service, eventually


@contextmanager
def visitor_who_waits(service: Service, valkey: ValkeyServer) -> Iterator[socket.socket]:
    """A visitor whose request is in flight, because Redis hangs until it is resumed."""
    valkey.pause()
    with service.connect() as connection:
        connection.sendall(VISIT)
        eventually(lambda: service.in_flight() == 1, "in flight")
        yield connection
