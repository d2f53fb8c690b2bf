"""Visitors' addresses behind proxies."""

from ipaddress import ip_network

import pytest
from tornado.httputil import HTTPHeaders

from app.http.policy import make_policy
from app.settings import Settings


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("198.51.100.1", "203.0.113.9", "198.51.100.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3", "10.0.0.3"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.9:4711, 10.0.0.2:80", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "[2001:db8::1]", "2001:db8::1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("::ffff:10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9:port", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9:", "10.0.0.1"),
        ("10.0.0.1", "[2001:db8::1", "10.0.0.1"),
        # A zone is a name of the sender's own, as long as they like.
        ("10.0.0.1", "fe80::1%\u202e" + "x" * 5000, "fe80::1"),
        ("10.0.0.1", "[fe80::1%eth0]:4711", "fe80::1"),
        ("", "203.0.113.9", ""),
    ],
)
def test_client_address(peer: str, forwarded: str | None, expected: str) -> None:
    policy = make_policy(Settings(trusted_proxies=(ip_network("10.0.0.0/8"),)))
    headers = HTTPHeaders({"X-Forwarded-For": forwarded} if forwarded else {})
    assert policy.client_address(peer, headers) == expected
    assert make_policy(Settings()).client_address(peer, headers) == peer.removeprefix("::ffff:")
