"""What holds for every request: limits, identity, response headers, and how many are in flight."""

import asyncio
import math
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from weakref import WeakKeyDictionary

from tornado.httputil import HTTPHeaders

from app.settings import Settings

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
FORWARDED = re.compile(r"\[([^]]+)\](?::[0-9]+)?|([0-9.]+)(?::[0-9]+)?|([0-9A-Fa-f:.]+)")
"""An entry of X-Forwarded-For: an IPv6 address in brackets or an IPv4 one, each with or without a port; or a
bare IPv6 address."""
MAPPED = "::ffff:"
"""What a socket for both kinds of addresses writes before an IPv4 one."""
HUGE_REQUEST_ID = 1024
"""Longer than any client's; up to here an ID that is not well-formed is replaced without a word."""
RETRY_AFTER_SECONDS = 1
"""What a client who got a 503 is asked to wait at least."""
FREE_REFUSALS_A_SECOND = 100
"""So few that answering them takes a few percent of a processor core."""
LONGEST_REST = 2.0
"""Seconds for which the next request of a refused connection may stay unread."""


class InFlight:
    """The requests whose work or whose response is not finished.

    A request is held by its connection, from its header until its response is flushed, and by its handler,
    which may outlive a visitor who left. It is in flight while either holds it.
    """

    def __init__(self) -> None:
        self._holds: dict[object, int] = {}
        self._none = asyncio.Event()
        self._none.set()

    def __len__(self) -> int:
        return len(self._holds)

    def hold(self, request: object) -> None:
        """Count `request` in, or hold it once more."""
        self._none.clear()
        self._holds[request] = self._holds.get(request, 0) + 1

    def release(self, request: object) -> None:
        """Undo one hold."""
        holds = self._holds.get(request, 0) - 1
        if holds > 0:
            self._holds[request] = holds
        else:
            self._holds.pop(request, None)
        if not self._holds:
            self._none.set()

    async def wait_until_none(self) -> None:
        """Return once no request is in flight."""
        await self._none.wait()


class Admission:
    """How many requests were let in and are being worked on.

    Those that are refused do not count, or a crowd of them would keep everyone out; neither do probes.

    To refuse costs the processor as much as to serve, and whoever is refused may come back at once. So only
    so many refusals a second are free. Beyond that the refused connections rest: their next requests are read
    at that pace, or after LONGEST_REST. Retry-After says so.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._now = 0
        self._clock = clock
        self._next_refusal = clock()
        self._last_came = -math.inf
        self._rests: WeakKeyDictionary[object, float] = WeakKeyDictionary()

    def enter(self, request: object) -> bool:
        """Let `request` in; tell whether there was a place."""
        self._last_came = self._clock()
        if self._now >= self._most:
            self._rests[request] = self._pace_refusal()
            return False
        self._now += 1
        return True

    def leave(self) -> None:
        self._now -= 1

    def seconds_since_last(self) -> float:
        """Return for how many seconds no visitor has come, let in or not; infinity before the first."""
        return self._clock() - self._last_came

    def rest_after(self, request: object) -> float:
        """Return how many seconds the connection of `request` rests now that it is answered."""
        return self._rests.get(request, 0.0)

    def retry_after(self, request: object) -> int:
        """Return the seconds after which whoever sent `request` should come back."""
        return max(RETRY_AFTER_SECONDS, math.ceil(self.rest_after(request)))

    def _pace_refusal(self) -> float:
        now = self._clock()
        rest = min(max(self._next_refusal - now, 0.0), LONGEST_REST)
        self._next_refusal = now + rest + 1 / FREE_REFUSALS_A_SECOND
        return rest


@dataclass(frozen=True)
class RequestPolicy:
    """Handed to every handler and to the transport."""

    settings: Settings
    headers: dict[str, str]
    admission: Admission
    in_flight: InFlight = field(default_factory=InFlight)

    def allows_host(self, host: str) -> bool:
        """Tell whether a Host header (with or without port) is one that ALLOWED_HOSTS names."""
        allowed = self.settings.allowed_hosts
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        return not allowed or name.lower() in {entry.lower() for entry in allowed}

    def client_address(self, peer: str, headers: HTTPHeaders) -> str:
        """Return the visitor's address: the last X-Forwarded-For entry that is not a trusted proxy."""
        if not self.settings.trusted_proxies:
            return peer.removeprefix(MAPPED)
        address = address_in(peer)
        if address is None:
            return peer
        forwarded = ",".join(headers.get_list("X-Forwarded-For")).split(",")
        while forwarded and any(address in network for network in self.settings.trusted_proxies):
            candidate = address_in(forwarded.pop().strip())
            if candidate is None:
                break
            address = candidate
        return str(address)


def make_policy(settings: Settings) -> RequestPolicy:
    """Build the policy that the settings ask for."""
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
    return RequestPolicy(settings, headers, Admission(settings.max_in_flight))


def request_id_of(headers: HTTPHeaders | None) -> str:
    """Take over a well-formed X-Request-ID, else make one."""
    given = headers.get_list("X-Request-ID") if headers is not None else []
    if len(given) == 1 and REQUEST_ID.fullmatch(given[0]):
        return given[0]
    return secrets.token_hex(16)


def request_id_complaint(headers: HTTPHeaders) -> str | None:
    """Return why a request is refused for its X-Request-ID: no honest client sends two, or a huge one."""
    given = headers.get_list("X-Request-ID")
    if len(given) > 1:
        return "The request has more than one X-Request-ID."
    if given and len(given[0]) > HUGE_REQUEST_ID:
        return f"The request's X-Request-ID is longer than {HUGE_REQUEST_ID} characters."
    return None


def address_in(text: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address that a peer or an entry of X-Forwarded-For names, None if it names none.

    Some proxies add the port (`192.0.2.1:4711`, `[2001:db8::1]:4711`). `::ffff:192.0.2.1` is an IPv4 address.
    The zone of a link-local one (`fe80::1%eth0`) means something to its sender only, and may be any text.
    """
    found = FORWARDED.fullmatch(text)
    try:
        address = ip_address((found[1] or found[2] or found[3]) if found else text)
    except ValueError:
        return None
    return address if isinstance(address, IPv4Address) else address.ipv4_mapped or IPv6Address(int(address))
