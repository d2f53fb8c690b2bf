"""What may happen to a Redis that stands alone, with the real process and real servers."""

import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from dev.valkey import LOOPBACK
from tests.faults.service.conftest import MakeServer, StartLine
from tests.faults.service.evidence import error_replies, failures, starts, stops, trouble
from tests.faults.service.hosts_file import (
    NAME,
    in_place_of_the_hosts_file,
    knows_redis,
    knows_redis_no_longer,
)
from tests.faults.service.line import Line, resident
from tests.faults.service.redis_proxy import RedisProxy
from tests.faults.service.redis_servers import Server, wait_for
from tests.faults.service.verdict import MARGIN
from tests.visitors import Visit, Visitors

FILL = "for i = 1, 30000 do redis.call('SET', 'padding:' .. i, '') end"
CROWD = 900
CROWD_MEMORY = 25.0
"""MB in which so many wait, a connection each."""
LONGER = 3.0
"""Seconds beyond REQUEST_TIMEOUT: an absence that no visitor waits out."""


def test_killed_and_started_again(server: Server, start_line: StartLine) -> None:
    with start_line("Redis killed, back after 1 s") as line:
        line.watch(starts(server), failures(line.service, "connection"))
        line.do(server.kill)
        line.lasts(1)
        line.do(server.start)


def test_stopped_for_long(server: Server, start_line: StartLine) -> None:
    with start_line(f"Redis stopped for REQUEST_TIMEOUT + {LONGER:g} s", also=[503]) as line:
        line.watch(starts(server), failures(line.service, "connection"))
        line.do(server.stop)
        line.says("connection")
        stopped = time.monotonic()
        line.lasts(line.request_timeout + LONGER)
        started = time.monotonic()
        line.do(server.start)
    assert_told_at_once(line, stopped, started)


def test_a_crowd_waits(server: Server, start_line: StartLine) -> None:
    """As many as come at 90 a second for as long as anybody waits: there is room, and memory, for them."""
    with start_line(f"Redis killed, back when {CROWD} more visitors wait") as line:
        line.watch(starts(server), failures(line.service, "connection"))
        before = resident(line.service)
        line.do(server.kill)
        with Visitors(line.service.address, count=CROWD, pause=1) as crowd:
            line.more.append(crowd)
            line.sees("all of them wait", lambda: line.service.in_flight() > CROWD)
            assert resident(line.service) - before < CROWD_MEMORY
            line.do(server.start)
            crowd.await_answers(CROWD)


def test_paused_for_long(server: Server, start_line: StartLine) -> None:
    name = f"Redis paused for REQUEST_TIMEOUT (3 s) + {LONGER:g} s"
    with start_line(name, also=[503], REQUEST_TIMEOUT=3) as line:
        line.watch(stops(server), failures(line.service, "timeout"))
        line.do(server.pause)
        line.says("timeout")
        paused = time.monotonic()
        line.lasts(line.request_timeout + LONGER)
        resumed = time.monotonic()
        line.do(server.resume)
    assert_told_at_once(line, paused, resumed)


def longest(visits: Iterable[Visit]) -> float:
    return max(visit.seconds for visit in visits)


def assert_told_at_once(line: Line, away: float, back: float) -> None:
    """Whoever came after Redis had been away for REQUEST_TIMEOUT was not kept until theirs was over."""
    late = [
        visit
        for visit in line.visitors.visits
        if away + line.request_timeout + 1 < visit.began and visit.ended < back
    ]
    assert {visit.status for visit in late} == {503}
    assert longest(late) <= line.one_attempt + MARGIN


def test_restarted_again_and_again(server: Server, start_line: StartLine) -> None:
    with start_line("Redis restarted five times") as line:
        line.watch(starts(server), least=5)
        line.watch(failures(line.service, "connection"))
        for _ in range(5):
            line.do(server.kill)
            line.do(server.start)
            line.visitors.await_answers(50)


def test_paused(server: Server, start_line: StartLine) -> None:
    with start_line("Redis paused for 4 s") as line:
        line.watch(stops(server), failures(line.service, "timeout"))
        line.do(server.pause)
        line.lasts(4)
        line.do(server.resume)


def test_paused_shortly(server: Server, start_line: StartLine) -> None:
    """Longer than a command may take, shorter than a visitor waits."""
    with start_line("Redis paused for 0.7 s, ten times", REQUEST_TIMEOUT=2) as line:
        line.watch(stops(server), failures(line.service, "timeout"), least=10)
        for _ in range(10):
            line.do(server.pause)
            line.lasts(0.7)
            line.do(server.resume)
            line.visitors.await_answers(32)


