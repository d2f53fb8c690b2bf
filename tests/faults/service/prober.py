"""Asks the probes while something breaks, as Kubernetes does."""

import threading
import time
from collections import Counter
from types import TracebackType

from tests.service import Service


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
