"""What each transport does with a client's socket, below HTTP."""

import asyncio
import contextlib
import socket
import struct

from tornado.iostream import StreamClosedError

PEEKED = 16, 64 * 1024
"""Bytes that tell a request from a stray empty line, and from any number of them."""
NO_LINGER = struct.pack("ii", 1, 0)


def has_arrived(read: bytes | bytearray, client: socket.socket) -> bool:
    """Tell whether there is more than empty lines in what was read, or in what the system has.

    The socket must not block. Some clients send an empty line after a body.
    """
    if read.strip(b"\r\n"):
        return True
    with contextlib.suppress(OSError):
        for size in PEEKED:
            peeked = client.recv(size, socket.MSG_PEEK)
            if peeked.strip(b"\r\n"):
                return True
            if len(peeked) < size:
                break
    return False


def end_answers(client: socket.socket) -> None:
    """Tell the client at once that no answer follows; one that asks until the socket is closed gets none."""
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_WR)


def reset_on_close(client: socket.socket) -> None:
    """Let the end of the connection throw away what the client has not taken."""
    with contextlib.suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)


def never_written(written: "asyncio.Future[None] | None" = None) -> "asyncio.Future[None]":
    """Return a future, or this one, of bytes that the system will not take over."""
    future = asyncio.get_running_loop().create_future() if written is None else written
    future.set_exception(StreamClosedError())
    # Or asyncio logs that nobody asked for the exception.
    future.exception()
    return future
