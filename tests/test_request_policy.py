"""Host names, visitors' addresses, requests in flight."""

import asyncio
from ipaddress import ip_network

import pytest
from tornado.httputil import HTTPHeaders

from app.request_policy import (
    FREE_REFUSALS_A_SECOND,
    LONGEST_REST,
    RETRY_AFTER_SECONDS,
    Admission,
    InFlight,
    make_policy,
    request_id_of,
)
from app.settings import Settings


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("a.example", True),
        ("A.EXAMPLE:8443", True),
        ("[::1]", True),
        ("[::1]:80", True),
        ("b.example", False),
        ("a.example.evil", False),
        ("", False),
    ],
)
def test_allowed_hosts(host: str, *, allowed: bool) -> None:
    policy = make_policy(Settings(allowed_hosts=("a.example", "[::1]")))
    assert policy.allows_host(host) is allowed
    assert make_policy(Settings()).allows_host(host)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(), None),
        (Settings(hsts_seconds=600), "max-age=600"),
        (Settings(hsts_seconds=600, hsts_include_subdomains=True), "max-age=600; includeSubDomains"),
        (Settings(hsts_include_subdomains=True), None),
    ],
)
def test_browsers_are_told_to_insist_on_https_as_far_as_asked(
    settings: Settings, expected: str | None
) -> None:
    assert make_policy(settings).headers.get("Strict-Transport-Security") == expected


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


def test_request_id() -> None:
    assert request_id_of(HTTPHeaders({"X-Request-ID": "A.b_c-9"})) == "A.b_c-9"
    assert request_id_of(HTTPHeaders({"X-Request-ID": "x" * 128})) == "x" * 128
    assert len({request_id_of(None) for _ in range(100)}) == 100


def test_in_flight_until_the_last_hold_is_released() -> None:
    async def scenario() -> None:
        in_flight = InFlight()
        one, two = object(), object()
        in_flight.hold(one)
        in_flight.hold(one)
        in_flight.hold(two)
        assert len(in_flight) == 2
        waiting = asyncio.create_task(in_flight.wait_until_none())
        in_flight.release(one)
        in_flight.release(two)
        await asyncio.sleep(0)
        assert not waiting.done()
        in_flight.release(one)
        await asyncio.wait_for(waiting, 1)
        in_flight.release(one)
        assert len(in_flight) == 0

    asyncio.run(scenario())


class Request:
    """Something that is let in or refused."""


def test_a_place_is_free_again_when_it_is_left() -> None:
    admission = Admission(1)
    assert admission.enter(Request())
    assert not admission.enter(Request())
    admission.leave()
    assert admission.enter(Request())


def test_refusals_within_their_pace_make_no_connection_rest() -> None:
    now = 1000.0
    admission = Admission(0, clock=lambda: now)
    for _ in range(100):
        request = Request()
        assert not admission.enter(request)
        assert admission.rest_after(request) == 0
        now += 1 / FREE_REFUSALS_A_SECOND


def test_refusals_beyond_it_rest_in_turn_but_no_longer_than_asked_for() -> None:
    now = 1000.0
    admission = Admission(0, clock=lambda: now)
    crowd = [Request() for _ in range(3 * FREE_REFUSALS_A_SECOND)]
    assert not any(admission.enter(request) for request in crowd)
    rests = [admission.rest_after(request) for request in crowd]
    assert rests[:3] == pytest.approx([0, 1 / FREE_REFUSALS_A_SECOND, 2 / FREE_REFUSALS_A_SECOND])
    assert rests == sorted(rests)
    assert rests[-1] == LONGEST_REST
    assert admission.retry_after(crowd[0]) == RETRY_AFTER_SECONDS
    assert admission.retry_after(crowd[-1]) == LONGEST_REST
    assert all(admission.retry_after(request) >= admission.rest_after(request) for request in crowd)
    # A crowd that has gone is forgotten.
    now += LONGEST_REST + 1 / FREE_REFUSALS_A_SECOND
    late = Request()
    admission.enter(late)
    assert admission.rest_after(late) == 0


def test_whoever_was_let_in_never_rests() -> None:
    admission = Admission(1)
    request = Request()
    admission.enter(request)
    for _ in range(100):
        admission.enter(Request())
    assert admission.rest_after(request) == 0
