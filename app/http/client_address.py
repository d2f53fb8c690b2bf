"""Whose request it is, behind proxies that are believed."""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from tornado.httputil import HTTPHeaders

FORWARDED = re.compile(r"\[([^]]+)\](?::[0-9]+)?|([0-9.]+)(?::[0-9]+)?|([0-9A-Fa-f:.]+)")
"""An entry of X-Forwarded-For: an IPv6 address in brackets or an IPv4 one, each with or without a port; or a
bare IPv6 address."""
LONGEST_KEPT = 64
"""Characters of an entry whose address is kept; an address with brackets, zone and port is shorter."""
MAPPED = "::ffff:"
"""What a socket for both kinds of addresses writes before an IPv4 one."""


def client_address(peer: str, headers: HTTPHeaders, trusted: Sequence[IPv4Network | IPv6Network]) -> str:
    """Return the visitor's address: the last X-Forwarded-For entry that is not a trusted proxy."""
    if not trusted:
        return peer.removeprefix(MAPPED)
    address = address_in(peer)
    if address is None:
        return peer
    forwarded = ",".join(headers.get_list("X-Forwarded-For")).split(",")
    while forwarded and any(address in network for network in trusted):
        candidate = address_in(forwarded.pop().strip())
        if candidate is None:
            break
        address = candidate
    return str(address)


def address_in(text: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address that a peer or an entry of X-Forwarded-For names, None if it names none.

    Some proxies add the port (`192.0.2.1:4711`, `[2001:db8::1]:4711`). `::ffff:192.0.2.1` is an IPv4 address.
    The zone of a link-local one (`fe80::1%eth0`) means something to its sender only, and may be any text.
    """
    return (_kept if len(text) <= LONGEST_KEPT else _address_in)(text)


def _address_in(text: str) -> IPv4Address | IPv6Address | None:
    found = FORWARDED.fullmatch(text)
    try:
        address = ip_address((found[1] or found[2] or found[3]) if found else text)
    except ValueError:
        return None
    return address if isinstance(address, IPv4Address) else address.ipv4_mapped or IPv6Address(int(address))


_kept = lru_cache(maxsize=1024)(_address_in)
