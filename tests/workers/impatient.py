"""The service, whose arbiter takes a worker for hung after 2 s; GET /version hangs it."""

import sys
import time

from app.__main__ import start
from app.handlers.version import VersionHandler
from app.workers import arbiter


def hang(_: VersionHandler) -> None:
    time.sleep(600)


if __name__ == "__main__":
    arbiter.HUNG_SECONDS = 2
    VersionHandler.get = hang  # type: ignore[assignment,method-assign]
    sys.exit(start())
