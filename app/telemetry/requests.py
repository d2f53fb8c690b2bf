"""One access line and one observation for each answered request."""

import structlog

from app.telemetry.metrics import Metrics

LONGEST_METHOD = 20
LONGEST_PATH = 200
LONGEST_USER_AGENT = 200
"""Characters that the access line shows; what is cut off ends in an ellipsis."""


class RequestTelemetry:
    """What the transport and the application report to when a response is decided."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._log = structlog.get_logger("access")

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
    ) -> None:
        """Count and log one request; a quiet one (a probe) is logged at debug level."""
        self._metrics.observe_request(method, route, status, seconds)
        write = self._log.debug if quiet else self._log.info
        write(
            "request",
            request_id=request_id,
            method=shown(method, LONGEST_METHOD),
            route=route,
            path=shown(path_in(target), LONGEST_PATH),
            status=status,
            duration_ms=round(seconds * 1000, 2),
            client=client,
            user_agent=shown(user_agent, LONGEST_USER_AGENT),
        )


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
    if not (text.isascii() and text.isprintable()):
        text = text[:longest].encode("unicode_escape").decode()
    return text if len(text) <= longest else f"{text[:longest]}…"
