"""Listeners on one socket, as those of several workers are."""

import asyncio
import socket
from contextlib import ExitStack

import pytest
from tornado.netutil import bind_sockets

from app.settings import Settings
from dev.valkey import LOOPBACK
from tests.http.listener import Listener
from tests.service import PATIENCE

pytestmark = pytest.mark.usefixtures("each_transport")

CROWD = 10


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_each_takes_as_many_of_a_crowd() -> None:
    """Who took all of them would have them to itself for as long as they stay."""
    (shared,) = bind_sockets(0, LOOPBACK)
    listeners = [Listener(Settings()) for _ in range(2)]
    with ExitStack() as stack:
        # They have connected before anybody accepts.
        for _ in range(CROWD):
            stack.enter_context(socket.create_connection(shared.getsockname()))
        for listener in listeners:
            listener.server.add_sockets([shared.dup()], are_shared=True)
        shared.close()
        while sum(listener.connections.count_open() for listener in listeners) < CROWD:  # noqa: ASYNC110 - turns of the loop
            await asyncio.sleep(0)
        assert [listener.connections.count_open() for listener in listeners] == [CROWD // 2] * 2
        for listener in listeners:
            await listener.server.aclose()
