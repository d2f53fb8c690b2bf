"""The route table, the middleware order and the lifecycle."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import structlog
from tornado.netutil import bind_sockets
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
from app.request_policy import RequestPolicy, make_policy
from app.settings import Settings
from app.telemetry.logs import log_loop_trouble
from app.telemetry.metrics import Metrics
from app.telemetry.requests import RequestTelemetry
from app.transport import Transport

HERE = Path(__file__).resolve().parent
BACKLOG = 1024
LAST_REQUEST_SECONDS = 0.1
"""After the end of listening, for what was sent before to arrive: some round trips in a cluster."""

QUIET_SECONDS = 1.0
"""Without a visitor for so long, the pod's endpoint is taken for withdrawn."""

MakeFeature: TypeAlias = Callable[[Settings, Metrics], Feature]

log = structlog.get_logger(__name__)


class CannotListen(Exception):
    """The address cannot be bound; the message names it and what to do."""


def make_app(
    policy: RequestPolicy, feature: Feature, health: Health, telemetry: RequestTelemetry
) -> Application:
    """Build the public application.

    A request passes, in this order: Transport (framing, size, pace), BaseHandler.prepare (deadline, Host,
    in-flight limit), its handler, and record (metrics, access log).
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
    """Serve until SIGTERM or SIGINT. Raises CannotListen.

    `make_feature` makes what the service is for. All else here is the same for any other.
    """
    asyncio.get_running_loop().set_exception_handler(log_loop_trouble)
    policy = make_policy(settings)
    metrics = Metrics(settings)
    telemetry = RequestTelemetry(metrics)
    feature = make_feature(settings, metrics)
    health = Health(feature.needs, feature.check)
    metrics.watch(in_flight=lambda: len(policy.in_flight), is_ready=lambda: health.is_ready)
    transport = Transport(make_app(policy, feature, health, telemetry), policy, telemetry)
    # Another policy than the visitors': a scrape takes none of their places, and no drain waits for it.
    admin_policy = make_policy(settings)
    admin = Transport(make_admin_app(admin_policy, metrics, telemetry), admin_policy, telemetry)

    stop = _stop_signal()
    addresses = {"url": _listen(transport, settings.host, settings.port, "PORT")}
    if settings.admin_port:
        addresses["admin_url"] = _listen(admin, settings.admin_address, settings.admin_port, "ADMIN_PORT")
    log.info("listening", environment=settings.environment, version=settings.version, **addresses)

    starting = asyncio.create_task(_start(health))
    await stop.wait()
    starting.cancel()
    await drain(settings, health, transport, policy, feature.settle)

    admin.stop()
    await admin.close_all_connections()
    await feature.aclose()
    log.info("stopped")


async def _start(health: Health) -> None:
    await health.become_ready()
    log.info("ready")


async def drain(
    settings: Settings,
    health: Health,
    transport: Transport,
    policy: RequestPolicy,
    settle: Sequence[Callable[[], Awaitable[None]]],
) -> None:
    """Let no visitor notice: not ready, endpoints withdrawn, no new ones, the last answer flushed, closed.

    `settle` ends what requests may have left unfinished.
    """
    health.drain()
    # Busy keep-alive connections close with their next answer, while a new one still finds the listener.
    transport.end_keep_alive()
    log.info("draining", in_flight=len(policy.in_flight), delay_seconds=settings.drain_delay)
    await asyncio.sleep(settings.drain_delay)
    ends = asyncio.get_running_loop().time() + settings.drain_timeout
    if settings.drain_delay:
        # Whoever comes last still has REQUEST_TIMEOUT.
        await _until_nobody_comes(policy, ends - settings.request_timeout)
    transport.stop()
    try:
        async with asyncio.timeout_at(ends):
            while True:
                # Who connected last, or was idle, may have a request on its way.
                await asyncio.sleep(LAST_REQUEST_SECONDS)
                await policy.in_flight.wait_until_none()
                for settled in settle:
                    await settled()
                # Whoever came while that settled is served like the others.
                if transport.close_when_quiet():
                    break
    except TimeoutError:
        log.warning(
            "drain timed out",
            in_flight=len(policy.in_flight),
            arriving=transport.arriving(),
            seconds=settings.drain_timeout,
        )
    await transport.close_all_connections()


async def _until_nobody_comes(policy: RequestPolicy, latest: float) -> None:
    """Return once the entrance sends nobody any more, which a busy cluster may take longer for than expected.

    It would send them to an address where nobody answers, not even with a refusal.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(latest):
            while (rest := QUIET_SECONDS - policy.admission.seconds_since_last()) > 0:  # noqa: ASYNC110 - no event tells that nobody comes
                await asyncio.sleep(rest)


def _stop_signal() -> asyncio.Event:
    """Return an event that the first SIGTERM or SIGINT sets; the second ends the process at once."""
    stop = asyncio.Event()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            log.warning("ended by a second signal", signal=number.name)
            # Not by the signal's default action: the kernel withholds that from a container's first process.
            os._exit(128 + number)
        log.info("stopping", signal=number.name)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stop


def _listen(transport: Transport, host: str, port: int, setting: str) -> str:
    """Bind and accept; return the URL, with the port that was bound."""
    try:
        sockets = bind_sockets(port, host, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        # A UnicodeError: no name of a host can be such a text.
        reason = error.strerror if isinstance(error, OSError) else None
        raise CannotListen(
            f"cannot listen on {host}:{port}: {reason or error}; "
            f"stop what listens there, or set {setting} to another port"
        ) from None
    transport.add_sockets(sockets)
    return f"http://{_in_url(host)}:{_port_of(sockets[0])}"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _port_of(bound: socket.socket) -> int:
    port: int = bound.getsockname()[1]
    return port
