"""Redis Cluster: nodes that share the slots, and one that is lost."""

import asyncio
from pathlib import Path

import pytest

from app.counter.counter import Counter
from app.counter.waiting import CounterUnavailable
from app.redis.client import make_redis
from app.settings import Settings
from dev.valkey import LOOPBACK, free_port
from tests.conftest import ValkeyServer
from tests.counter.counting import counting, health_over


def new_node(folder: Path) -> ValkeyServer:
    node = ValkeyServer(folder, "--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    node.start()
    return node


async def use_all(settings: Settings) -> None:
    """Count, read and probe."""
    async with counting(settings) as counter:
        await until_counted(counter)
        assert await counter.value() == 1
    redis = make_redis(settings)
    assert await health_over(redis, 1.0, settings.counter_key).trouble() is None
    await redis.aclose()


async def until_counted(counter: Counter) -> None:
    """The cluster takes a moment to see that it is whole."""
    async with asyncio.timeout(10):
        while True:
            try:
                assert await counter.increment() == 1
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
async def test_a_slot_is_found_again_when_its_node_is_lost(tmp_path: Path, *, hangs: bool) -> None:
    """Also when the last command was the DEL of a writer that was given up."""
    lost, left = nodes = [new_node(tmp_path / name) for name in ("lost", "left")]
    settings = Settings(redis_host=LOOPBACK, redis_port=lost.port, redis_cluster=True)
    try:
        async with counting(settings) as counter:
            with lost.client as one, left.client as other:
                slot = int(one.execute_command("CLUSTER", "KEYSLOT", settings.counter_key))
                one.execute_command("CLUSTER", "ADDSLOTS", slot)
                other.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, slot - 1, slot + 1, 16383)
                one.execute_command("CLUSTER", "MEET", LOOPBACK, left.port, left.arguments[-1])
                await until_counted(counter)
                if hangs:
                    lost.pause()
                else:
                    lost.stop()
                for _ in range(2):
                    with pytest.raises(CounterUnavailable):
                        await counter.increment()
                other.execute_command(
                    "CLUSTER", "SETSLOT", slot, "NODE", other.execute_command("CLUSTER", "MYID")
                )
            # It never held the key.
            await until_counted(counter)
    finally:
        for node in nodes:
            node.stop()
