"""Every program that a command and its children start, and every byte that they write to files: by strace."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.canary import Search

STRING = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
CALL = re.compile(rb"^\d+ +(\w+)\((?:\d+<([^>]*)>)?")
LONGEST = 4_000_000
"""Bytes of one string that strace shows; the kernel takes no longer argument than 131072."""


class Started(NamedTuple):
    """One call of execve, whether or not the program was there."""

    program: str
    arguments: bytes
    environment: bytes


class ProcessTrace:
    """`[*trace.command(), "bash", "-x", …]` is a command whose processes are all written down.

    Files that are deleted again are seen, and programs that end at once. What goes through a pipe or a
    connection is not: the password must go from one program to another somehow.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def command(self) -> list[str]:
        strace = shutil.which("strace")
        assert strace, (
            "strace is not on PATH: install it with the system's packages, as apt-get install strace"
        )
        calls = "trace=execve,execveat,write,pwrite64,writev"
        shown = ["-v", "-xx", "-s", str(LONGEST), "-e", "signal=none", "-e", calls]
        # --seccomp-bpf: only these calls are slowed down. -y: what a descriptor is open for.
        return [strace, "-f", "-qq", "--seccomp-bpf", "-y", *shown, "-o", str(self.file), "--"]

    def started(self) -> Iterator[Started]:
        for name, _, line in self._calls():
            if name.startswith(b"exec"):
                # Strings are hexadecimal, so a bracket is never a part of one.
                program, arguments, environment = line.split(b"[", 2)
                (path,) = strings(program)
                yield Started(path.decode(), b" ".join(strings(arguments)), b"\n".join(strings(environment)))

    def written(self) -> dict[str, bytes]:
        """All that was written to each file, in order, over whatever was there before."""
        files: dict[str, list[bytes]] = {}
        for name, descriptor, line in self._calls():
            path = decoded(descriptor)
            if not name.startswith(b"exec") and path.startswith(b"/"):
                files.setdefault(path.decode(), []).extend(strings(line))
        return {path: b"".join(parts) for path, parts in files.items()}

    def look(self, search: Search) -> None:
        """Look for a password in all of it."""
        for started in self.started():
            search.look(f"arguments of {started.program}", started.arguments)
            search.look(f"environment of {started.program}", started.environment)
        for path, text in self.written().items():
            search.look(f"written to {path}", text)

    def _calls(self) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Return the name, what its descriptor is open for, and the line of each call."""
        with self.file.open("rb") as lines:
            for line in lines:
                if call := CALL.match(line):
                    yield call[1], call[2] or b"", line


def strings(line: bytes) -> list[bytes]:
    found: list[bytes] = []
    for text, cut in STRING.findall(line):
        assert not cut, f"strace cut a string after {LONGEST} bytes"
        found.append(decoded(text))
    return found


def decoded(text: bytes) -> bytes:
    return re.sub(rb"\\x([0-9a-f]{2})", lambda one: bytes.fromhex(one[1].decode()), text)
