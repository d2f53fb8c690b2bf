"""Who asks, or rests, while a drain ends: a listener in the test's own loop."""

import asyncio

import pytest
from tornado.netutil import bind_sockets

from app.http.admission import FREE_REFUSALS_A_SECOND
from app.http.drain import drain
from app.settings import Settings
from dev.valkey import LOOPBACK
from tests.conftest import ServiceParts, ValkeyServer
from tests.http.listener import REQUEST, Listener, turns
from tests.http.test_admission import Connection
from tests.http.test_drain import COUNT
from tests.service import PATIENCE, VISIT

pytestmark = pytest.mark.usefixtures("each_transport")


@pytest.fixture
def settings(valkey: ValkeyServer) -> Settings:
    """Visitors give up long before the command that was sent for them does."""
    return Settings(
        redis_host=LOOPBACK, redis_port=valkey.port, request_timeout=0.3, redis_timeout=0.2
    ).model_copy(update={"redis_timeout": PATIENCE})


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_a_request_that_comes_while_the_last_batch_settles_is_answered(
    service_parts: ServiceParts, valkey: ValkeyServer
) -> None:
    _, server, feature, _ = service_parts
    sockets = bind_sockets(0, LOOPBACK)
    server.add_sockets(sockets)
    settling, settled = asyncio.Event(), asyncio.Event()

    async def settle() -> None:
        settling.set()
        for settled_one in feature.settle:
            await settled_one()
        settled.set()

    late_reader, late = await asyncio.open_connection(*sockets[0].getsockname())
    reader, writer = await asyncio.open_connection(*sockets[0].getsockname())
    late.write(COUNT)
    await late_reader.readuntil(b"}")
    valkey.pause()
    writer.write(VISIT)
    assert (await reader.readline()).startswith(b"HTTP/1.1 503 ")
    writer.close()
    draining = asyncio.create_task(drain(server, [settle]))
    await settling.wait()
    late.write(COUNT[:-1])
    while not server.connections.policy.in_flight:  # noqa: ASYNC110 - turns of the loop
        await asyncio.sleep(0)
    valkey.resume()
    await settled.wait()
    # A drain that closed now would have done it by then.
    for _ in range(10):
        await asyncio.sleep(0)
    late.write(COUNT[-1:])
    answer = await late_reader.read()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nConnection: close\r\n" in answer
    await draining
    assert valkey.get("counter") == "3"
    late.close()
    await asyncio.gather(writer.wait_closed(), late.wait_closed())


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_a_request_on_its_way_when_listening_ends_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a connection that is idle until then."""
    monkeypatch.setattr("app.http.drain.LAST_REQUEST_SECONDS", 1.0)
    listener = Listener(Settings())
    listening_ended = asyncio.Event()
    monkeypatch.setattr(listener.server, "stop_listening", listening_ended.set)
    with listener.client() as client:
        draining = asyncio.create_task(drain(listener.server, ()))
        await listening_ended.wait()
        # A drain that closed at once would have done it by then.
        await turns(20)
        client.send(REQUEST)
        answer = await asyncio.get_running_loop().sock_recv(client, 65536)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nConnection: close\r\n" in answer
        await draining


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_who_asks_while_idle_connections_are_closed_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listener = Listener(Settings())
    with listener.client(), listener.client() as late:
        await turns(10)
        first, _ = listener.connections._idle
        close = first.wire.close

        def ask_and_close() -> None:
            late.send(REQUEST)
            close()

        monkeypatch.setattr(first.wire, "close", ask_and_close)
        assert not listener.connections.close_when_quiet()
        assert (await asyncio.get_running_loop().sock_recv(late, 65536)).startswith(b"HTTP/1.1 200 ")
        await listener.server.aclose()


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_a_drain_ends_the_rest_of_a_refused_connection() -> None:
    """Though no place is free, and none becomes so."""
    listener = Listener(Settings(max_in_flight=1))
    admission = listener.policy.admission
    loop = asyncio.get_running_loop()
    with listener.client() as client:
        await turns(10)
        (connection,) = listener.connections._open
        crowd = [Connection() for _ in range(3 * FREE_REFUSALS_A_SECOND)]
        assert [admission.enter(one) for one in crowd].count(True) == 1
        assert not admission.enter(connection)
        client.send(REQUEST)
        while not admission.resting():  # noqa: ASYNC110 - turns of the loop
            await asyncio.sleep(0)
        listener.connections.end_keep_alive()
        assert admission.resting() == 0
        assert (await loop.sock_recv(client, 65536)).startswith(b"HTTP/1.1 200 ")
        await listener.server.aclose()
