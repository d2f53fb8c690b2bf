"""The servers that the faults happen to: alone, watched by a Sentinel, in a Cluster."""

import signal
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from redis.exceptions import MovedError

from dev.valkey import LOOPBACK, free_port
from tests.conftest import SentinelServer, ValkeyServer
from tests.faults.service.processes import stop
from tests.faults.service.products import Product
from tests.service import eventually


class Server(ValkeyServer):
    """One real server of some product."""

    def __init__(self, folder: Path, product: Product, *arguments: str) -> None:
        super().__init__(folder, *arguments)
        self.product = product
        self.is_awaited = True
        self.pauses = 0
        """How often the kernel has stopped it."""

    def start_only(self) -> None:
        """Start it without waiting until it answers."""
        self.is_awaited = False
        self.start()
        self.is_awaited = True

    def _wait_until_it_answers(self) -> None:
        if self.is_awaited:
            super()._wait_until_it_answers()

    def command(self) -> list[str]:
        _, *rest = super().command()
        # A replica gets the data at once, not after waiting for another replica.
        return [self.product.binary, *rest, "--repl-diskless-sync-delay", "0"]

    def pause(self) -> None:
        assert self.process is not None
        stop(self.process.pid)
        self.pauses += 1

    def kill(self) -> None:
        """End it as the kernel would: no farewell, no flush beyond what was acknowledged."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def info(self, section: str) -> dict[str, Any]:
        with self.client as client:
            told: dict[str, Any] = client.info(section)
            return told

    def is_master(self) -> bool:
        return bool(self.info("replication")["role"] == "master")

    def is_in_step(self) -> bool:
        """Whether this replica has all that its master has."""
        return bool(self.info("replication")["master_link_status"] == "up")

    def is_followed(self) -> bool:
        """Whether a replica has acknowledged something. Before that, a master sends it nothing it writes."""
        told = self.info("replication")
        replicas = [told[f"slave{number}"] for number in range(told["connected_slaves"])]
        return any(replica["offset"] > 0 for replica in replicas)


def holds(condition: Callable[[], object]) -> bool:
    """Ask a condition; of a server that does not answer it does not hold."""
    try:
        return bool(condition())
    except Exception:
        return False


def wait_for(what: str, condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until a server says so."""
    eventually(lambda: holds(condition), what, seconds)


class ClusterNode(Server):
    """A node of a Cluster."""

    def __init__(self, folder: Path, product: Product) -> None:
        super().__init__(folder, product, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000")
        self.port = next_low_port()

    @property
    def id(self) -> str:
        return str(self.run("CLUSTER", "MYID"))

    def slot_of(self, key: str) -> int:
        return int(self.run("CLUSTER", "KEYSLOT", key))

    def serves(self, key: str) -> bool:
        try:
            self.run("EXISTS", key)
        except MovedError:
            return False
        return True

    def is_whole(self, size: int) -> bool:
        """Whether this node sees a Cluster of so many nodes that has all slots."""
        with self.client as client:
            info: dict[str, str] = client.cluster("info")
        return info["cluster_state"] == "ok" and int(info["cluster_known_nodes"]) == size


ACTS_SOON = ("sentinel down-after-milliseconds mymaster 500", "sentinel failover-timeout mymaster 3000")
"""Lines of the configuration of a Sentinel that does."""


def await_watched(replica: Server, sentinel: SentinelServer) -> None:
    """Wait until a Sentinel knows this replica of its master."""
    wait_for("watched", lambda: str(replica.port) in str(sentinel.run("SENTINEL", "REPLICAS", "mymaster")))


def next_low_port() -> int:
    """Return a free port whose bus port (10000 higher) is free too."""
    while True:
        port = free_port()
        if port + 10000 > 65535:
            port -= 20000
        try:
            for candidate in (port, port + 10000):
                with socket.socket() as probe:
                    probe.bind((LOOPBACK, candidate))
        except OSError:
            continue
        return port


def join(masters: list[ClusterNode]) -> None:
    """Make one Cluster of the nodes, each with its part of the slots."""
    bounds = [16384 * number // len(masters) for number in range(len(masters) + 1)]
    for node, first, end in zip(masters, bounds, bounds[1:], strict=False):
        # One command for each slot would take long, one for all is too long.
        for start in range(first, end, 4096):
            node.run("CLUSTER", "ADDSLOTS", *range(start, min(start + 4096, end)))
        node.run("CLUSTER", "MEET", LOOPBACK, masters[0].port)
    for node in masters:
        wait_for("the cluster is whole", partial(node.is_whole, len(masters)))


def add_replica(replica: ClusterNode, master: ClusterNode, masters: list[ClusterNode]) -> None:
    """Give a master of the Cluster a replica that every master would vote for."""
    replica.run("CLUSTER", "MEET", LOOPBACK, master.port)
    # Only who knows the master by its id can become its replica.
    wait_for("met", lambda: replica.run("CLUSTER", "REPLICATE", master.id) == "OK")
    wait_for("in step", replica.is_in_step)
    wait_for("followed", master.is_followed)

    def is_known_to(node: ClusterNode) -> bool:
        return replica.id in str(node.run("CLUSTER", "REPLICAS", master.id))

    wait_for("known to all", lambda: all(map(is_known_to, masters)))
