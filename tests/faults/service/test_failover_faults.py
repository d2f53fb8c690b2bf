"""What may happen to a Redis with replicas or slots, with the real process and real servers."""

import time

import pytest

from dev.valkey import LOOPBACK
from tests.conftest import StartService
from tests.faults.service.conftest import MakeServer
from tests.faults.service.line import Record, fault
from tests.faults.service.redis_servers import (
    ClusterNode,
    SentinelServer,
    Server,
    add_replica,
    join,
    wait_for,
)
from tests.visitors import READ, Visitors


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "asked for"])
def test_sentinel_failover(
    server: Server, make_server: MakeServer, start_service: StartService, record: Record, *, killed: bool
) -> None:
    """As an operator has to do it who wants to lose nothing: replication is asynchronous.

    The master refuses writes once it has no replica, and before a failover that is asked for they are paused.
    """
    name = "Sentinel: the master is killed" if killed else "Sentinel: a failover, writes paused before"
    replica = make_server(Server, "--replicaof", LOOPBACK, str(server.port))
    wait_for("in step", replica.is_in_step)
    sentinel = make_server(SentinelServer, server.port)
    wait_for("watched", lambda: len(sentinel.run("SENTINEL", "REPLICAS", "mymaster")) == 1)
    server.run("CONFIG", "SET", "min-replicas-to-write", 1)
    service = start_service(
        REDIS_SENTINELS=f"{LOOPBACK}:{sentinel.port}", REDIS_SENTINEL_MASTER="mymaster"
    ).wait_until_ready()
    with fault(name, service, replica, record):
        if killed:
            server.kill()
        else:
            server.run("CLIENT", "PAUSE", 10_000, "WRITE")
            sentinel.run("SENTINEL", "FAILOVER", "mymaster")
        wait_for("promoted", replica.is_master)


@pytest.fixture
def masters(make_server: MakeServer) -> list[ClusterNode]:
    """A Cluster of three; the first holds the counter."""
    nodes = [make_server(ClusterNode) for _ in range(3)]
    join(nodes)
    return sorted(nodes, key=lambda node: not node.serves("counter"))


def test_cluster_slot_moves(masters: list[ClusterNode], start_service: StartService, record: Record) -> None:
    """Somebody reads all the while: a read must not come between ASKING and the batch that it is for."""
    here, there, _ = masters
    slot = here.slot_of("counter")
    service = start_service(here, REDIS_CLUSTER="true").wait_until_ready()
    with (
        fault("Cluster: the counter's slot moves", service, there, record) as line,
        Visitors(service.address, count=4, requests=[READ]) as readers,
    ):
        there.run("CLUSTER", "SETSLOT", slot, "IMPORTING", here.id)
        here.run("CLUSTER", "SETSLOT", slot, "MIGRATING", there.id)
        # Half of the slot has moved: a command with two keys is answered TRYAGAIN.
        time.sleep(0.3)
        while keys := here.run("CLUSTER", "GETKEYSINSLOT", slot, 100):
            here.run("MIGRATE", LOOPBACK, there.port, "", 0, 5000, "KEYS", *keys)
            time.sleep(0.3)
        # All of it has moved, and every command is answered ASK.
        line.visitors.await_answers(200)
        readers.await_answers(200)
        for node in (there, here):
            node.run("CLUSTER", "SETSLOT", slot, "NODE", there.id)
    assert set(line.visitors.statuses()) == set(readers.statuses()) == {200}


@pytest.mark.parametrize("hangs", [False, True], ids=["dies", "hangs"])
def test_cluster_failover(
    masters: list[ClusterNode],
    make_server: MakeServer,
    start_service: StartService,
    record: Record,
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
    with fault(name, service, replica, record):
        if hangs:
            master.pause()
        else:
            master.kill()
        wait_for("promoted", replica.is_master)
