"""The servers that the faults happen to: Valkey from its package, and Redis where the machine has one."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from dev.valkey import LOOPBACK, free_port
from tests.conftest import ValkeyServer
from tests.service import eventually

REDIS_SERVER = os.environ.get("REDIS_SERVER") or shutil.which("redis-server")
"""Another Redis than the one on PATH: `REDIS_SERVER=/opt/redis-6.2/bin/redis-server make faults`."""


def redis_version() -> str | None:
    """Return the version of the machine's Redis, None if it has none."""
    if REDIS_SERVER is None:
        return None
    told = subprocess.run([REDIS_SERVER, "--version"], capture_output=True, text=True, check=True).stdout
    return told.partition("v=")[2].split()[0]


class Server(ValkeyServer):
    """One real server; `product` is valkey or redis."""

    def __init__(self, folder: Path, product: str, *arguments: str) -> None:
        super().__init__(folder, *arguments)
        self.product = product
        self.is_awaited = True

    def start_only(self) -> None:
        """Start it without waiting until it answers."""
        self.is_awaited = False
        self.start()
        self.is_awaited = True

    def _wait_until_it_answers(self) -> None:
        if self.is_awaited:
            super()._wait_until_it_answers()

    def command(self) -> list[str]:
        binary, *rest = super().command()
        return [REDIS_SERVER if self.product == "redis" and REDIS_SERVER else binary, *rest]

    def run(self, *command: object) -> Any:  # noqa: ANN401 - what Redis says
        with self.client as client:
            return client.execute_command(*command)

    def kill(self) -> None:
        """End it as the kernel would: no farewell, no flush beyond what was acknowledged."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def commands(self) -> int:
        """How many commands it has executed, those inside scripts included."""
        return int(self.info("stats")["total_commands_processed"])

    def info(self, section: str) -> dict[str, Any]:
        with self.client as client:
            told: dict[str, Any] = client.info(section)
            return told

    def memory(self) -> int:
        return int(self.info("memory")["used_memory"])


def wait_for(what: str, condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until a server says so; one that does not answer has not said it."""

    def holds() -> bool:
        try:
            return condition()
        except Exception:
            return False

    eventually(holds, what, seconds)


class SentinelServer(Server):
    """Watches a master and promotes its replica."""

    def __init__(self, folder: Path, product: str, master_port: int) -> None:
        super().__init__(folder, product)
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "sentinel.conf"
        self.config.write_text(
            f"bind {LOOPBACK}\nport {self.port}\ndir {folder}\nlogfile sentinel.log\n"
            f"sentinel monitor mymaster {LOOPBACK} {master_port} 1\n"
            "sentinel down-after-milliseconds mymaster 500\n"
            "sentinel failover-timeout mymaster 3000\n"
        )

    def command(self) -> list[str]:
        binary, *_ = super().command()
        return [binary, str(self.config), "--sentinel"]


class ClusterNode(Server):
    """A node of a Cluster."""

    def __init__(self, folder: Path, product: str) -> None:
        super().__init__(folder, product, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000")
        self.port = next_low_port()

    @property
    def id(self) -> str:
        told = self.run("CLUSTER", "MYID")
        return told.decode() if isinstance(told, bytes) else str(told)


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


def join(nodes: list[ClusterNode], slots: list[range]) -> None:
    """Make one Cluster of the nodes, each with its slots."""
    for node, own in zip(nodes, slots, strict=True):
        for start in range(own.start, own.stop, 4096):
            node.run("CLUSTER", "ADDSLOTS", *range(start, min(start + 4096, own.stop)))
        node.run("CLUSTER", "MEET", LOOPBACK, nodes[0].port)
    for node in nodes:
        wait_for("the cluster is whole", partial(is_whole, node, len(nodes)))


def is_whole(node: ClusterNode, size: int) -> bool:
    with node.client as client:
        info: dict[str, str] = client.cluster("info")
    return info["cluster_state"] == "ok" and int(info["cluster_known_nodes"]) == size
