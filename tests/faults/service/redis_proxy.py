"""A network between the service and Redis that is slow, loses replies, or breaks inside one."""

import contextlib
import random
import socket
import time
from collections import Counter

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
        self.strikes: Counter[str] = Counter()
        """How often the trouble struck, by what happened."""
        self._chance = random.Random(1)  # noqa: S311 - repeatable trouble, no secret
        super().__init__(target)

    def calm(self) -> None:
        """From now on nothing goes wrong."""
        self.delay = self.loses_requests = self.loses_replies = self.cuts_replies = 0.0

    def cut(self) -> None:
        # Of each connection there are two ends here.
        self.strikes["connections cut"] += len(self._open) // 2
        super().cut()

    def _forward(self, source: socket.socket, sink: socket.socket, is_upload: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if is_upload:
                    if self.delay:
                        self.strikes["requests delayed"] += 1
                        time.sleep(self.delay)
                    if not self._strikes("requests lost", self.loses_requests):
                        sink.sendall(data)
                elif self._strikes("replies cut", self.cuts_replies):
                    sink.sendall(data[: len(data) // 2])
                    break
                elif not self._strikes("replies lost", self.loses_replies):
                    sink.sendall(data)
        self._break(source)
        self._break(sink)

    def _strikes(self, what: str, probability: float) -> bool:
        strikes = self._chance.random() < probability
        self.strikes[what] += strikes
        return strikes
