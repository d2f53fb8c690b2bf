"""What REDIS_URL may say: where Redis is, and nothing that a setting says or that would be ignored."""

import re
from urllib.parse import SplitResult, parse_qsl, unquote, unquote_to_bytes, urlsplit

ALLOWED = (
    "redis://, rediss:// (with TLS) or unix://, with user, password, host, port and database, "
    "each percent-encoded"
)
KNOWN_ELSEWHERE = {
    "socket_timeout": "REDIS_TIMEOUT",
    "socket_connect_timeout": "REDIS_TIMEOUT",
    "timeout": "REDIS_TIMEOUT",
    "username": "REDIS_USERNAME, or user@ in the URL",
    "password": "REDIS_PASSWORD, or :password@ in the URL",
    "ssl_ca_certs": "REDIS_TLS_CA_FILE",
    "ssl_certfile": "REDIS_TLS_CERT_FILE",
    "ssl_keyfile": "REDIS_TLS_KEY_FILE",
    "ssl_cert_reqs": "required, as TLS is always verified (REDIS_TLS_CA_FILE names an authority of your own)",
    "ssl_check_hostname": "none, as TLS is always verified",
    "max_connections": "none, as the service opens one connection at a time for each purpose",
    "decode_responses": "none",
    "encoding": "none",
    "protocol": "none",
    "health_check_interval": "none",
    "retry_on_timeout": "none, as the service knows when to ask again",
    "client_name": "none",
}
"""Parameters that other clients take in a URL, and what says the same here."""


def complaint_about(url: str) -> str | None:
    """Return what is wrong with the URL and what is allowed instead, None if nothing is.

    Quotes no part of it: where a password is not percent-encoded, any part may be a piece of it.
    """
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"redis", "rediss", "unix"} and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        return f"is (not shown), allowed: {ALLOWED}"
    if parts.fragment:
        return "has a part after #, allowed: none; in a password # is written %23"
    parameters = parse_qsl(parts.query, keep_blank_values=True)
    complaints = [
        _user_complaint(parts),
        _place_complaint(parts),
        _database_complaint(parts, parameters),
        *(_parameter_complaint(parts.scheme, *one) for one in parameters),
    ]
    return next(filter(None, complaints), None)


def _user_complaint(parts: SplitResult) -> str | None:
    try:
        unquote_to_bytes(parts.netloc.rpartition("@")[0]).decode()
    except UnicodeDecodeError:
        return "has a user or a password that is not UTF-8, allowed: UTF-8, percent-encoded"
    return None


def _place_complaint(parts: SplitResult) -> str | None:
    if parts.scheme == "unix":
        return _socket_complaint(parts)
    if not parts.hostname:
        return f"names no host, allowed: {ALLOWED}"
    if not re.fullmatch(r"/?|/[0-9]+", parts.path):
        return "has a path that is no database, allowed: a whole number, as in redis://host:6379/2"
    return None


def _socket_complaint(parts: SplitResult) -> str | None:
    if not parts.path.strip("/"):
        return "names no socket, allowed: unix:///path/of/the/socket"
    if parts.netloc.rpartition("@")[2]:
        return "has a host before its socket, allowed: unix:///path/of/the/socket"
    return None


def _database_complaint(parts: SplitResult, parameters: list[tuple[str, str]]) -> str | None:
    in_path = parts.scheme != "unix" and parts.path.strip("/") != ""
    if in_path + sum(name == "db" for name, _ in parameters) > 1:
        return "names more than one database, allowed: one, as in redis://host:6379/2 or ?db=2"
    return None


def _parameter_complaint(scheme: str, name: str, value: str) -> str | None:
    if name == "db":
        is_number = value.isdecimal() and value.isascii()
        return None if is_number else "has a parameter db that is no whole number, allowed: one, as in ?db=2"
    if (scheme, name, value) == ("rediss", "ssl_cert_reqs", "required"):
        return None
    if name in KNOWN_ELSEWHERE:
        return f"has the parameter {name}, allowed: {KNOWN_ELSEWHERE[name]}"
    return "has a parameter that is not known here (not shown), allowed: db; in a password ? is written %3F"


def speaks_tls(url: str) -> bool:
    """Tell whether a URL without complaints asks for TLS."""
    return urlsplit(url).scheme == "rediss"


def login_in(url: str) -> dict[str, str]:
    """Return the user and the password that a URL without complaints names, by their settings' names."""
    parts = urlsplit(url)
    given = {"redis_username": parts.username, "redis_password": parts.password}
    return {name: unquote(text) for name, text in given.items() if text}
