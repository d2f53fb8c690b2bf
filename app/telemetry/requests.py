"""One access line and one observation for each answered request."""

import logging
import time
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted

import structlog

from app.telemetry.logs import json_lines
from app.telemetry.metrics import METHODS, Metrics

LONGEST_METHOD = 20
LONGEST_PATH = 200
LONGEST_USER_AGENT = 200
"""Characters that the access line shows; what is cut off ends in an ellipsis."""


class RequestTelemetry:
    """What the transport and the application report to when a response is decided.

    Made after `configure_logs`, which decides how access lines leave.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._log = structlog.get_logger("access")
        self._logger = logging.getLogger("access")
        self._lines = json_lines()

    def record(
        self,
        *,
        request_id: str,
        method: str,
        route: str,
        target: str,
        status: int,
        seconds: float,
        client: str,
        user_agent: str,
        quiet: bool = False,
        more: str = "",
    ) -> None:
        """Count and log one request; a quiet one (a probe) is logged at debug level.

        `more` are further fields of the line, as they stand in JSON; structlog has them in its context.
        """
        # The clock may have been set back meanwhile; a sum that falls would be taken for a restart's.
        seconds = max(seconds, 0.0)
        self._metrics.observe_request(method, route, status, seconds)
        level, level_name = (logging.DEBUG, "debug") if quiet else (logging.INFO, "info")
        if not self._logger.isEnabledFor(level):
            return
        if method not in METHODS:
            method = shown(method, LONGEST_METHOD)
        # Most routes are plain paths, of which nothing has to be hidden.
        path = route if target == route else shown(path_in(target), LONGEST_PATH)
        # Hundredths of a millisecond; `round` takes four times as long.
        duration_ms = int(seconds * 1e5 + 0.5) / 100
        user_agent = shown(user_agent, LONGEST_USER_AGENT)
        if self._lines is not None:
            line = access_line(
                level_name,
                request_id,
                method,
                route,
                path,
                status,
                duration_ms,
                client,
                user_agent,
                self._lines.more + more,
            )
            self._lines.write_soon(line)
            return
        self._log.log(
            level,
            "request",
            request_id=request_id,
            method=method,
            route=route,
            path=path,
            status=status,
            duration_ms=duration_ms,
            client=client,
            user_agent=user_agent,
        )


def access_line(
    level: str,
    request_id: str,
    method: str,
    route: str,
    path: str,
    status: int,
    duration_ms: float,
    client: str,
    user_agent: str,
    more: str = "",
) -> str:
    """Return the line that structlog would render, to the byte, in a fraction of the time.

    Its fields are these and `more`, see Lines and `record`: what a handler binds to structlog's context is in
    its other lines only.
    """
    now = time.time()
    second = int(now)
    return (
        f'{{"request_id": {quoted(request_id)}, "method": {quoted(method)}, "route": {quoted(route)}, '
        f'"path": {quoted(path)}, "status": {status}, "duration_ms": {duration_ms}, '
        f'"client": {quoted(client)}, "user_agent": {quoted(user_agent)}, '
        f'"event": "request", "level": "{level}", "logger": "access", "timestamp": "{_shown_second(second)}.'
        f'{int((now - second) * 1e6):06d}Z"{more}}}\n'
    )


@lru_cache(maxsize=1)
def _shown_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def path_in(target: str) -> str:
    """Return a request's target without what may be secret: the query, and the password of a whole URL, which
    only a proxy should be sent."""
    path, _, query = target.partition("?")
    if path.startswith("/"):
        return path
    # Where an @ comes after the question mark, the first part may be the beginning of a password.
    return path.rpartition("@")[2] if "@" in path or "@" not in query else ""


def shown(text: str, longest: int) -> str:
    """Return text of a client's as a log may show it: bounded, and with escapes for all but plain ASCII, so
    that it can neither fill a log nor steer the terminal of whoever reads it."""
    if text.isascii() and text.isprintable():
        return text if len(text) <= longest else f"{text[:longest]}…"
    escaped = text[:longest].encode("unicode_escape").decode()
    is_whole = len(text) <= longest and len(escaped) <= longest
    return escaped if is_whole else f"{escaped[:longest]}…"
