"""One access line and one observation for each answered request."""

import structlog

from app.telemetry.metrics import Metrics


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
        status: int,
        seconds: float,
        client: str,
        quiet: bool = False,
    ) -> None:
        """Count and log one request; a quiet one (a probe) is logged at debug level."""
        self._metrics.observe_request(method, route, status, seconds)
        write = self._log.debug if quiet else self._log.info
        write(
            "request",
            request_id=request_id,
            method=method,
            route=route,
            status=status,
            duration_ms=round(seconds * 1000, 2),
            client=client,
        )
