"""A steady load through the ingress that counts what visitors would have seen."""

import threading
import time
from collections import Counter
from http.client import HTTPConnection, HTTPException
from types import TracebackType


class SteadyLoad:
    """Visitors that keep asking until the block ends: `with SteadyLoad(address, host) as load: …`.

    Each visitor keeps its connection, as browsers and proxies do, and counts a visit a request. A request
    that gets no answer, or another status than 200, is a failure.
    """

    def __init__(
        self, address: str, host: str, visitors: int = 4, pause: float = 0.02, path: str = "/"
    ) -> None:
        self.address = address
        self.host = host
        self.pause = pause
        self.path = path
        self.answers: Counter[int | str] = Counter()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._visitors = [threading.Thread(target=self._visit, daemon=True) for _ in range(visitors)]

    def __enter__(self) -> "SteadyLoad":
        for visitor in self._visitors:
            visitor.start()
        self.await_answers(20)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for visitor in self._visitors:
            visitor.join(timeout=30)

    @property
    def total(self) -> int:
        with self._lock:
            return sum(self.answers.values())

    @property
    def failures(self) -> dict[int | str, int]:
        with self._lock:
            return {answer: count for answer, count in self.answers.items() if answer != 200}

    def await_answers(self, more: int, seconds: float = 30) -> None:
        """Wait until so many more requests have ended."""
        wanted = self.total + more
        deadline = time.monotonic() + seconds
        while self.total < wanted:
            assert time.monotonic() < deadline, f"the load stands still: {dict(self.answers)}"
            time.sleep(0.05)

    def _visit(self) -> None:
        connection = HTTPConnection(self.address, timeout=10)
        while not self._ended.wait(self.pause):
            answer: int | str
            try:
                connection.request(
                    "GET", self.path, headers={"Host": self.host, "Accept": "application/json"}
                )
                response = connection.getresponse()
                response.read()
                answer = response.status
            except (OSError, HTTPException) as error:
                answer = repr(error)
                connection.close()
            with self._lock:
                self.answers[answer] += 1
        connection.close()