def test_slow(proxy: RedisProxy, start_line: StartLine) -> None:
    with start_line("every request to Redis takes 0.3 s", REDIS_PORT=proxy.port, REQUEST_TIMEOUT=2) as line:
        line.watch(trouble(proxy, "requests delayed"))
        line.do(setattr, proxy, "delay", 0.3)
        line.visitors.await_answers(300)
        proxy.calm()


@pytest.mark.parametrize(
    ("name", "switch", "what", "reason"),
    [
        ("5 % of Redis' replies lost", "loses_replies", "replies lost", "timeout"),
        ("5 % of the requests to Redis lost", "loses_requests", "requests lost", "timeout"),
        ("5 % of Redis' replies cut in the middle", "cuts_replies", "replies cut", "connection"),
    ],
)
def test_lossy(
    proxy: RedisProxy, start_line: StartLine, name: str, switch: str, what: str, reason: str
) -> None:
    # Timeouts so short that much is sent twice.
    with start_line(name, REDIS_PORT=proxy.port, REDIS_TIMEOUT=0.2, REQUEST_TIMEOUT=4) as line:
        line.watch(trouble(proxy, what), failures(line.service, reason))
        line.do(setattr, proxy, switch, 0.05)
        line.lasts(8)
        proxy.calm()


def test_connections_cut(proxy: RedisProxy, start_line: StartLine) -> None:
    name = "every connection to Redis cut, twenty times"
    with start_line(name, REDIS_PORT=proxy.port, REQUEST_TIMEOUT=2) as line:
        line.watch(trouble(proxy, "connections cut"), least=20)
        line.watch(failures(line.service, "connection"))
        for _ in range(20):
            line.do(proxy.cut)
            line.do(proxy.restore)
            line.visitors.await_answers(20)


def test_read_only_replica(server: Server, make_server: MakeServer, start_line: StartLine) -> None:
    other = make_server(Server)
    with start_line("Redis made a read-only replica for 3 s") as line:
        # Of a server that holds the same data, so that nothing acknowledged is lost.
        other.run("REPLICAOF", LOOPBACK, server.port)
        wait_for("in step", other.is_in_step)
        line.watch(error_replies(server, "READONLY"), failures(line.service, "read only"))
        line.do(server.run, "REPLICAOF", LOOPBACK, 1)
        line.says("read only")
        line.lasts(3)
        line.do(server.run, "REPLICAOF", "NO", "ONE")


def test_password_changed(server: Server, start_line: StartLine, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    file = secrets / "REDIS_PASSWORD"
    file.write_text("first")
    server.set_password("first")
    with start_line("password changed, the new file 3 s later", also=[503], SECRETS_DIR=secrets) as line:
        line.watch(error_replies(server, "WRONGPASS"), failures(line.service, "authentication"))
        line.do(server.set_password, "second")
        line.says("authentication")
        line.lasts(3)
        line.do(file.write_text, "second")
    assert longest(line.visitors.failures) <= line.one_attempt + MARGIN
    assert not any("first" in raw or "second" in raw for raw in line.service.raw)


def test_out_of_memory(server: Server, start_line: StartLine) -> None:
    with start_line("out of memory with noeviction for 3 s", also=[503]) as line:
        line.watch(error_replies(server, "OOM"), failures(line.service, "out of memory"))
        server.run("CONFIG", "SET", "maxmemory-policy", "noeviction")
        line.do(server.run, "CONFIG", "SET", "maxmemory", "1")
        line.says("out of memory")
        line.lasts(3)
        line.do(server.run, "CONFIG", "SET", "maxmemory", "0")
    assert longest(line.visitors.failures) <= line.one_attempt + MARGIN


def test_still_loading(server: Server, start_line: StartLine) -> None:
    """It accepts connections and answers LOADING for seconds."""
    with start_line("data set still loading after a restart") as line:
        line.watch(starts(server), error_replies(server, "LOADING"), failures(line.service, "loading"))
        # While it reads them again it looks at its clients after every thousand commands.
        server.run("EVAL", FILL, 0)
        server.arguments += ["--key-load-delay", "20"]
        line.do(server.kill)
        line.do(server.start_only)
        line.says("loading")
        wait_for("loaded", lambda: not server.info("persistence")["loading"])


def test_name_no_longer_resolves(server: Server, start_line: StartLine, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    knows_redis(hosts)
    through = in_place_of_the_hosts_file(hosts)
    with start_line("Redis' name no longer resolves, connections cut", through, REDIS_HOST=NAME) as line:
        # More often than connections that are only cut would fail.
        line.watch(failures(line.service, "connection"), least=10)
        line.do(knows_redis_no_longer, hosts)
        line.do(server.run, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        line.says("connection")
        line.lasts(2)
        knows_redis(hosts)
