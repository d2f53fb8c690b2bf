"""What may happen to Redis, under visitors, with the real process and real servers."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dev.valkey import LOOPBACK
from tests.conftest import StartService
from tests.faults.service.conftest import MakeServer
from tests.faults.service.line import Record, fault
from tests.faults.service.redis_proxy import RedisProxy
from tests.faults.service.redis_servers import (
    ClusterNode,
    SentinelServer,
    Server,
    join,
    redis_version,
    wait_for,
)
from tests.service import Service, eventually


def says(service: Service, reason: str) -> None:
    eventually(lambda: service.get("/readyz").body.decode() == f"redis: {reason}\n", f"not ready: {reason}")
    assert service.get("/healthz").status == 200


def test_killed_and_started_again(server: Server, start_service: StartService, record: Record) -> None:
    service = start_service(server).wait_until_ready()
    with fault("Redis killed, back after 1 s", service, server, record) as line:
        server.kill()
        time.sleep(1)
        server.start()
        line.mended()


def test_away_for_long(server: Server, start_service: StartService, record: Record) -> None:
    service = start_service(server).wait_until_ready()
    with fault("Redis stopped, back after 8 s", service, server, record) as line:
        server.stop()
        says(service, "connection")
        time.sleep(8)
        server.start()
        line.mended()


def test_restarted_again_and_again(server: Server, start_service: StartService, record: Record) -> None:
    service = start_service(server).wait_until_ready()
    with fault("Redis restarted five times", service, server, record) as line:
        for _ in range(5):
            server.kill()
            server.start()
            line.visitors.await_answers(50)
        line.mended()


def test_paused(server: Server, start_service: StartService, record: Record) -> None:
    service = start_service(server).wait_until_ready()
    with fault("Redis paused for 4 s", service, server, record) as line:
        server.pause()
        time.sleep(4)
        server.resume()
        line.mended()


def test_paused_shortly(server: Server, start_service: StartService, record: Record) -> None:
    """Longer than a command may take, shorter than a visitor waits: nobody gets an error."""
    service = start_service(server).wait_until_ready()
    with fault("Redis paused for 0.7 s, ten times", service, server, record) as line:
        for _ in range(10):
            server.pause()
            time.sleep(0.7)
            server.resume()
            line.visitors.await_answers(32)
        line.mended()
    assert line.visitors.statuses() == {200: len(line.visitors.visits)}


def test_slow(server: Server, proxy: RedisProxy, start_service: StartService, record: Record) -> None:
    service = start_service(server, REDIS_PORT=proxy.port).wait_until_ready()
    with fault("every request to Redis takes 0.3 s", service, server, record) as line:
        proxy.delay = 0.3
        line.visitors.await_answers(300)
        proxy.calm()
        line.mended()
    assert line.visitors.statuses() == {200: len(line.visitors.visits)}


@pytest.mark.parametrize(
    ("name", "trouble"),
    [
        ("5 % of Redis' replies lost", "loses_replies"),
        ("5 % of the requests to Redis lost", "loses_requests"),
        ("5 % of Redis' replies cut in the middle", "cuts_replies"),
    ],
)
def test_lossy(
    server: Server,
    proxy: RedisProxy,
    start_service: StartService,
    record: Record,
    name: str,
    trouble: str,
) -> None:
    # Few and short enough that hardly any visit fails: a failed one could explain away one counted twice.
    service = start_service(server, REDIS_PORT=proxy.port, REDIS_TIMEOUT=0.2).wait_until_ready()
    with fault(name, service, server, record) as line:
        setattr(proxy, trouble, 0.05)
        time.sleep(8)
        proxy.calm()
        line.mended()


def test_connections_cut(
    server: Server, proxy: RedisProxy, start_service: StartService, record: Record
) -> None:
    service = start_service(server, REDIS_PORT=proxy.port).wait_until_ready()
    with fault("every connection to Redis cut, twenty times", service, server, record) as line:
        for _ in range(20):
            proxy.cut()
            proxy.restore()
            line.visitors.await_answers(20)
        line.mended()
    assert line.visitors.statuses() == {200: len(line.visitors.visits)}


def test_read_only_replica(
    server: Server, make_server: MakeServer, start_service: StartService, record: Record
) -> None:
    other = make_server()
    service = start_service(server).wait_until_ready()
    with fault("Redis made a read-only replica for 3 s", service, server, record) as line:
        # Of a server that holds the same data, so that nothing acknowledged is lost.
        other.run("REPLICAOF", LOOPBACK, server.port)
        wait_for("in step", lambda: other.info("replication")["master_link_status"] == "up")
        server.run("REPLICAOF", LOOPBACK, 1)
        says(service, "read only")
        time.sleep(3)
        server.run("REPLICAOF", "NO", "ONE")
        line.mended()


def test_password_changed(
    server: Server, start_service: StartService, record: Record, tmp_path: Path
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "REDIS_PASSWORD").write_text("first")
    server.set_password("first")
    service = start_service(server, SECRETS_DIR=secrets).wait_until_ready()
    with fault("password changed, the new file 3 s later", service, server, record) as line:
        server.set_password("second")
        says(service, "authentication")
        time.sleep(3)
        (secrets / "REDIS_PASSWORD").write_text("second")
        line.mended()
    assert not any("first" in raw or "second" in raw for raw in service.raw)


def test_out_of_memory(server: Server, start_service: StartService, record: Record) -> None:
    service = start_service(server).wait_until_ready()
    with fault("out of memory with noeviction for 3 s", service, server, record) as line:
        server.run("CONFIG", "SET", "maxmemory-policy", "noeviction")
        server.run("CONFIG", "SET", "maxmemory", "1")
        says(service, "out of memory")
        time.sleep(3)
        server.run("CONFIG", "SET", "maxmemory", "0")
        line.mended()


def test_still_loading(
    product: str, make_server: MakeServer, start_service: StartService, record: Record
) -> None:
    """It accepts connections and answers LOADING for seconds."""
    asked = () if product == "redis" and str(redis_version()) < "7" else ("--enable-debug-command", "yes")
    server = make_server(*asked)
    service = start_service(server).wait_until_ready()
    with fault("data set still loading after a restart", service, server, record) as line:
        server.run("DEBUG", "POPULATE", 20_000, "padding", 100)
        server.run("BGREWRITEAOF")
        wait_for("rewritten", lambda: not server.info("persistence")["aof_rewrite_in_progress"])
        server.kill()
        server.arguments += ["--key-load-delay", "20", "--loading-process-events-interval-bytes", "1024"]
        server.start_only()
        says(service, "loading")
        wait_for("loaded", lambda: not server.info("persistence")["loading"])
        line.mended()


def test_name_no_longer_resolves(
    server: Server, start_service: StartService, record: Record, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root for a hosts file of its own")
    hosts = tmp_path / "hosts"
    hosts.write_text(f"{LOOPBACK} localhost redis.example\n")
    script = f'mount --bind {hosts} /etc/hosts && exec "$@"'
    service = start_service(
        server, through=["unshare", "--mount", "sh", "-c", script, "sh"], REDIS_HOST="redis.example"
    ).wait_until_ready()
    with fault("Redis' name no longer resolves, connections cut", service, server, record) as line:
        hosts.write_text(f"{LOOPBACK} localhost\n")
        server.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        says(service, "connection")
        time.sleep(2)
        hosts.write_text(f"{LOOPBACK} localhost redis.example\n")
        line.mended()


@contextmanager
def watched_by_sentinel(
    master: Server, replica: Server, folder: Path, product: str
) -> Iterator[SentinelServer]:
    wait_for("in step", lambda: replica.info("replication")["master_link_status"] == "up")
    sentinel = SentinelServer(folder, product, master.port)
    sentinel.start()
    try:
        wait_for(
            "the sentinel sees the replica",
            lambda: len(sentinel.run("SENTINEL", "REPLICAS", "mymaster")) == 1,
        )
        yield sentinel
    finally:
        sentinel.stop()


@pytest.mark.parametrize("killed", [True, False])
def test_sentinel_failover(
    server: Server,
    make_server: MakeServer,
    start_service: StartService,
    record: Record,
    tmp_path: Path,
    product: str,
    *,
    killed: bool,
) -> None:
    """As an operator has to do it who wants to lose nothing: replication is asynchronous.

    The master refuses writes once it has no replica, and before a failover that is asked for they are paused.
    """
    name = "Sentinel: the master is killed" if killed else "Sentinel: a failover, writes paused before"
    replica = make_server("--replicaof", LOOPBACK, str(server.port))
    with watched_by_sentinel(server, replica, tmp_path / "sentinel", product) as sentinel:
        server.run("CONFIG", "SET", "min-replicas-to-write", 1)
        service = start_service(
            REDIS_SENTINELS=f"{LOOPBACK}:{sentinel.port}", REDIS_SENTINEL_MASTER="mymaster"
        ).wait_until_ready()
        with fault(name, service, replica, record) as line:
            if killed:
                server.kill()
            else:
                server.run("CLIENT", "PAUSE", 10_000, "WRITE")
                sentinel.run("SENTINEL", "FAILOVER", "mymaster")
            wait_for("promoted", lambda: replica.info("replication")["role"] == "master")
            counted = int(replica.run("GET", "counter"))
            wait_for("the promoted one is asked", lambda: int(replica.run("GET", "counter")) > counted)
            line.mended()


def test_cluster_slot_moves(
    start_service: StartService, record: Record, tmp_path: Path, product: str
) -> None:
    nodes = [ClusterNode(tmp_path / name, product) for name in ("one", "two")]
    for node in nodes:
        node.start()
    one, two = nodes
    try:
        join(nodes, [range(8192), range(8192, 16384)])
        slot = int(one.run("CLUSTER", "KEYSLOT", "counter"))
        here, there = (one, two) if slot < 8192 else (two, one)
        service = start_service(REDIS_HOST=LOOPBACK, REDIS_PORT=one.port, REDIS_CLUSTER="true")
        service.wait_until_ready()
        with fault("Cluster: the counter's slot moves", service, there, record) as line:
            there.run("CLUSTER", "SETSLOT", slot, "IMPORTING", here.id)
            here.run("CLUSTER", "SETSLOT", slot, "MIGRATING", there.id)
            # Half of the slot has moved: a command with two keys is answered TRYAGAIN.
            time.sleep(0.3)
            while keys := here.run("CLUSTER", "GETKEYSINSLOT", slot, 100):
                here.run("MIGRATE", LOOPBACK, there.port, "", 0, 5000, "KEYS", *keys)
                time.sleep(0.3)
            for node in (there, here):
                node.run("CLUSTER", "SETSLOT", slot, "NODE", there.id)
            line.mended()
    finally:
        for node in nodes:
            node.stop()
