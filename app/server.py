"""The route table, the middleware order and the lifecycle."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import structlog
from tornado.web import Application, RequestHandler

from app.counting import counting
from app.feature import Feature
from app.handlers.base import BaseHandler
from app.handlers.errors import NotFoundHandler
from app.handlers.metrics import metrics_routes
from app.handlers.probes import probe_routes
from app.handlers.routes import Route
from app.handlers.static import StaticHandler
from app.handlers.version import version_routes
from app.health import Health
from app.http.drain import drain
from app.http.policy import RequestPolicy, make_policy
from app.http.server import make_server
from app.settings import Settings
from app.telemetry.logs import log_loop_trouble
from app.telemetry.metrics import Metrics
from app.telemetry.requests import RequestTelemetry

HERE = Path(__file__).resolve().parent
MakeFeature: TypeAlias = Callable[[Settings, Metrics], Feature]

log = structlog.get_logger(__name__)


def make_app(
    policy: RequestPolicy, feature: Feature, health: Health, telemetry: RequestTelemetry
) -> Application:
    """Build the public application.

    A request passes, in this order: Gate (framing, size, pace), BaseHandler.prepare (a place,
    deadline, request ID, Host), its handler, and record (metrics, access log).
    """
    return _application(
        [
            *feature.routes,
            *probe_routes(health),
            *version_routes(),
        ],
        policy,
        telemetry,
    )


def make_admin_app(policy: RequestPolicy, metrics: Metrics, telemetry: RequestTelemetry) -> Application:
    """Build the application of the admin listener."""
    return _application(metrics_routes(metrics), policy, telemetry)


def _application(
    routes: list[Route],
    policy: RequestPolicy,
    telemetry: RequestTelemetry,
) -> Application:
    def record(handler: RequestHandler) -> None:
        assert isinstance(handler, BaseHandler)  # noqa: S101 - every handler here is one
        telemetry.record(
            request_id=handler.request_id,
            method=str(handler.request.method),
            route=handler.route,
            target=str(handler.request.uri),
            status=handler.get_status(),
            seconds=handler.request.request_time(),
            client=handler.client_address,
            user_agent=handler.request.headers.get("User-Agent", ""),
            quiet=handler.is_probe,
        )

    return Application(
        routes,
        policy=policy,
        log_function=record,
        template_path=str(HERE / "templates"),
        # The admin listener's, too: its error pages have the same style.
        static_path=str(HERE / "static"),
        static_handler_class=StaticHandler,
        default_handler_class=NotFoundHandler,
    )


async def main(settings: Settings, make_feature: MakeFeature = counting) -> None:
    """Serve until SIGTERM or SIGINT. Raises app.http.server.CannotListen.

    `make_feature` makes what the service is for. All else here is the same for any other.
    """
    asyncio.get_running_loop().set_exception_handler(log_loop_trouble)
    policy = make_policy(settings)
    metrics = Metrics(settings)
    telemetry = RequestTelemetry(metrics)
    feature = make_feature(settings, metrics)
    health = Health(feature.needs, feature.check)
    server = make_server(make_app(policy, feature, health, telemetry), policy, telemetry, metrics.count_drop)
    # Another policy than the visitors': a scrape takes none of their places, and no drain waits for it.
    admin_policy = make_policy(settings)
    admin_app = make_admin_app(admin_policy, metrics, telemetry)
    admin = make_server(admin_app, admin_policy, telemetry, metrics.count_drop)
    metrics.watch(
        in_flight=lambda: len(policy.in_flight),
        resting=policy.admission.resting,
        is_ready=lambda: health.is_ready,
    )

    stop = _stop_signal()
    addresses = {"url": server.listen(settings.host, settings.port, "PORT")}
    if settings.admin_port:
        addresses["admin_url"] = admin.listen(settings.admin_address, settings.admin_port, "ADMIN_PORT")
    log.info("listening", environment=settings.environment, version=settings.version, **addresses)

    starting = asyncio.create_task(_start(health))
    await stop.wait()
    starting.cancel()
    health.drain()
    await drain(server, feature.settle)

    await admin.aclose()
    await feature.aclose()
    log.info("stopped")


async def _start(health: Health) -> None:
    await health.become_ready()
    log.info("ready")


def _stop_signal() -> asyncio.Event:
    """Return an event that the first SIGTERM or SIGINT sets; the second ends the process at once."""
    stop = asyncio.Event()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            # Takes along the access lines that wait; nothing else would.
            log.warning("ended by a second signal", signal=number.name)
            # Not by the signal's default action: the kernel withholds that from a container's first process.
            os._exit(128 + number)
        log.info("stopping", signal=number.name)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stop
