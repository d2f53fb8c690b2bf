"""How JSON lines leave: what is logged at once, access lines together, once a turn of the event loop."""

import asyncio
import contextlib
import logging
from select import PIPE_BUF
from typing import TextIO


class Lines(logging.StreamHandler[TextIO]):
    """Writes lines in their order, each whole.

    A line that `write_soon` was given waits for the others of its turn of the event loop. They leave in one
    write, or in several of at most PIPE_BUF bytes: when the next turn begins, before any line that is logged
    after them, or when the process ends. What ends a process without a word (SIGKILL, a crash of the
    interpreter) may lose the lines of one turn.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.more = ""
        """Further fields of each access line, as they stand in JSON."""
        self._waiting: list[str] = []
        self._size = 0
        self._leaves_in: asyncio.AbstractEventLoop | None = None
        """The loop that has been asked to write what waits."""

    def write_soon(self, line: str) -> None:
        """Write a line of ASCII that ends in a newline; at once where no event loop runs."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        self.acquire()
        try:
            # Of what several processes write to one pipe, only so much stays together.
            if self._size + len(line) > PIPE_BUF:
                self._write_waiting()
            self._waiting.append(line)
            self._size += len(line)
            if loop is None:
                self._write_waiting()
            elif loop is not self._leaves_in:
                self._leaves_in = loop
                loop.call_soon(self._write_waiting)
        finally:
            self.release()

    def emit(self, record: logging.LogRecord) -> None:
        self._write_waiting()
        super().emit(record)

    def flush(self) -> None:
        """Called by logging after each of its lines, and when the process ends."""
        self._write_waiting()
        super().flush()

    def _write_waiting(self) -> None:
        self.acquire()
        try:
            self._leaves_in = None
            if not self._waiting:
                return
            # Taken before they are written: what is logged meanwhile must not write them again.
            lines, self._waiting, self._size = self._waiting, [], 0
            # As logging does with a line that cannot be written: nobody could be told.
            with contextlib.suppress(Exception):
                self.stream.write("".join(lines))
                self.stream.flush()
        finally:
            self.release()
