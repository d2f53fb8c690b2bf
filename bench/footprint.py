"""Start to ready and resident memory of one process, against a live Valkey: python -m bench.footprint."""

import statistics
import tempfile
import time
from pathlib import Path

from dev.valkey import LOOPBACK, Valkey
from tests.service import Service

ROUNDS = 9


def resident_megabytes(process: int) -> float:
    """VmRSS of a process (Linux), in units of 10⁶ bytes."""
    status = Path(f"/proc/{process}/status").read_text()
    kilobytes = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))
    return kilobytes * 1024 / 1e6


def start(valkey: Valkey) -> tuple[Service, float]:
    """Start a process; return it with the seconds until it was ready."""
    began = time.monotonic()
    service = Service(settings={"REDIS_HOST": LOOPBACK, "REDIS_PORT": valkey.port}).wait_until_ready()
    return service, time.monotonic() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        valkey = Valkey(Path(folder))
        valkey.start()
        seconds, idle, visited = [], [], []
        for _ in range(ROUNDS):
            service, until_ready = start(valkey)
            seconds.append(until_ready)
            idle.append(resident_megabytes(service.process.pid))
            for _ in range(100):
                service.count()
            visited.append(resident_megabytes(service.process.pid))
            service.close()
        valkey.stop()
    for name, values, unit in [
        ("start to ready", seconds, "s"),
        ("resident when ready", idle, "MB"),
        ("resident after 100 visits", visited, "MB"),
    ]:
        print(
            f"{name:28} median {statistics.median(values):6.2f} {unit}, "
            f"{min(values):.2f} to {max(values):.2f} in {ROUNDS} starts"
        )


if __name__ == "__main__":
    main()
