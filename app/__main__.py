"""`python -m app`: exit code 0 after a drain, 1 when it cannot listen, 2 for a bad setting.

A second signal during the drain ends it with 128 and the signal's number, see app/server.py.
"""

import asyncio
import gc
import os
import sys
from collections.abc import Coroutine
from typing import Any

try:
    import uvloop
except ImportError:
    # Not built for every system; asyncio's own loop does the same, slower.
    uvloop = None  # type: ignore[assignment]

from app.http.server import CannotListen
from app.server import main
from app.settings import Settings, SettingsError, load_settings
from app.telemetry.logs import configure_logs
from app.telemetry.tracing import wanted_sampling

EXIT_CANNOT_LISTEN = 1
EXIT_BAD_SETTING = 2


def run(settings: Settings) -> int:
    """Serve with these settings; return the exit code."""
    configure_logs(settings)
    try:
        # Before any worker starts.
        wanted_sampling(os.environ)
        if settings.workers == 1:
            in_loop(main(settings))
        else:
            from app.workers.start import serve_in_workers  # noqa: PLC0415 - one process pays nothing for it

            serve_in_workers(settings, in_loop)
    except CannotListen as error:
        return complain(error, EXIT_CANNOT_LISTEN)
    except SettingsError as error:
        return complain(error, EXIT_BAD_SETTING)
    return 0


def in_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run it to its end, in an event loop made for it."""
    # All that was imported stays until the end. A full collection that looks through it keeps everybody
    # waiting for 15 to 20 ms, which one visitor in a hundred met.
    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if uvloop else None) as runner:
        runner.run(work)


def complain(error: Exception, code: int) -> int:
    """Say in one line why the service does not run."""
    sys.stderr.write(f"visits: {error}\n")
    return code


def start() -> int:
    """Read the settings and serve."""
    try:
        settings = load_settings()
    except SettingsError as error:
        return complain(error, EXIT_BAD_SETTING)
    return run(settings)


if __name__ == "__main__":
    sys.exit(start())
