"""`python -m app` with another number of WORKERS than one."""

import sys
from collections.abc import Callable, Coroutine
from typing import Any

from app.server import main
from app.settings import Settings, SettingsError
from app.telemetry.logs import configure_logs
from app.workers.cores import usable_cores
from app.workers.lines import whole_lines


def serve_in_workers(settings: Settings, in_loop: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """Serve with so many processes as WORKERS says; `in_loop` runs each one's event loop.

    Raises SettingsError where Gunicorn is missing, and app.http.server.CannotListen.
    """
    count = settings.workers or usable_cores()
    if count == 1:
        in_loop(main(settings))
        return
    try:
        from app.workers.arbiter import run  # noqa: PLC0415 - who runs one process need not have it
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] != "gunicorn":
            raise
        raise SettingsError(
            f"WORKERS is {settings.workers}, which needs Gunicorn, and that is not installed; "
            "install it with `pip install --require-hashes -r requirements-workers.txt`, or set WORKERS to 1"
        ) from None
    sys.stdout = whole_lines(sys.stdout)
    configure_logs(settings)
    run(settings, count, in_loop)
