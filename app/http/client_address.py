"""Whose request it is, behind proxies that are believed."""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from tornado.httputil import HTTPHeaders

FORWARDED = re.compile(r"\[([^]]+)\](?::[0-9]+)?|([0-9.]+)(?::[0-9]+)?|([0-9A-Fa-f:.]+)")
"""An entry of X-Forwarded-For: an IPv6 address in brackets or an IPv4 one, each with or without a port; or a
bare IPv6 address."""
LONGEST_KEPT = 128
"""Characters of X-Forwarded-For for which the visitor's address is kept: those of some proxies' addresses."""
MAPPED = "::ffff:"
"""What a socket for both kinds of addresses writes before an IPv4 one."""


class ClientAddresses:
    """Finds visitors' addresses; those of the last thousand are kept, as each sends many requests."""

    def __init__(self, trusted: Sequence[IPv4Network | IPv6Network]) -> None:
        """`trusted` are the proxies' networks."""
        self._trusted = trusted
        self._kept = lru_cache(maxsize=1024)(self._behind_proxies)

    def of(self, peer: str, headers: HTTPHeaders) -> str:
        """Return the visitor's address: the last X-Forwarded-For entry that is not a trusted proxy."""
        if not self._trusted:
            return peer.removeprefix(MAPPED)
        forwarded = ",".join(headers.get_list("X-Forwarded-For"))
        return (self._kept if len(forwarded) <= LONGEST_KEPT else self._behind_proxies)(peer, forwarded)

    def _behind_proxies(self, peer: str, forwarded: str) -> str:
        address = address_in(peer)
        if address is None:
            return peer
        entries = forwarded.split(",")
        while entries and any(address in network for network in self._trusted):
            candidate = address_in(entries.pop().strip())
            if candidate is None:
                break
            address = candidate
        return str(address)


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
