"""What may happen to a Redis with replicas, to a Cluster, and to the name by which pods find it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dev.valkey import LOOPBACK
from tests.alerts.scenario import QUIET, bells
from tests.faults.alerts.faults_of_redis import FAILED, FAILURES, WAITED
from tests.faults.alerts.ground import Ground, Line
from tests.faults.service.hosts_file import (
    NAME,
    in_place_of_the_hosts_file,
    knows_redis,
    knows_redis_no_longer,
)
from tests.faults.service.redis_servers import (
    ACTS_SOON,
    ClusterNode,
    Server,
    add_replica,
    await_watched,
    join,
    wait_for,
)

MASTERS = 3


def watched_by_sentinel(ground: Ground) -> Mapping[str, object]:
    """A master, its replica, and a Sentinel that acts soon."""
    replica = ground.more_replica()
    wait_for("followed", ground.server.is_followed)
    sentinel = ground.more_sentinel(*ACTS_SOON)
    await_watched(replica, sentinel)
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
    knows_redis(hosts(folder))
    return in_place_of_the_hosts_file(hosts(folder))


def by_name(ground: Ground) -> Mapping[str, object]:
    return {"REDIS_HOST": NAME, "REDIS_PORT": ground.server.port}


def name_no_longer_resolves(ground: Ground) -> Iterator[None]:
    knows_redis_no_longer(hosts(ground.folder))
    ground.server.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    yield
    knows_redis(hosts(ground.folder))


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
