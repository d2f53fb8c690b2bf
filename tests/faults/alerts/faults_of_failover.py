"""What may happen to a Redis with replicas, to a Cluster, and to the name by which pods find it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from dev.valkey import LOOPBACK
from tests.alerts.scenario import QUIET, bells
from tests.faults.alerts.faults_of_redis import FAILED, FAILURES, WAITED
from tests.faults.alerts.ground import Ground, Line
from tests.faults.service.redis_servers import ClusterNode, Server, add_replica, join, wait_for

NAME = "redis.example"
NAMED = f"{LOOPBACK} localhost {NAME}\n"
MASTERS = 3


def watched_by_sentinel(ground: Ground) -> Mapping[str, object]:
    """A master, its replica, and a Sentinel that acts soon."""
    replica = ground.more_server("--replicaof", LOOPBACK, str(ground.server.port))
    wait_for("in step", replica.is_in_step)
    wait_for("followed", ground.server.is_followed)
    sentinel = ground.more_sentinel(
        "sentinel down-after-milliseconds mymaster 500", "sentinel failover-timeout mymaster 3000"
    )
    wait_for("watched", lambda: str(replica.port) in str(sentinel.run("SENTINEL", "REPLICAS", "mymaster")))
    return {"REDIS_SENTINELS": f"{LOOPBACK}:{sentinel.port}", "REDIS_SENTINEL_MASTER": "mymaster"}


def in_a_cluster(ground: Ground) -> Mapping[str, object]:
    """The last of the servers is the replica of the one that has the counter."""
    masters = [ground.more_node() for _ in range(MASTERS)]
    join(masters)
    add_replica(ground.more_node(), holder(masters), masters)
    another = next(node for node in masters if node is not holder(masters))
    return {"REDIS_HOST": LOOPBACK, "REDIS_PORT": another.port, "REDIS_CLUSTER": "true"}


def the_sentinels_master_dies(ground: Ground) -> Iterator[None]:
    ground.server.kill()
    wait_for("promoted", ground.others[0].is_master)
    yield
    ground.server.start()


def the_last_of_the_masters_dies(ground: Ground) -> Iterator[None]:
    """The replica is gone, so nobody takes its place."""
    ground.others[0].stop()
    ground.server.kill()
    yield
    ground.server.start()


def holder(nodes: Sequence[Server]) -> ClusterNode:
    """The node that has the counter."""
    return next(node for node in nodes if isinstance(node, ClusterNode) and node.serves("counter"))


def the_counters_node_dies(ground: Ground) -> Iterator[None]:
    *masters, replica = ground.others
    holder(masters).kill()
    wait_for("promoted", replica.is_master)
    yield


def the_counters_slot_is_lost(ground: Ground) -> Iterator[None]:
    *masters, replica = ground.others
    replica.stop()
    node = holder(masters)
    node.kill()
    yield
    node.start()


def hosts(folder: Path) -> Path:
    return folder / "hosts"


def with_hosts_of_its_own(folder: Path) -> list[str]:
    if os.geteuid() != 0:
        pytest.skip("needs root for a hosts file of its own")
    hosts(folder).write_text(NAMED)
    return ["unshare", "--mount", "sh", "-c", f'mount --bind {hosts(folder)} /etc/hosts && exec "$@"', "sh"]


def by_name(ground: Ground) -> Mapping[str, object]:
    return {"REDIS_HOST": NAME, "REDIS_PORT": ground.server.port}


def name_no_longer_resolves(ground: Ground) -> Iterator[None]:
    hosts(ground.folder).write_text(f"{LOOPBACK} localhost\n")
    ground.server.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    yield
    hosts(ground.folder).write_text(NAMED)


LINES = [
    Line(
        "Sentinel: the master is killed, its replica takes over",
        the_sentinels_master_dies,
        QUIET,
        may=WAITED | FAILED,
        servers=watched_by_sentinel,
        shows=FAILURES,
    ),
    Line(
        "Sentinel: the last of the masters is killed",
        the_last_of_the_masters_dies,
        bells("RedisUnreachable page"),
        may=WAITED | FAILED,
        servers=watched_by_sentinel,
    ),
    Line(
        "Cluster: a master dies, its replica takes over",
        the_counters_node_dies,
        QUIET,
        may=WAITED | FAILED,
        servers=in_a_cluster,
        shows=FAILURES,
    ),
    Line(
        "Cluster: a master dies, and has no replica",
        the_counters_slot_is_lost,
        bells("RedisUnreachable page"),
        may=WAITED | FAILED,
        servers=in_a_cluster,
    ),
    Line(
        "Redis' name no longer resolves",
        name_no_longer_resolves,
        bells("RedisUnreachable page"),
        may=WAITED | FAILED,
        servers=by_name,
        through=with_hosts_of_its_own,
    ),
]
