"""Stands before the service and changes what it answers: a service that does not keep its promises."""

import contextlib
import socket
from collections.abc import Callable

from tests.faults.tcp_proxy import TcpProxy


class ChangedAnswers(TcpProxy):
    """Passes requests as they came, and each answer through `change`.

    That returns what is sent instead, nothing for an answer that never comes, and raises OSError to end the
    connection.
    """

    def __init__(self, target: tuple[str, int], change: Callable[[bytes], bytes]) -> None:
        self._change = change
        super().__init__(target)

    def _forward(self, source: socket.socket, sink: socket.socket, is_upload: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data if is_upload else self._change(data))
        self._break(source)
        self._break(sink)
