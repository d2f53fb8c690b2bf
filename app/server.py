"""The route table, the middleware order and the lifecycle."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import structlog
from tornado.web import Application, RequestHandler

from app.counting import counting
from app.feature import Feature
from app.handlers.base import BaseHandler
from app.handlers.metrics import metrics_routes
from app.handlers.not_found import NotFoundHandler
from app.handlers.probes import probe_routes
from app.handlers.routes import Route
from app.handlers.static import StaticHandler
from app.handlers.version import version_routes
from app.health import NOT_READY, Health
from app.http.dispatch import ExactApplication
from app.http.drain import drain
from app.http.metrics import HttpMetrics
from app.http.open_files import ADMIN_CONNECTIONS, claim_connections
from app.http.policy import RequestPolicy, make_policy
from app.http.server import bind, make_server, url_of
from app.settings import Settings
from app.telemetry.logs import log_loop_trouble
from app.telemetry.loop_lag import LoopLag
from app.telemetry.metrics import Metrics
from app.telemetry.requests import RequestTelemetry
from app.telemetry.tracing import start_tracing

if TYPE_CHECKING:
    from app.telemetry.spans import Tracing

HERE = Path(__file__).resolve().parent
START_SECONDS = 1.0
"""For which a worker waits to be ready before it takes visitors."""
MakeFeature: TypeAlias = Callable[[Settings, Metrics, "Tracing | None"], Feature]

log = structlog.get_logger(__name__)


class Stop(asyncio.Event):
    """Set when the process is to end."""

    others_stay = False
    """Whether visitors find other workers, so that nobody has to wait until they are sent elsewhere."""


class Surroundings(NamedTuple):
    """What a process makes for itself, and one of several workers is handed (app/workers)."""

    listeners: Sequence[socket.socket]
    admin_listeners: Sequence[socket.socket]
    """None where ADMIN_PORT is 0."""
    metrics: Metrics
    stop: Stop
    on_listening: Callable[[], None]


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
    def record(handler: RequestHandler, more: str = "") -> None:
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
            more=more,
        )

    def record_traced(handler: RequestHandler) -> None:
        assert isinstance(handler, BaseHandler)  # noqa: S101 - every handler here is one
        if handler.span is None:
            record(handler)
        else:
            record(handler, handler.span.fields)
            handler.span.end(handler.get_status())

    return ExactApplication(
        routes,
        policy=policy,
        log_function=record if policy.tracing is None else record_traced,
        template_path=str(HERE / "templates"),
        # The admin listener's, too: its error pages have the same style.
        static_path=str(HERE / "static"),
        static_handler_class=StaticHandler,
        default_handler_class=NotFoundHandler,
    )


async def main(
    settings: Settings, make_feature: MakeFeature = counting, surroundings: Surroundings | None = None
) -> None:
    """Serve until SIGTERM or SIGINT, or within `surroundings`. Raises app.http.server.CannotListen,
    and SettingsError for what OTEL_* variables say.

    `make_feature` makes what the service is for. All else here is the same for any other.
    """
    asyncio.get_running_loop().set_exception_handler(log_loop_trouble)
    is_alone = surroundings is None
    listeners, admin_listeners, metrics, stop, on_listening = surroundings or _alone(settings)
    tracing = start_tracing(settings, os.environ)
    told = HttpMetrics(metrics)
    room = claim_connections(settings.max_connections)
    policy = make_policy(settings, told.count_refusal, told.count_timeout, tracing, most_connections=room)
    telemetry = RequestTelemetry(metrics)
    feature = make_feature(settings, metrics, tracing)
    health = Health(feature.needs, feature.check)
    server = make_server(make_app(policy, feature, health, telemetry), policy, telemetry, told.count_drop)
    # Another policy than the visitors': a scrape takes none of their places, and no drain waits for it.
    admin_policy = make_policy(
        settings, told.count_refusal, told.count_timeout, most_connections=ADMIN_CONNECTIONS
    )
    admin_app = make_admin_app(admin_policy, metrics, telemetry)
    admin = make_server(admin_app, admin_policy, telemetry, told.count_drop)
    told.watch(policy, server.connections)
    metrics.watch_health(health.found, {*NOT_READY, *feature.reasons})
    expect_requests(metrics, feature)
    lag = LoopLag(metrics.observe_lag)
    lag.start()

    if not is_alone:
        # Where others serve, nobody need meet one that only starts.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                await health.become_ready()
    server.add_sockets(listeners, are_shared=not is_alone)
    admin.add_sockets(admin_listeners, are_shared=not is_alone)
    addresses = {"url": url_of(settings.host, listeners[0])}
    if admin_listeners:
        addresses["admin_url"] = url_of(settings.admin_address, admin_listeners[0])
    log.info("listening", environment=settings.environment, version=settings.version, **addresses)
    on_listening()

    starting = asyncio.create_task(_start(health, is_alone=is_alone))
    await stop.wait()
    starting.cancel()
    if stop.others_stay:
        for one in (server, admin):
            one.stop_listening()
    else:
        health.drain()
    await drain(server, feature.settle, 0.0 if stop.others_stay else settings.drain_delay)

    await admin.aclose()
    await feature.aclose()
    lag.stop()
    if tracing is not None:
        await tracing.aclose()
    log.info("stopped")


def expect_requests(metrics: Metrics, feature: Feature) -> None:
    """Show what visitors may ask for from the first scrape."""
    for handler in (route.handler_class for route in feature.routes):
        if issubclass(handler, BaseHandler):
            metrics.expect_requests(handler.route, handler.allowed_methods())


async def _start(health: Health, *, is_alone: bool) -> None:
    await health.become_ready()
    log.info("ready")
    if not is_alone:
        await health.keep_asking()


def _alone(settings: Settings) -> Surroundings:
    stop = _stop_signal()
    listeners, admin_listeners = listen(settings)
    return Surroundings(listeners, admin_listeners, Metrics(settings), stop, lambda: None)


def listen(settings: Settings) -> tuple[list[socket.socket], list[socket.socket]]:
    """Return sockets that listen for visitors, and those of the admin listener. Raises CannotListen."""
    listeners = bind(settings.host, settings.port, "PORT")
    if not settings.admin_port:
        return listeners, []
    return listeners, bind(settings.admin_address, settings.admin_port, "ADMIN_PORT")


def _stop_signal() -> Stop:
    """Return what the first SIGTERM or SIGINT sets; the second ends the process at once."""
    stop = Stop()

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
