"""The service, whose workers end before they serve where ENVIRONMENT is SPOILED; all but one, where HALF."""

import asyncio
import os
import sys
from pathlib import Path

from app.__main__ import start
from app.server import Surroundings, main
from app.settings import Settings
from app.workers import worker


async def fail_if_spoiled(settings: Settings, surroundings: Surroundings) -> None:
    if settings.environment == "SPOILED":
        # So that a test sees them start.
        await asyncio.sleep(1)
        raise RuntimeError("swordfish")
    if settings.environment == "HALF":
        # Raises where another one was faster.
        (Path(os.environ["SECRETS_DIR"]) / "half").touch(exist_ok=False)
    await main(settings, surroundings=surroundings)


if __name__ == "__main__":
    vars(worker)["main"] = fail_if_spoiled
    sys.exit(start())
