"""What may happen to a Redis that stands alone, with the real process and real servers."""

import os
import time
from pathlib import Path

import pytest

from dev.valkey import LOOPBACK
from tests.faults.service.conftest import MakeServer, StartLine
from tests.faults.service.redis_proxy import RedisProxy
from tests.faults.service.redis_servers import Server, wait_for

FILL = "for i = 1, 30000 do redis.call('SET', 'padding:' .. i, '') end"


def test_killed_and_started_again(server: Server, start_line: StartLine) -> None:
    with start_line("Redis killed, back after 1 s"):
        server.kill()
        time.sleep(1)
        server.start()


def test_away_for_long(server: Server, start_line: StartLine) -> None:
    with start_line("Redis stopped, back after 8 s") as line:
        server.stop()
        line.says("connection")
        time.sleep(8)
        server.start()


def test_restarted_again_and_again(server: Server, start_line: StartLine) -> None:
    with start_line("Redis restarted five times") as line:
        for _ in range(5):
            server.kill()
            server.start()
            line.visitors.await_answers(50)


def test_paused(server: Server, start_line: StartLine) -> None:
    with start_line("Redis paused for 4 s"):
        server.pause()
        time.sleep(4)
        server.resume()


def test_paused_shortly(server: Server, start_line: StartLine) -> None:
    """Longer than a command may take, shorter than a visitor waits: nobody gets an error."""
    with start_line("Redis paused for 0.7 s, ten times") as line:
        for _ in range(10):
            server.pause()
            time.sleep(0.7)
            server.resume()
            line.visitors.await_answers(32)
    assert line.visitors.statuses() == {200: len(line.visitors.visits)}


def test_slow(proxy: RedisProxy, start_line: StartLine) -> None:
    with start_line("every request to Redis takes 0.3 s", REDIS_PORT=proxy.port) as line:
        proxy.delay = 0.3
        line.visitors.await_answers(300)
        proxy.calm()
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
    proxy: RedisProxy,
    start_line: StartLine,
    name: str,
    trouble: str,
) -> None:
    # Few and short enough that hardly any visit fails: a failed one could explain away one counted twice.
    with start_line(name, REDIS_PORT=proxy.port, REDIS_TIMEOUT=0.2):
        setattr(proxy, trouble, 0.05)
        time.sleep(8)
        proxy.calm()


def test_connections_cut(proxy: RedisProxy, start_line: StartLine) -> None:
    with start_line("every connection to Redis cut, twenty times", REDIS_PORT=proxy.port) as line:
        for _ in range(20):
            proxy.cut()
            proxy.restore()
            line.visitors.await_answers(20)
    assert line.visitors.statuses() == {200: len(line.visitors.visits)}


def test_read_only_replica(server: Server, make_server: MakeServer, start_line: StartLine) -> None:
    other = make_server(Server)
    with start_line("Redis made a read-only replica for 3 s") as line:
        # Of a server that holds the same data, so that nothing acknowledged is lost.
        other.run("REPLICAOF", LOOPBACK, server.port)
        wait_for("in step", other.is_in_step)
        server.run("REPLICAOF", LOOPBACK, 1)
        line.says("read only")
        time.sleep(3)
        server.run("REPLICAOF", "NO", "ONE")


def test_password_changed(server: Server, start_line: StartLine, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "REDIS_PASSWORD").write_text("first")
    server.set_password("first")
    with start_line("password changed, the new file 3 s later", SECRETS_DIR=secrets) as line:
        server.set_password("second")
        line.says("authentication")
        time.sleep(3)
        (secrets / "REDIS_PASSWORD").write_text("second")
    assert not any("first" in raw or "second" in raw for raw in line.service.raw)


def test_out_of_memory(server: Server, start_line: StartLine) -> None:
    with start_line("out of memory with noeviction for 3 s") as line:
        server.run("CONFIG", "SET", "maxmemory-policy", "noeviction")
        server.run("CONFIG", "SET", "maxmemory", "1")
        line.says("out of memory")
        time.sleep(3)
        server.run("CONFIG", "SET", "maxmemory", "0")


def test_still_loading(server: Server, start_line: StartLine) -> None:
    """It accepts connections and answers LOADING for seconds."""
    with start_line("data set still loading after a restart") as line:
        # While it reads them again it looks at its clients after every thousand commands.
        server.run("EVAL", FILL, 0)
        server.kill()
        server.arguments += ["--key-load-delay", "20"]
        server.start_only()
        line.says("loading")
        wait_for("loaded", lambda: not server.info("persistence")["loading"])


def test_name_no_longer_resolves(server: Server, start_line: StartLine, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root for a hosts file of its own")
    hosts = tmp_path / "hosts"
    hosts.write_text(f"{LOOPBACK} localhost redis.example\n")
    script = f'mount --bind {hosts} /etc/hosts && exec "$@"'
    through = ["unshare", "--mount", "sh", "-c", script, "sh"]
    with start_line(
        "Redis' name no longer resolves, connections cut", through, REDIS_HOST="redis.example"
    ) as line:
        hosts.write_text(f"{LOOPBACK} localhost\n")
        server.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        line.says("connection")
        time.sleep(2)
        hosts.write_text(f"{LOOPBACK} localhost redis.example\n")
