"""Redis Cluster: nodes that share the slots, and one that is lost."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from app.counter.counter import Counter
from app.counter.waiting import CounterUnavailable
from app.health import REUSE_SECONDS
from app.redis.client import look_up_again, make_redis
from app.settings import Settings
from dev.valkey import LOOPBACK, free_port
from tests.conftest import ValkeyServer
from tests.counter.counting import counting, health_over


def new_node(folder: Path) -> ValkeyServer:
    node = ValkeyServer(folder, "--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    node.start()
    return node


TwoNodes: TypeAlias = tuple[ValkeyServer, ValkeyServer]


@pytest.fixture
def two_nodes(tmp_path: Path) -> Iterator[TwoNodes]:
    """Strangers to each other, until they share the slots."""
    nodes = new_node(tmp_path / "first"), new_node(tmp_path / "second")
    yield nodes
    for node in nodes:
        node.stop()


def share_slots(holder: ValkeyServer, other: ValkeyServer, settings: Settings) -> int:
    """Make them one cluster in which the first holds nothing but the counter's slot; return that slot."""
    slot = int(holder.run("CLUSTER", "KEYSLOT", settings.counter_key))
    holder.run("CLUSTER", "ADDSLOTS", slot)
    other.run("CLUSTER", "ADDSLOTSRANGE", 0, slot - 1, slot + 1, 16383)
    holder.run("CLUSTER", "MEET", LOOPBACK, other.port, other.arguments[-1])
    return slot


async def use_all(settings: Settings) -> None:
    """Count, read and probe."""
    async with counting(settings) as counter:
        await until_counted(counter)
        assert await counter.value() == 1
    redis = make_redis(settings)
    assert await health_over(redis, 1.0, settings.counter_key).trouble() is None
    await redis.aclose()


async def until_counted(counter: Counter, value: int = 1) -> None:
    """The cluster takes a moment to see that it is whole."""
    async with asyncio.timeout(10):
        while True:
            try:
                assert await counter.increment() == value
            except CounterUnavailable:
                await asyncio.sleep(0.02)
            else:
                return


@pytest.mark.gen_test(timeout=15)
async def test_one_node_has_every_slot(tmp_path: Path) -> None:
    node = new_node(tmp_path)
    try:
        with node.client as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        await use_all(Settings(redis_host=LOOPBACK, redis_port=node.port, redis_cluster=True))
    finally:
        node.stop()


@pytest.mark.gen_test(timeout=20)
@pytest.mark.parametrize("hangs", [False, True], ids=["stops", "hangs"])
async def test_a_slot_is_found_again_when_its_node_is_lost(two_nodes: TwoNodes, *, hangs: bool) -> None:
    """Also when the last command was the DEL of a writer that was given up."""
    lost, left = two_nodes
    settings = Settings(redis_host=LOOPBACK, redis_port=lost.port, redis_cluster=True)
    async with counting(settings) as counter:
        slot = share_slots(lost, left, settings)
        await until_counted(counter)
        if hangs:
            lost.pause()
        else:
            lost.stop()
        for _ in range(2):
            with pytest.raises(CounterUnavailable):
                await counter.increment()
        left.run("CLUSTER", "SETSLOT", slot, "NODE", left.run("CLUSTER", "MYID"))
        # It never held the key.
        await until_counted(counter)


@pytest.mark.gen_test(timeout=30)
async def test_the_configured_host_is_asked_again_when_every_node_has_a_new_address(tmp_path: Path) -> None:
    """As pods get one: the host leads to the Cluster still, the addresses that it named lead nowhere."""
    node = ValkeyServer(tmp_path)
    of_a_cluster = "--cluster-enabled", "yes", "--cluster-port", str(free_port())

    def start_at(address: str) -> None:
        node.arguments = [*of_a_cluster, "--bind", LOOPBACK, address, "--cluster-announce-ip", address]
        node.start()

    try:
        start_at("127.0.0.2")
        node.run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        settings = Settings(redis_host=LOOPBACK, redis_port=node.port, redis_cluster=True)
        async with counting(settings) as counter:
            await until_counted(counter)
            node.stop()
            start_at("127.0.0.3")
            await until_counted(counter, 2)
    finally:
        node.stop()


def heard(node: ValkeyServer) -> set[str]:
    """The commands that came to a node, also those that it sent on."""
    return {name.removeprefix("cmdstat_") for name in node.run("INFO", "commandstats")}


