"""The service with a 500 for some of its visits: ERROR_RATE=0.05 python -m bench.failing_service."""

import os
import random
import sys

from app.__main__ import start
from app.counter.counter import Counter


class BrokenOnPurpose(Exception):
    """What the failing visits raise."""


def fail_some(rate: float) -> None:
    """Let so many of all visits end in an error from now on."""
    increment = Counter.increment

    async def unreliable(self: Counter) -> int:
        if random.random() < rate:  # noqa: S311 - chance, not a secret
            raise BrokenOnPurpose
        return await increment(self)

    Counter.increment = unreliable  # type: ignore[method-assign]


if __name__ == "__main__":
    fail_some(float(os.environ["ERROR_RATE"]))
    sys.exit(start())
