"""Asks the probes while something breaks, as Kubernetes does."""

import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPException
from types import TracebackType
from typing import Self

from tests.service import PATIENCE, Service

PERIOD = 0.1


class Prober:
    """Asks both probes, ten times a second, each on a new connection as Kubernetes does."""

    def __init__(self, service: Service, patience: float = PATIENCE) -> None:
        """A probe that is silent for `patience` seconds is heard as TimeoutError."""
        self._service = service
        self._patience = patience
        self.heard: dict[str, Counter[str]] = {"/healthz": Counter(), "/readyz": Counter()}
        self.longest = 0.0
        self._leave = threading.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prober")
        self._left: Future[None] | None = None

    def __enter__(self) -> Self:
        self._left = self._thread.submit(self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._left is not None
        self._leave.set()
        self._thread.shutdown(wait=False)
        self._left.result(2 * self._patience + PATIENCE)

    def _ask(self) -> None:
        is_over = False
        while not is_over:
            for path, heard in self.heard.items():
                began = time.monotonic()
                try:
                    answer = self._service.request("GET", path, patience=self._patience)
                    said = f"{answer.status} {answer.body.decode().strip()}"
                except (OSError, HTTPException) as error:
                    said = type(error).__name__
                self.longest = max(self.longest, time.monotonic() - began)
                heard[said] += 1
            is_over = self._leave.wait(PERIOD)

    def told(self, path: str) -> list[str]:
        """What a probe said, the most frequent first."""
        return [said for said, _ in self.heard[path].most_common()]
