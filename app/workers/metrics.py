"""One scrape for all workers, whichever answers it.

What a worker counts is in files that the kernel keeps when it dies (prometheus_client's multiprocess mode).
They bear the number of its place, not its process ID: who takes the place of a dead one counts on from there,
so no count goes back, and there are never more files than places.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
    values,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from app.settings import Settings
from app.telemetry.metrics import Metrics

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""What prometheus_client calls it."""


class SharedMetrics(Metrics):
    """The metrics of one worker, and what all of them show together.

    Gauges are as old as the last `publish`.
    """

    def __init__(self, settings: Settings, folder: Path, place: int) -> None:
        os.environ[FOLDER] = str(folder)
        # As its documentation has it for servers that number their workers; before the first metric is made.
        values.ValueClass = values.MultiProcessValue(lambda: place)  # type: ignore[no-untyped-call]
        self._folder = folder
        self._watched: list[tuple[Gauge, Callable[[], float]]] = []
        super().__init__(settings)
        workers_gauge(self.registry).set(1)
        made = _file_of(folder, place).with_suffix(".new")
        made.write_text(str(os.getpid()))
        made.rename(_file_of(folder, place))

    def _read(self, gauge: Gauge, value: Callable[[], float]) -> None:
        self._watched.append((gauge, value))

    def publish(self) -> None:
        """Let the others see what this worker's gauges show now."""
        for gauge, value in self._watched:
            gauge.set(value())

    def render(self) -> bytes:
        self.publish()
        registry = CollectorRegistry()
        PlatformCollector(registry=registry)
        registry.register(_Processes(self._folder))
        MultiProcessCollector(registry, str(self._folder))  # type: ignore[no-untyped-call]
        return generate_latest(registry)


def workers_gauge(registry: CollectorRegistry) -> Gauge:
    """Make what only several workers show."""
    return Gauge(
        "workers",
        "Workers that run, where WORKERS asks for several",
        registry=registry,
        multiprocess_mode="livesum",
    )


class _Processes(Collector):
    """process_… of the arbiter and each worker, told apart by a label."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for worker, process in self._workers():
            for metric in _metrics_of(process):
                family = families.setdefault(
                    metric.name, Metric(metric.name, metric.documentation, metric.type)
                )
                for sample in metric.samples:
                    family.add_sample(sample.name, {"worker": worker}, sample.value)
        return families.values()

    def _workers(self) -> Iterator[tuple[str, str]]:
        yield "arbiter", str(os.getppid())
        for file in sorted(self._folder.glob("*.pid")):
            # A worker may end just now.
            with contextlib.suppress(FileNotFoundError):
                yield file.stem, file.read_text()


def _metrics_of(process: str) -> Iterable[Metric]:
    return ProcessCollector(pid=lambda: process, registry=None).collect()


def forget(folder: Path, place: int) -> None:
    """Strike a dead worker's gauges off; what it counted stays."""
    mark_process_dead(place, str(folder))  # type: ignore[no-untyped-call]
    _file_of(folder, place).unlink(missing_ok=True)


def leave(folder: Path, place: int) -> None:
    """Remove what a worker kept, for which no arbiter cares any more; the last one removes the folder."""
    for file in (*folder.glob(f"*_{place}.db"), _file_of(folder, place)):
        file.unlink(missing_ok=True)
    if not any(folder.glob("*.pid")):
        # With what is kept of places that nobody has any more.
        shutil.rmtree(folder, ignore_errors=True)


def _file_of(folder: Path, place: int) -> Path:
    return folder / f"{place}.pid"
