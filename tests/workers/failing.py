"""The service, whose workers end before they serve: by an exception, or as END_BY says by SIGKILL."""

import os
import signal
import sys

from app.__main__ import start
from app.workers import worker


async def fail(*_: object, **__: object) -> None:
    if os.environ.get("END_BY") == "SIGKILL":
        os.kill(os.getpid(), signal.SIGKILL)
    raise RuntimeError("swordfish")


if __name__ == "__main__":
    vars(worker)["main"] = fail
    sys.exit(start())
