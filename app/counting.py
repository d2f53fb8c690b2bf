"""What this service is for: it counts visits in Redis."""

import contextlib
from typing import TYPE_CHECKING

from app.counter.check import CounterCheck
from app.counter.counter import Counter
from app.counter.metrics import CounterMetrics
from app.feature import Feature
from app.handlers.counter_api import counter_routes
from app.handlers.page import page_routes
from app.redis.client import make_redis
from app.redis.failures import FAILURES, REDIS_TROUBLE
from app.settings import Settings
from app.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from app.telemetry.spans import Tracing


def counting(settings: Settings, metrics: Metrics, tracing: "Tracing | None" = None) -> Feature:
    """Put the counter together, with its routes, its check and its end."""
    told = CounterMetrics(metrics.registry)
    # A client for each that may be asked at the same time. The probe's: visitors who wait for theirs must not
    # make the pod unready.
    redis, reading_redis, probe_redis = clients = [
        make_redis(settings, told.count_reconnect) for _ in range(3)
    ]
    batches = tracing.batches("EVALSHA", "count_batch") if tracing is not None else None

    def note_failure(reason: str) -> None:
        told.count_failure(reason)
        if batches is not None:
            batches.failed(reason)

    counter = Counter(
        redis,
        reading_redis,
        settings.counter_key,
        settings.redis_timeout,
        settings.request_timeout,
        note_failure,
        told,
        batches,
    )
    check = CounterCheck(
        probe_redis, settings.counter_key, settings.redis_timeout, told.count_failure, told.timed
    )

    async def aclose() -> None:
        await counter.aclose()
        for client in clients:
            # With TLS a server that hangs lets nobody close in order.
            with contextlib.suppress(*REDIS_TROUBLE):
                await client.aclose()

    return Feature(
        routes=(*page_routes(counter), *counter_routes(counter)),
        needs="redis",
        check=check.ask,
        reasons=FAILURES,
        settle=(counter.settle,),
        aclose=aclose,
    )
