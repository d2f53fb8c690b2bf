"""The Redis chart's start script, probe and configuration, run by a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, OutOfMemoryError

from dev.valkey import LOOPBACK
from tests.deploy.redis_pod import PASSWORD, Process, RedisPod, needs_sha256sum

pytestmark = needs_sha256sum


@pytest.fixture
def pod(tmp_path: Path) -> RedisPod:
    return RedisPod(tmp_path)


@pytest.fixture
def server(pod: RedisPod) -> Iterator[Process]:
    process = pod.start()
    yield process
    process.kill()
    process.communicate()


@pytest.mark.usefixtures("server")
def test_only_the_password_opens_it(pod: RedisPod) -> None:
    with pod.client() as client:
        assert client.incr("counter") == 1
    for wrong in (None, "", PASSWORD + " ", "default"):
        with pod.client(wrong, attempts=0) as client, pytest.raises(AuthenticationError):
            client.get("counter")


@pytest.mark.usefixtures("server")
def test_the_password_is_in_no_argument_and_no_environment(pod: RedisPod) -> None:
    with pod.client() as client:
        assert client.ping()
    started = (pod.folder / "started").read_text()
    assert "redis.conf" in started
    assert PASSWORD not in started


@pytest.mark.parametrize(
    ("password", "trouble"),
    [
        ("\n", "is empty"),
        (f" {PASSWORD}", "begins or ends with white space"),
        (f"{PASSWORD}\r\n", "begins or ends with white space"),
        (f"{PASSWORD}\t\n", "begins or ends with white space"),
    ],
    ids=["empty", "a blank before it", "a line of Windows", "a tab after it"],
)
def test_a_password_that_the_service_would_not_send_is_refused(
    pod: RedisPod, password: str, trouble: str
) -> None:
    pod.write_password(password)
    process = pod.start()
    output, _ = process.communicate(timeout=10)
    assert process.returncode == 1
    assert f"REDIS_PASSWORD {trouble}" in output


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    "command",
    [
        "FLUSHALL",
        "FLUSHDB",
        "CONFIG SET appendonly no",
        f"REPLICAOF {LOOPBACK} 1",
        "SHUTDOWN",
        "KEYS *",
        "ACL SETUSER default nopass",
        "MONITOR",
        f"MIGRATE {LOOPBACK} 1 counter 0 1",
        "CLIENT KILL TYPE normal",
    ],
)
def test_what_takes_redis_over_or_empties_it_at_once_is_forbidden(pod: RedisPod, command: str) -> None:
    with pod.client() as client, pytest.raises(NoPermissionError):
        client.execute_command(*command.split())


@pytest.mark.usefixtures("server")
def test_what_an_operator_and_the_service_need_is_allowed(pod: RedisPod) -> None:
    with pod.client() as client:
        script = "redis.call('HSET', KEYS[1], 'sequence', 1) return redis.call('INCR', KEYS[2])"
        assert client.eval(script, 2, "{counter}:writer:1", "{counter}") == 1
        assert client.expire("{counter}:writer:1", 60)
        assert client.info("persistence")["aof_enabled"] == 1
        assert client.config_get("appendfsync") == {"appendfsync": "always"}
        assert client.slowlog_get() == []
        assert len(client.client_list()) == 1
        assert client.bgrewriteaof()


def test_what_was_acknowledged_survives_a_kill(pod: RedisPod) -> None:
    for visit in range(1, 4):
        process = pod.start()
        with pod.client() as client:
            assert client.incr("counter") == visit
        process.kill()
        process.communicate()


@pytest.mark.usefixtures("server")
def test_a_rewrite_of_the_file_is_no_reason_not_to_sync_it(pod: RedisPod) -> None:
    """What was acknowledged meanwhile would go with the node."""
    with pod.client() as client:
        assert client.config_get("no-appendfsync-on-rewrite") == {"no-appendfsync-on-rewrite": "no"}


def fill(client: Redis) -> None:
    for number in range(64):
        client.set(f"ballast:{number}", "x" * 1024 * 1024)


def test_full_is_an_error_and_no_key_is_lost(pod: RedisPod, server: Process) -> None:
    with pod.client() as client:
        client.set("counter", 7)
        with pytest.raises(OutOfMemoryError):
            fill(client)
        written = client.dbsize() - 1
        # 40 per cent of the limit of 64Mi, less what the server itself takes.
        assert 15 < written < 26
        assert client.get("counter") == "7"
    assert server.poll() is None


def test_sigterm_ends_it_in_order(pod: RedisPod) -> None:
    process = pod.start()
    with pod.client() as client:
        assert client.incr("counter") == 1
    process.terminate()
    output, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "ready to exit" in output


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        ("PONG", 0),
        ("LOADING Redis is loading the dataset in memory", 1),
        ("NOAUTH Authentication required.", 1),
        ("MISCONF Errors writing to the AOF file", 1),
        ("", 1),
    ],
    ids=["ready", "loading", "no password", "cannot write", "nothing"],
)
def test_only_a_pong_is_ready(pod: RedisPod, reply: str, status: int) -> None:
    """redis-cli calls the others answers, too."""
    asked = pod.folder / "asked"
    pod.program("redis-cli", f'printf "%s" "$REDISCLI_AUTH $*" >{asked}\necho "{reply}"')
    assert pod.script("ready.sh").returncode == status
    assert asked.read_text() == f"{PASSWORD} -e ping"
