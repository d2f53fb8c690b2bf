"""What `helm test` asks of a release: the probes answer, the page counts, Redis wants its password."""

import os
import re
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

PATIENCE_SECONDS = 60
ANSWER_SECONDS = 15
"""Longer than the service keeps a visitor while Redis is away (REQUEST_TIMEOUT): its answer is to be seen."""


class Failed(Exception):
    """The release does not do what it should; the text says what it does instead."""


@dataclass(frozen=True)
class Release:
    """The service as its visitors reach it, and the Redis behind it (host:port; empty: not to be asked)."""

    service: str
    host: str
    redis: str

    def fetch(self, path: str) -> str:
        connection = HTTPConnection(self.service, timeout=ANSWER_SECONDS)
        try:
            connection.request("GET", path, headers={"Host": self.host, "Accept": "text/html"})
            response = connection.getresponse()
            body = response.read().decode().strip()
        finally:
            connection.close()
        if response.status != 200:
            raise Failed(f"GET {path} of {self.service} answers {response.status}: {body[:200]}")
        return body

    def visit(self) -> int:
        found = re.search(r"Counter: (\d+)", self.fetch("/"))
        if found is None:
            raise Failed(f"the page of {self.service} shows no counter")
        return int(found[1])

    def probes_answer(self) -> str:
        return f"the probes answer: /healthz {self.fetch('/healthz')}, /readyz {self.fetch('/readyz')}"

    def page_counts(self) -> str:
        first, second = self.visit(), self.visit()
        if second <= first:
            raise Failed(f"the page does not count: {first}, then {second}")
        return f"the page counts: {first}, then {second}"

    def redis_wants_its_password(self) -> str:
        host, _, port = self.redis.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(b"PING\r\n")
            answer = connection.recv(200).decode(errors="replace").strip()
        if not answer.startswith("-NOAUTH"):
            raise Failed(f"Redis at {self.redis} answers without a password: {answer}")
        return f"Redis refuses without a password: {answer}"


def eventually(check: Callable[[], str], deadline: float) -> str:
    """A release that was just installed may still be starting."""
    while True:
        try:
            return check()
        except (Failed, OSError, HTTPException) as error:
            if time.monotonic() >= deadline:
                sys.exit(f"failed, {check.__name__}: {error}")
            time.sleep(1)


def main() -> None:
    release = Release(os.environ["SERVICE"], os.environ["TEST_HOST"], os.environ["REDIS_ADDRESS"])
    checks = [release.probes_answer, release.page_counts]
    if release.redis:
        checks.append(release.redis_wants_its_password)
    deadline = time.monotonic() + PATIENCE_SECONDS
    for check in checks:
        print(eventually(check, deadline), flush=True)


if __name__ == "__main__":
    main()
