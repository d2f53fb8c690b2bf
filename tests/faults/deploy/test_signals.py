"""Ctrl-C at every step, TERM at some: it ends in seconds, frees the lock, and the next deploy succeeds."""

import re
import signal
import time

import pytest

from tests.faults.deploy.conftest import fault
from tests.faults.deploy.deployment import Deployment

STEPS = [
    "preflight",
    "plan",
    "namespace",
    "lock",
    "build",
    "push",
    "secrets",
    "candidate",
    "Redis",
    "release",
    "watch",
    "smoke",
]
TERMINATED = ["build", "candidate", "release", "watch"]
CHANGES_NOTHING = STEPS[: STEPS.index("release")]
ENDS_WITHIN = 8
ARRIVES_IN = {"namespace": "namespace|lock"}
"""A step that is over before a signal can arrive: the namespace is ours already."""


@pytest.mark.parametrize(
    ("number", "steps"), [(signal.SIGINT, STEPS), (signal.SIGTERM, TERMINATED)], ids=["SIGINT", "SIGTERM"]
)
def test_interrupted(installed: Deployment, number: signal.Signals, steps: list[str]) -> None:
    status = 130 if number == signal.SIGINT else 143
    for position, step in enumerate(steps):
        name = f"{number.name} in the step {step}"
        unchanged = step in CHANGES_NOTHING
        options = [] if step == "candidate" else ["--no-candidate"]
        with fault(
            name,
            installed,
            status,
            "interrupted in the step «",
            serves_before=unchanged,
            changes_nothing=unchanged,
        ) as line:
            run = installed.start(f"5.{number}.{position}", *options)
            line.run = run
            run.await_step(step)
            sent = time.monotonic()
            run.interrupt(number)
            run.wait(seconds=60)
            assert run.ended - sent < ENDS_WITHIN, f"took {run.ended - sent:.0f} s to end"
        assert re.search(f"in the step «({ARRIVES_IN.get(step, step)})»", run.output), run.output
        # The release step may be interrupted before Helm has begun.
        advice = {"release": "not changed|may be rolling out"}.get(
            step, "not changed" if unchanged else "may be rolling out"
        )
        assert re.search(advice, run.output), run.output
    with fault(f"the deploy after {number.name} at every step", installed, 0) as line:
        line.run = installed.run(f"5.{number}.{len(steps)}")
