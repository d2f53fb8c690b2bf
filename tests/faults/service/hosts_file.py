"""A hosts file of a process' own, in which Redis' name may be missing."""

import os
from pathlib import Path

import pytest

from dev.valkey import LOOPBACK

NAME = "redis.example"


def knows_redis(file: Path) -> None:
    file.write_text(f"{LOOPBACK} localhost {NAME}\n")


def knows_redis_no_longer(file: Path) -> None:
    file.write_text(f"{LOOPBACK} localhost\n")


def in_place_of_the_hosts_file(file: Path) -> list[str]:
    """The command that starts a process with this file, which must be there. Skips the test without root."""
    if os.geteuid() != 0:
        pytest.skip("needs root for a hosts file of its own")
    return ["unshare", "--mount", "sh", "-c", f'mount --bind {file} /etc/hosts && exec "$@"', "sh"]
