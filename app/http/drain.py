"""The end of a listener that no visitor notices."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

import structlog

from app.http.policy import RequestPolicy
from app.http.server import Server

LAST_REQUEST_SECONDS = 0.1
"""After the end of listening, for what was sent before to arrive: some round trips in a cluster."""
QUIET_SECONDS = 1.0
"""Without a visitor for so long, the pod's endpoint is taken for withdrawn."""

log = structlog.get_logger(__name__)


async def drain(
    server: Server, settle: Sequence[Callable[[], Awaitable[None]]], delay: float | None = None
) -> None:
    """Wait until endpoints are withdrawn, stop listening, flush the last answer, and close.

    `settle` ends what requests may have left unfinished. `delay`, in seconds, is DRAIN_DELAY unless given.
    """
    connections, policy = server.connections, server.connections.policy
    settings = policy.settings
    delay = settings.drain_delay if delay is None else delay
    # Busy keep-alive connections close with their next answer, while a new one still finds the listener.
    connections.end_keep_alive()
    log.info("draining", in_flight=len(policy.in_flight), delay_seconds=delay)
    await asyncio.sleep(delay)
    ends = asyncio.get_running_loop().time() + settings.drain_timeout
    if delay:
        # Whoever comes last still has REQUEST_TIMEOUT.
        await _until_nobody_comes(policy, ends - settings.request_timeout)
    try:
        async with asyncio.timeout_at(ends):
            await server.take_in()
            server.stop_listening()
            while True:
                # Who connected last, or was idle, may have a request on its way.
                await asyncio.sleep(LAST_REQUEST_SECONDS)
                await policy.in_flight.wait_until_none()
                for settled in settle:
                    await settled()
                # Whoever came while that settled is served like the others.
                if connections.close_when_quiet():
                    break
    except TimeoutError:
        log.warning(
            "drain timed out",
            in_flight=len(policy.in_flight),
            arriving=connections.arriving(),
            seconds=settings.drain_timeout,
        )
    server.stop_listening()
    await connections.close_all()


async def _until_nobody_comes(policy: RequestPolicy, latest: float) -> None:
    """Return once the entrance sends nobody any more, which a busy cluster may take longer for than expected.

    It would send them to an address where nobody answers, not even with a refusal.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(latest):
            while (rest := QUIET_SECONDS - policy.admission.seconds_since_last()) > 0:  # noqa: ASYNC110 - no event tells that nobody comes
                await asyncio.sleep(rest)
