"""Visitors who keep coming while something breaks, and remember every answer: the load of every suite."""

import asyncio
import itertools
import re
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from types import TracebackType
from typing import NamedTuple, Self

from tests.service import eventually

BROKEN = 0
"""The connection ended without an answer."""
UNREACHED = -1
"""There was no connection to send it on."""
HUNG = -2
"""No answer came for as long as a visitor waits."""

STATUS = re.compile(rb"HTTP/1\.1 (\d+) ")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
RETRY_AFTER = re.compile(rb"\r\nretry-after: *\d+\r\n", re.IGNORECASE)
BAD_VERSION = re.compile(rb"\r\nx-bad-version: *[\w-]+\r\n", re.IGNORECASE)
"""How a bad version of the deploy's suite shows itself."""
CLOSES = re.compile(rb"\r\nconnection: *close\r\n", re.IGNORECASE)
NUMBER = re.compile(rb'"counter": ?(-?\d+)')

PAUSE = 0.01
PATIENCE = 30.0
LEAVING_SECONDS = 10.0


class Request(NamedTuple):
    """What a visitor sends again and again."""

    method: str
    target: str

    def encoded(self, host: str = "localhost") -> bytes:
        lines = [
            f"{self.method} {self.target} HTTP/1.1",
            f"Host: {host}",
            "Accept: application/json",
            *([] if self.method == "GET" else ["Content-Length: 0"]),
        ]
        return "\r\n".join([*lines, "", ""]).encode()


PAGE = Request("GET", "/")
COUNT = Request("POST", "/api/v1/counter")
READ = Request("GET", "/api/v1/counter")
PAGE_AND_API = (PAGE, COUNT)
"""Half each: a proxy repeats a GET whose connection broke by itself, so POST shows what it hides."""


@dataclass(frozen=True)
class Visit:
    """One request: its status, or BROKEN, UNREACHED or HUNG."""

    began: float
    ended: float
    status: int
    number: int | None = None
    method: str = COUNT.method
    retry_after: bool = False
    """Whether the answer says when to come back."""
    is_of_bad_version: bool = False

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class Visitors:
    """So many at a time, each on a connection of its own that is opened again when it breaks.

    `with Visitors("127.0.0.1:8000") as visitors:` they come until the block ends. A visitor sends one of
    `requests`, always the same; waits for an answer `patience` seconds at most; comes again after `pause`,
    and not before `every` seconds have passed since it came last. With `let_in`, only while that is set.
    """

    def __init__(
        self,
        address: str,
        host: str = "localhost",
        count: int = 32,
        pause: float = PAUSE,
        requests: Sequence[Request] = PAGE_AND_API,
        patience: float = PATIENCE,
        every: float = 0.0,
        let_in: Event | None = None,
    ) -> None:
        name, _, port = address.rpartition(":")
        self._address = (name, int(port))
        self._host = host
        self._senders = list(itertools.islice(itertools.cycle(requests), count))
        self._pause = pause
        self._patience = patience
        self._every = every
        self._let_in = let_in
        self._leave = Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="visitors")
        self._all_left: Future[None] | None = None
        self._answered = 0
        self.visits: list[Visit] = []

    def __enter__(self) -> Self:
        self._all_left = self._thread.submit(asyncio.run, self._all())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._all_left is not None
        self._leave.set()
        self._thread.shutdown(wait=False)
        # Raises what went wrong with the visitors themselves; nobody waits longer than their patience.
        self._all_left.result(self._patience + LEAVING_SECONDS)

    def await_answers(self, more: int, seconds: float = 20.0) -> None:
        """Wait until so many more visits were answered with 200."""
        wanted = self._answered + more
        eventually(
            lambda: self._answered >= wanted,
            f"{more} more answers; all so far, by status: {dict(self.statuses())}",
            seconds,
        )

    @property
    def have_left(self) -> bool:
        return self._all_left is not None and self._all_left.done()

    @property
    def answered(self) -> list[Visit]:
        return [visit for visit in list(self.visits) if visit.status == 200]

    @property
    def failures(self) -> list[Visit]:
        """Every visit that did not get a 200."""
        return [visit for visit in list(self.visits) if visit.status != 200]

    @property
    def met_bad_version(self) -> list[Visit]:
        """Those whom a bad version answered, well or not."""
        return [visit for visit in list(self.visits) if visit.is_of_bad_version]

    @property
    def sent(self) -> list[Visit]:
        """Those that may have been counted."""
        return [visit for visit in list(self.visits) if visit.status != UNREACHED]

    def statuses(self) -> Counter[int]:
        return Counter(visit.status for visit in list(self.visits))

    async def _all(self) -> None:
        count = len(self._senders)
        begins = [self._every * position / count for position in range(count)]
        await asyncio.gather(*map(self._one, self._senders, begins))

    async def _one(self, request: Request, begins: float) -> None:
        message = request.encoded(self._host)
        await asyncio.sleep(begins)
        while await self._may_come():
            began = time.monotonic()
            try:
                async with asyncio.timeout(self._patience):
                    reader, writer = await asyncio.open_connection(*self._address)
            except OSError:
                self._note(Visit(began, time.monotonic(), UNREACHED, method=request.method))
                await asyncio.sleep(0.1)
                continue
            try:
                is_kept = True
                while is_kept and await self._may_come():
                    began = time.monotonic()
                    status, number, head = await self._answer(reader, writer, message)
                    retry_after = RETRY_AFTER.search(head) is not None
                    is_bad = BAD_VERSION.search(head) is not None
                    self._note(
                        Visit(began, time.monotonic(), status, number, request.method, retry_after, is_bad)
                    )
                    # Without a length, as a proxy's own page may come, only the end tells where it ends.
                    is_kept = LENGTH.search(head) is not None and CLOSES.search(head) is None
                    await asyncio.sleep(max(self._pause, began + self._every - time.monotonic()))
            finally:
                writer.close()

    async def _may_come(self) -> bool:
        """Wait to be let in; False once all leave."""
        while not self._leave.is_set():
            if self._let_in is None or self._let_in.is_set():
                return True
            await asyncio.sleep(0.05)
        return False

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: bytes
    ) -> tuple[int, int | None, bytes]:
        """Send a request; return the status, the number that was shown, and the head of the answer."""
        try:
            async with asyncio.timeout(self._patience):
                writer.write(message)
                head = await reader.readuntil(b"\r\n\r\n")
                status, length = STATUS.match(head), LENGTH.search(head)
                assert status, head
                body = await reader.readexactly(int(length[1])) if length else b""
        except TimeoutError:
            return HUNG, None, b""
        except (OSError, asyncio.IncompleteReadError):
            return BROKEN, None, b""
        number = NUMBER.search(body)
        return int(status[1]), int(number[1]) if number else None, head

    def _note(self, visit: Visit) -> None:
        self.visits.append(visit)
        self._answered += visit.status == 200
