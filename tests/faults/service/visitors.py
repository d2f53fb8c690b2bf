"""Visitors who keep coming while something breaks, and remember every answer; a prober that does the same."""

import asyncio
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass
from types import TracebackType

from tests.service import Service, eventually

VISIT = b"POST /api/v1/counter HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
READ = b"GET /api/v1/counter HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEAD = re.compile(rb"HTTP/1\.1 (\d+) .*?content-length: (\d+)", re.IGNORECASE | re.DOTALL)
NUMBER = re.compile(rb'"counter": (-?\d+)')
PAUSE = 0.01


@dataclass(frozen=True)
class Visit:
    """One request. `status` 0: the connection ended without an answer; -1: there was none to send it on."""

    began: float
    ended: float
    status: int
    number: int | None = None

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class Visitors:
    """So many at a time, each on a connection of its own that is opened again when it breaks."""

    def __init__(self, port: int, count: int = 32, pause: float = PAUSE, request: bytes = VISIT) -> None:
        self.port = port
        self._request = request
        self.visits: list[Visit] = []
        self._count = count
        self._pause = pause
        self._leave = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()), daemon=True)

    def __enter__(self) -> "Visitors":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave.set()
        self._thread.join()

    def await_answers(self, more: int, seconds: float = 20.0) -> None:
        """Wait until so many more visits were answered with 200."""
        wanted = len(self.answered) + more
        eventually(lambda: len(self.answered) >= wanted, f"{more} more answers", seconds)

    @property
    def answered(self) -> list[Visit]:
        return [visit for visit in list(self.visits) if visit.status == 200]

    @property
    def sent(self) -> list[Visit]:
        return [visit for visit in list(self.visits) if visit.status >= 0]

    def statuses(self) -> Counter[int]:
        return Counter(visit.status for visit in list(self.visits))

    async def _all(self) -> None:
        await asyncio.gather(*(self._one() for _ in range(self._count)))

    async def _one(self) -> None:
        while not self._leave.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                self.visits.append(Visit(time.monotonic(), time.monotonic(), -1))
                await asyncio.sleep(0.1)
                continue
            try:
                while await self._visit(reader, writer) and not self._leave.is_set():  # noqa: ASYNC110 - a pause
                    await asyncio.sleep(self._pause)
            finally:
                writer.close()

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        began = time.monotonic()
        status, number, head = 0, None, b""
        try:
            writer.write(self._request)
            head = await reader.readuntil(b"\r\n\r\n")
            found = HEAD.match(head)
            assert found, head
            body = await reader.readexactly(int(found[2]))
            status = int(found[1])
            if shown := NUMBER.search(body):
                number = int(shown[1])
        except (OSError, asyncio.IncompleteReadError):
            pass
        self.visits.append(Visit(began, time.monotonic(), status, number))
        return status != 0 and b"Connection: close" not in head


class Prober:
    """Asks both probes, ten times a second, each on a new connection as Kubernetes does."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.heard: dict[str, Counter[str]] = {"/healthz": Counter(), "/readyz": Counter()}
        self.longest = 0.0
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> "Prober":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._leave.wait(0.1):
            for path, heard in self.heard.items():
                began = time.monotonic()
                try:
                    answer = self._service.get(path)
                    said = f"{answer.status} {answer.body.decode().strip()}"
                except OSError as error:
                    said = type(error).__name__
                self.longest = max(self.longest, time.monotonic() - began)
                heard[said] += 1

    def told(self, path: str) -> str:
        return ", ".join(said for said, _ in self.heard[path].most_common())
