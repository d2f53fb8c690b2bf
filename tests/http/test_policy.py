"""Host names that are served, the headers of every response, and the places."""

import pytest

from app.http.policy import make_policy
from app.settings import Settings
from tests.http.test_admission import Connection


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
    ("connections", "places"), [(1, 1), (3, 3), (4, 3), (8, 6), (63, 48), (64, 48), (100, 84)]
)
def test_a_quarter_of_the_connections_is_kept_for_probes_and_16_at_most(
    connections: int, places: int
) -> None:
    admission = make_policy(Settings(max_connections=connections, max_in_flight=10_000)).admission
    assert sum(admission.enter(Connection()) for _ in range(connections)) == places
