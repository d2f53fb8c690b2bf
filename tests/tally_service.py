"""The service with something else in the counter's place, as a team would put it there: a tally in a file."""

import asyncio
import os
import sys
from pathlib import Path

from prometheus_client import Counter

from app.feature import Feature
from app.handlers.base import ApiHandler
from app.handlers.routes import route
from app.server import main
from app.settings import Settings, load_settings
from app.telemetry.logs import configure_logs
from app.telemetry.metrics import Metrics
from app.unavailable import Unavailable

GONE = "folder is gone"


class TallyUnavailable(Unavailable):
    """There is no folder to keep it in."""

    what = "tally"


class Tally:
    """Kept in memory, and written when the service ends."""

    def __init__(self, folder: Path, made: Counter) -> None:
        self._folder = folder
        self._made = made
        self._next = asyncio.Event()
        self._strokes = 0

    async def check(self) -> None:
        if not self._folder.is_dir():
            raise TallyUnavailable(GONE)

    async def stroke(self) -> int:
        await self.check()
        self._strokes += 1
        self._made.inc()
        self._next.set()
        return self._strokes

    async def next_stroke(self) -> int:
        """Return once there is another one."""
        self._next.clear()
        await self._next.wait()
        return self._strokes

    async def settle(self) -> None:
        (self._folder / "tally").write_text(str(self._strokes))

    async def aclose(self) -> None:
        (self._folder / "closed").touch()


class TallyHandler(ApiHandler):
    """One stroke a request."""

    route = "/tally"

    def initialize(self, tally: Tally) -> None:
        self.tally = tally

    async def get(self) -> None:
        self.write_json({"strokes": await self.tally.next_stroke()})

    async def post(self) -> None:
        self.write_json({"strokes": await self.tally.stroke()})


def tallying(_settings: Settings, metrics: Metrics, _tracing: object) -> Feature:
    made = Counter("tally_strokes", "Strokes that were made", registry=metrics.registry)
    tally = Tally(Path(os.environ["TALLY_FOLDER"]), made)
    return Feature(
        routes=[route(TallyHandler, tally=tally)],
        needs="disk",
        check=tally.check,
        reasons=[GONE],
        settle=[tally.settle],
        aclose=tally.aclose,
    )


if __name__ == "__main__":
    read = load_settings()
    configure_logs(read)
    sys.exit(asyncio.run(main(read, tallying)))
