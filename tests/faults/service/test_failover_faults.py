"""What may happen to a Redis with replicas or slots, with the real process and real servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.valkey import LOOPBACK
from tests.conftest import SentinelServer, StartService
from tests.faults.service.conftest import MakeServer, StartLine
from tests.faults.service.evidence import error_replies, failures, promotion, stops
from tests.faults.service.products import Product
from tests.faults.service.redis_servers import (
    ACTS_SOON,
    ClusterNode,
    Server,
    add_replica,
    await_watched,
    join,
    wait_for,
)
from tests.visitors import READ, Visitors


@pytest.fixture
def replica(server: Server, make_server: MakeServer) -> Server:
    """A replica that the master does not do without."""
    replica = make_server(Server, "--replicaof", LOOPBACK, str(server.port))
    wait_for("in step", replica.is_in_step)
    wait_for("followed", server.is_followed)
    server.run("CONFIG", "SET", "min-replicas-to-write", 1)
    return replica


@pytest.fixture
def sentinel(product: Product, server: Server, replica: Server, tmp_path: Path) -> Iterator[SentinelServer]:
    """One that knows the replica and acts soon."""
    sentinel = SentinelServer(tmp_path / "sentinel", server.port, *ACTS_SOON, binary=product.binary)
    sentinel.start()
    await_watched(replica, sentinel)
    yield sentinel
    sentinel.stop()


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "asked for"])
def test_sentinel_failover(
    server: Server,
    replica: Server,
    sentinel: SentinelServer,
    start_service: StartService,
    begin_line: StartLine,
    *,
    killed: bool,
) -> None:
    """As an operator has to do it who wants to lose nothing: replication is asynchronous.

    The master refuses writes once it has no replica, and before a failover that is asked for they are paused.
    """
    name = "Sentinel: the master is killed" if killed else "Sentinel: a failover, writes paused before"
    service = start_service(
        REDIS_SENTINELS=f"{LOOPBACK}:{sentinel.port}", REDIS_SENTINEL_MASTER="mymaster"
    ).wait_until_ready()
    with begin_line(name, service, replica) as line:
        line.watch(promotion(replica))
        if killed:
            line.watch(failures(service, "connection"))
            line.do(server.kill)
        else:
            line.do(server.run, "CLIENT", "PAUSE", 10_000, "WRITE")
            line.do(sentinel.run, "SENTINEL", "FAILOVER", "mymaster")
        line.sees("promoted", replica.is_master)


@pytest.fixture
def masters(make_server: MakeServer) -> list[ClusterNode]:
    """A Cluster of three; the first holds the counter."""
    nodes = [make_server(ClusterNode) for _ in range(3)]
    join(nodes)
    return sorted(nodes, key=lambda node: not node.serves("counter"))


def test_cluster_slot_moves(
    masters: list[ClusterNode], start_service: StartService, begin_line: StartLine
) -> None:
    """Somebody reads all the while: a read must not come between ASKING and the batch that it is for."""
    here, there, _ = masters
    slot = here.slot_of("counter")
    service = start_service(here, REDIS_CLUSTER="true").wait_until_ready()
    with (
        begin_line("Cluster: the counter's slot moves", service, there) as line,
        Visitors(service.address, count=4, requests=[READ]) as readers,
    ):
        line.watch(error_replies(here, "ASK"), error_replies(here, "MOVED"))
        line.do(there.run, "CLUSTER", "SETSLOT", slot, "IMPORTING", here.id)
        line.do(here.run, "CLUSTER", "SETSLOT", slot, "MIGRATING", there.id)
        # Half of the slot has moved: a command with two keys is answered TRYAGAIN.
        line.lasts(0.3)
        while keys := line.do(here.run, "CLUSTER", "GETKEYSINSLOT", slot, 100):
            line.do(here.run, "MIGRATE", LOOPBACK, there.port, "", 0, 5000, "KEYS", *keys)
            line.lasts(0.3)
        # All of it has moved, and every command is answered ASK.
        line.visitors.await_answers(200)
        readers.await_answers(200)
        for node in (there, here):
            line.do(node.run, "CLUSTER", "SETSLOT", slot, "NODE", there.id)
        line.visitors.await_answers(200)
    assert set(readers.statuses()) == {200}


@pytest.mark.parametrize("hangs", [False, True], ids=["dies", "hangs"])
def test_cluster_failover(
    masters: list[ClusterNode],
    make_server: MakeServer,
    start_service: StartService,
    begin_line: StartLine,
    *,
    hangs: bool,
) -> None:
    """It strikes the node that the service was told of, and that holds the counter.

    Nothing is lost, although replication is asynchronous: the master wrote to its replica's connection before
    it answered, and what a killed process wrote still arrives. With `min-replicas-to-write` it refuses what
    it has nobody to pass on to (Redis 6.2 does so for no script).
    """
    master, *_ = masters
    replica = make_server(ClusterNode)
    add_replica(replica, master, masters)
    master.run("CONFIG", "SET", "min-replicas-to-write", 1)
    service = start_service(master, REDIS_CLUSTER="true").wait_until_ready()
    name = f"Cluster: a master {'hangs' if hangs else 'dies'}, its replica takes over"
    with begin_line(name, service, replica) as line:
        line.watch(promotion(replica), failures(service, "timeout" if hangs else "connection"))
        if hangs:
            line.watch(stops(master))
            line.do(master.pause)
        else:
            line.do(master.kill)
        line.sees("promoted", replica.is_master)
