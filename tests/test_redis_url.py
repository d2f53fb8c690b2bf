"""REDIS_URL: what providers hand out works; what would be ignored or misread ends the start."""

import pytest

from app.redis_url import complaint_about, speaks_tls
from app.settings import Settings
from tests.service import run_to_end


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://h:6380/",
        "redis://:p%40s%23@h:6379/2",
        "rediss://default:p@h.example:25061",
        "rediss://:p@[2001:db8::1]:6379/0?ssl_cert_reqs=required",
        "redis://h?db=3",
        "unix:///run/redis.sock?db=1",
        "unix://:p@/run/redis.sock",
        "redis://:p%C3%BC@h",
    ],
)
def test_what_providers_hand_out_is_taken(url: str) -> None:
    assert complaint_about(url) is None
    assert speaks_tls(url) is url.startswith("rediss:")


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (
            {"REDIS_URL": "redis://:hidden@h?max_connections=10"},
            "REDIS_URL has the parameter max_connections",
        ),
        (
            {"REDIS_URL": "redis://:hidden@h?timeout=3"},
            "REDIS_URL has the parameter timeout, allowed: REDIS_TIME",
        ),
        (
            {"REDIS_URL": "redis://:hidden@h?decode_responses=true"},
            "REDIS_URL has the parameter decode_respons",
        ),
        ({"REDIS_URL": "rediss://:hidden@h?ssl_cert_reqs=none"}, "REDIS_URL has the parameter ssl_cert_reqs"),
        # There is nothing to verify without TLS.
        (
            {"REDIS_URL": "redis://:hidden@h?ssl_cert_reqs=required"},
            "REDIS_URL has the parameter ssl_cert_reqs",
        ),
        ({"REDIS_URL": "redis://h?hidden"}, "REDIS_URL has a parameter that is not known here (not shown)"),
        ({"REDIS_URL": "redis://:p?hidden@h"}, "REDIS_URL is (not shown), allowed"),
        ({"REDIS_URL": "redis://h:1/?db=hidden"}, "REDIS_URL has a parameter db that is no whole number"),
        ({"REDIS_URL": "redis://:hidden@h/1?db=2"}, "REDIS_URL names more than one database, allowed: one"),
        (
            {"REDIS_URL": "redis://:hidden@h?db=2&db=2"},
            "REDIS_URL names more than one database, allowed: one",
        ),
        (
            {"REDIS_URL": "unix://hidden/run/redis.sock"},
            "REDIS_URL has a host before its socket, allowed: un",
        ),
        ({"REDIS_URL": "unix://:p@hidden/run/redis.sock"}, "REDIS_URL has a host before its socket, allowed"),
        ({"REDIS_URL": "redis://:hidden%FF@h"}, "REDIS_URL has a user or a password that is not UTF-8"),
        ({"REDIS_URL": "redis://h/#hidden"}, "REDIS_URL has a part after #, allowed: none"),
        ({"REDIS_URL": "redis://h/hidden"}, "REDIS_URL has a path that is no database"),
        ({"REDIS_URL": "redis://:hidden@"}, "REDIS_URL names no host"),
        ({"REDIS_URL": "unix://hidden"}, "REDIS_URL names no socket"),
        ({"REDIS_URL": "http://:hidden@h"}, "REDIS_URL is (not shown), allowed: redis://"),
        ({"REDIS_URL": "redis://:hidden@h:x"}, "REDIS_URL is (not shown), allowed: redis://"),
        (
            {"REDIS_URL": "redis://:hidden@h", "REDIS_TLS": "true"},
            "REDIS_TLS is true and REDIS_URL says otherw",
        ),
        (
            {"REDIS_URL": "rediss://:hidden@h", "REDIS_TLS": "false"},
            "REDIS_TLS is false and REDIS_URL says oth",
        ),
        (
            {"REDIS_URL": "redis://:hidden@h", "REDIS_TLS_CA_FILE": __file__},
            "REDIS_TLS_CA_FILE is set, but REDIS_URL asks for no TLS",
        ),
        (
            {"REDIS_URL": "redis://:hidden@h", "REDIS_PASSWORD": "hidden too"},
            "REDIS_PASSWORD is (not shown) and REDIS_URL has another one, allowed: one of them",
        ),
        (
            {"REDIS_URL": "redis://hidden:p@h", "REDIS_USERNAME": "hidden too"},
            "REDIS_USERNAME is (not shown) and REDIS_URL has another one, allowed: one of them",
        ),
        ({"REDIS_URL": "redis://:hidden@h", "REDIS_PORT": "6379"}, "REDIS_URL and REDIS_PORT are both set"),
        ({"REDIS_URL": "redis://:hidden@h", "REDIS_DB": "0"}, "REDIS_URL and REDIS_DB are both set"),
        ({"REDIS_URL": "redis://:hidden@h", "REDIS_HOST": "h"}, "REDIS_URL and REDIS_HOST are both set"),
        ({"REDIS_URL": "redis://:hidden@h", "REDIS_CLUSTER": "true"}, "REDIS_URL and REDIS_CLUSTER are both"),
    ],
)
def test_anything_else_is_one_line_without_the_url(given: dict[str, str], line: str) -> None:
    ended = run_to_end("app", PORT=0, ADMIN_PORT=0, **given)
    assert ended.stderr.startswith(f"visits: {line}")
    assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (2, "", 1)
    assert "hidden" not in ended.stderr


def test_a_user_and_a_password_may_stand_in_the_url_and_beside_it_if_they_are_the_same() -> None:
    for url in ("redis://visits:p%40ss@h", "redis://:p%40ss@h", "redis://visits@h", "redis://h"):
        Settings.model_validate({"redis_url": url, "redis_username": "visits", "redis_password": "p@ss"})
