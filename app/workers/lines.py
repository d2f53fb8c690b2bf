"""Lines of several processes in one stream: each stays whole, and says whose it is."""

import io
import logging
import os
import select
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from app.telemetry.lines import Lines

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class WholeLines(io.RawIOBase):
    """Hands the system whole lines only, as many at once as a pipe takes in one piece (PIPE_BUF).

    A longer line goes out alone; only in a pipe that is full just then may another one get into it.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        written = bytes(data)
        for piece in pieces(written):
            rest = piece
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        return len(written)


def pieces(data: bytes, most: int = select.PIPE_BUF) -> Iterator[bytes]:
    """Cut data behind lines, into pieces of at most so many bytes where the lines allow it."""
    while len(data) > most:
        cut = data.rfind(b"\n", 0, most) + 1 or data.find(b"\n") + 1 or len(data)
        yield data[:cut]
        data = data[cut:]
    if data:
        yield data


def whole_lines(stream: TextIO) -> TextIO:
    """Return what writes to where `stream` does, every text at once."""
    stream.flush()
    raw = WholeLines(stream.fileno())
    # It has no buffer of its own, so what it asks of one a raw stream has, too.
    return io.TextIOWrapper(raw, encoding=stream.encoding, errors=stream.errors, write_through=True)  # type: ignore[type-var]


def name_worker(place: int) -> None:
    """Let each line of this process say from now on which worker's it is."""

    def named(record: logging.LogRecord) -> bool:
        if isinstance(record.msg, dict):
            record.msg["worker"] = place
        else:
            record.worker = place
        return True

    for handler in logging.getLogger().handlers:
        handler.addFilter(named)
        if isinstance(handler, Lines):
            handler.more = f', "worker": {place}'
