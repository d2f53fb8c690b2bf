"""How often deploy.sh's test of a version is wrong: python -m bench.good_answers [times].

The test as the candidate gets it (deploy/answers.sh), so many times on a good process and as often on one
where 5 % of the visits end in an error, while every core is busy with something else.
"""

import argparse
import multiprocessing
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from dev.valkey import LOOPBACK, Valkey
from tests.service import ROOT, Service

TIMES = 300
ERROR_RATE = 0.05
DIGEST = f"sha256:{'a' * 64}"
SOURCED = ["output", "processes", "arguments", "cluster", "outcome", "good_answers", "answers"]


class Verdict(NamedTuple):
    """Of one test: how it ended, 0 for good answers, in how many seconds, and what it said."""

    status: int
    seconds: float
    said: str


def ask(service: Service) -> Verdict:
    """Test it once."""
    sources = "\n".join(f'. "{ROOT}/deploy/{name}.sh"' for name in SOURCED)
    asking = f'ask_answers alone {DIGEST} "http://{service.address}" || status=$?'
    ending = 'rm -rf "$work"\necho "$answer_fault"\nexit "$status"'
    script = f"root='{ROOT}'\n{sources}\nwork=$(mktemp -d) status=0 shown_environment=DEV\n{asking}\n{ending}"
    began = time.monotonic()
    done = subprocess.run(
        ["bash", "-Eeuo", "pipefail", "-c", script], capture_output=True, text=True, check=False
    )
    return Verdict(done.returncode, time.monotonic() - began, done.stdout.strip() or done.stderr.strip())


def keep_busy() -> None:
    """Use a core up."""
    while True:
        pass


@contextmanager
def busy_cores() -> Iterator[None]:
    """Something else to do for every core, meanwhile."""
    burners = [multiprocessing.Process(target=keep_busy, daemon=True) for _ in range(os.cpu_count() or 1)]
    for burner in burners:
        burner.start()
    try:
        yield
    finally:
        for burner in burners:
            burner.terminate()


@contextmanager
def serving(module: str, **settings: object) -> Iterator[Service]:
    """A process of the service with a Valkey of its own."""
    with tempfile.TemporaryDirectory() as folder:
        valkey = Valkey(Path(folder))
        valkey.start()
        redis = {"REDIS_HOST": LOOPBACK, "REDIS_PORT": valkey.port, "IMAGE_DIGEST": DIGEST}
        service = Service(module, redis | settings)
        try:
            yield service.wait_until_ready()
        finally:
            service.close()
            valkey.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("times", nargs="?", type=int, default=TIMES)
    times = parser.parse_args().times
    for name, module, settings in [
        ("good", "app", {}),
        (f"{ERROR_RATE:.0%} of errors", "bench.failing_service", {"ERROR_RATE": ERROR_RATE}),
    ]:
        with serving(module, **settings) as service, busy_cores():
            verdicts = [ask(service) for _ in range(times)]
        refused = [verdict for verdict in verdicts if verdict.status != 0]
        seconds = sorted(verdict.seconds for verdict in verdicts)
        print(
            f"{name}: {len(refused)} of {times} refused; seconds: least {seconds[0]:.1f}, "
            f"median {statistics.median(seconds):.1f}, most {seconds[-1]:.1f}; {os.cpu_count()} cores busy"
        )
        for said in {verdict.said for verdict in refused[:3]}:
            print(f"  {said}")


if __name__ == "__main__":
    main()
