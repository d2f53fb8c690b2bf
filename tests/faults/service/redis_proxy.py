"""A network between the service and Redis that is slow, loses replies, or breaks inside one."""

import contextlib
import random
import socket
import time

from tests.faults.tcp_proxy import TcpProxy


class RedisProxy(TcpProxy):
    """Forwards as it came, but for the trouble that is switched on."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.delay = 0.0
        """Seconds that a request waits."""
        self.loses_requests = 0.0
        self.loses_replies = 0.0
        self.cuts_replies = 0.0
        """Probabilities, for each piece that passes. Losing keeps the connection and says nothing."""
        self._chance = random.Random(1)  # noqa: S311 - repeatable trouble, no secret
        super().__init__(target)

    def calm(self) -> None:
        """From now on nothing goes wrong."""
        self.delay = self.loses_requests = self.loses_replies = self.cuts_replies = 0.0

    def _forward(self, source: socket.socket, sink: socket.socket, is_upload: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if is_upload:
                    time.sleep(self.delay)
                    if not self._strikes(self.loses_requests):
                        sink.sendall(data)
                elif self._strikes(self.cuts_replies):
                    sink.sendall(data[: len(data) // 2])
                    break
                elif not self._strikes(self.loses_replies):
                    sink.sendall(data)
        self._break(source)
        self._break(sink)

    def _strikes(self, probability: float) -> bool:
        return self._chance.random() < probability