@pytest.mark.gen_test(timeout=40)
async def test_a_node_that_does_not_hold_the_counter_is_asked_for_the_slots_alone(
    two_nodes: TwoNodes,
) -> None:
    holder, other = two_nodes
    settings = Settings(redis_host=LOOPBACK, redis_port=holder.port, redis_cluster=True, redis_timeout=5)
    async with counting(settings, command_timeout=5, patience=10) as counter:
        share_slots(holder, other, settings)
        await until_counted(counter)
        for node in two_nodes:
            node.run("CONFIG", "RESETSTAT")
        probe = make_redis(settings)
        health = health_over(probe, 5, settings.counter_key)
        for number in range(2, 10):
            await counter._batches._records.look_up_again()
            assert (await counter.increment(), await counter.value()) == (number, number)
            await look_up_again(probe)
            await asyncio.sleep(REUSE_SECONDS)
            assert await health.trouble() is None
        await probe.aclose()
    sent = {"command", "ping", "setrange", "evalsha", "get"}
    assert sent <= heard(holder)
    assert not sent & heard(other)


@pytest.mark.gen_test(timeout=40)
async def test_a_node_that_hangs_and_does_not_hold_the_counter_stops_no_visit(two_nodes: TwoNodes) -> None:
    """Neither of a new process, nor of one that has to find the holder again."""
    holder, other = two_nodes
    settings = Settings(redis_host=LOOPBACK, redis_port=holder.port, redis_cluster=True)
    # Whoever knows both nodes asks either of them for the slots, so that half of the attempts are lost.
    async with counting(settings, patience=15) as known, counting(settings, patience=15) as new:
        share_slots(holder, other, settings)
        await until_counted(known)
        other.pause()
        assert await new.increment() == 2
        await known._batches._records.look_up_again()
        assert await known.increment() == 3


@pytest.mark.gen_test(timeout=20)
async def test_a_probe_asks_the_node_that_holds_the_counter_now(two_nodes: TwoNodes) -> None:
    """The other may hang; also once the slot has moved, as soon as a command was sent on after it."""
    before, after = two_nodes
    settings = Settings(redis_host=LOOPBACK, redis_port=before.port, redis_cluster=True, redis_timeout=2)
    probe = make_redis(settings)
    health = health_over(probe, settings.redis_timeout, settings.counter_key)

    async def trouble() -> str | None:
        await asyncio.sleep(REUSE_SECONDS)
        return await health.trouble()

    async with counting(settings) as counter:
        slot = share_slots(before, after, settings)
        await until_counted(counter)
    assert await trouble() is None
    after.pause()
    assert await trouble() is None
    after.resume()
    before.run("DEL", settings.counter_key)
    for node in (after, before):
        node.run("CLUSTER", "SETSLOT", slot, "NODE", after.run("CLUSTER", "MYID"))
    assert await trouble() is None
    before.pause()
    assert await trouble() is None
    after.pause()
    assert await trouble() == "timeout"
    await probe.aclose()


@pytest.mark.parametrize(
    "refused",
    [
        {},
        {"redis_password": "wrong"},
        {"redis_username": "nobody", "redis_password": "right"},
        {"redis_username": "poor", "redis_password": "right"},
    ],
    ids=str,
)
@pytest.mark.gen_test(timeout=20)
async def test_what_a_cluster_refuses_is_an_authentication_failure(
    tmp_path: Path, refused: dict[str, str]
) -> None:
    """Told at once. To redis-py a node that does not say where the slots are is one out of reach."""
    node = new_node(tmp_path)
    where = {"redis_host": LOOPBACK, "redis_port": node.port, "redis_cluster": True, "redis_timeout": 2.0}
    settings = Settings.model_validate({**where, **refused})
    failures: list[str] = []
    probe = make_redis(settings)
    try:
        node.run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        node.run("ACL", "SETUSER", "poor", "on", ">right", "~*", "+@all", "-cluster|slots")
        node.set_password("right")
        async with counting(settings, failures, settings.redis_timeout, patience=10) as counter:
            with pytest.raises(CounterUnavailable, match="authentication"):
                await counter.increment()
        assert failures == ["authentication"]
        assert await health_over(probe, 2.0, settings.counter_key).trouble() == "authentication"
    finally:
        node.stop()
        await probe.aclose()
