"""What holds for every request: the settings, the headers of every response, the places."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from tornado.httputil import HTTPHeaders, format_timestamp

from app.http.admission import Admission
from app.http.client_address import ClientAddresses
from app.http.headers import Headers
from app.http.in_flight import InFlight
from app.settings import Settings

if TYPE_CHECKING:
    from app.telemetry.spans import Tracing


CONNECTIONS_FOR_PROBES = 16
"""So many, or a quarter of all if that is fewer, are of nobody who waits for an answer of the handlers."""


class RefusedBecause(StrEnum):
    """Why a request was answered with an error before any work of its handler."""

    FULL = "full"
    """MAX_IN_FLIGHT requests have places already."""
    HOST = "host"
    INVALID = "invalid"
    TOO_LARGE = "too large"
    TOO_SLOW = "too slow"


def _unheard(*_: object) -> None:
    """Nobody asks."""


@dataclass(frozen=True)
class RequestPolicy:
    """Handed to every handler and to the server of a listener."""

    settings: Settings
    headers: dict[str, str]
    admission: Admission
    most_connections: int
    """Of one listener, at a time."""
    in_flight: InFlight = field(default_factory=InFlight)
    refused: Callable[[RefusedBecause], None] = _unheard
    """Hears of each request that was refused, and why."""
    timed_out: Callable[[], None] = _unheard
    """Hears of each request that took longer than REQUEST_TIMEOUT."""
    tracing: "Tracing | None" = None

    def allows_host(self, host: str) -> bool:
        """Tell whether a Host header (with or without port) is one that ALLOWED_HOSTS names."""
        if not self._allowed_hosts:
            return True
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        return name.lower() in self._allowed_hosts

    def client_address(self, peer: str, headers: HTTPHeaders) -> str:
        """Return the visitor's address, behind TRUSTED_PROXIES."""
        return self._client_addresses.of(peer, headers)

    def response_headers(self, request_id: str) -> HTTPHeaders:
        """Return what the answer to a request begins with; a handler adds and changes what it likes."""
        return Headers(
            {
                "Content-Type": ["text/html; charset=UTF-8"],
                "Date": [_date(int(time.time()))],
                **{name: [value] for name, value in self.headers.items()},
                "X-Request-Id": [request_id],
            }
        )

    @cached_property
    def _client_addresses(self) -> ClientAddresses:
        return ClientAddresses(self.settings.trusted_proxies)

    @cached_property
    def _allowed_hosts(self) -> frozenset[str]:
        return frozenset(name.lower() for name in self.settings.allowed_hosts)


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return format_timestamp(second)


def make_policy(
    settings: Settings,
    refused: Callable[[RefusedBecause], None] = _unheard,
    timed_out: Callable[[], None] = _unheard,
    tracing: "Tracing | None" = None,
    *,
    most_connections: int | None = None,
) -> RequestPolicy:
    """Build the policy that the settings ask for; `refused` and `timed_out` are told what they name.

    `most_connections` is how many there is room for, where that may be fewer than MAX_CONNECTIONS.
    """
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
            "frame-ancestors 'none'"
        ),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    if settings.hsts_seconds:
        # Of the names below this one the service knows nothing: they may not have HTTPS.
        below = "; includeSubDomains" if settings.hsts_include_subdomains else ""
        headers["Strict-Transport-Security"] = f"max-age={settings.hsts_seconds}{below}"
    most = settings.max_connections if most_connections is None else most_connections
    # Or all connections might be visitors' who wait, and no probe would get in.
    admission = Admission(min(settings.max_in_flight, most - min(CONNECTIONS_FOR_PROBES, most // 4)))
    return RequestPolicy(
        settings, headers, admission, most, refused=refused, timed_out=timed_out, tracing=tracing
    )
