"""Settings: what is allowed, and what a person reads when it is not."""

import os
from pathlib import Path

import pytest

from app.http.policy import make_policy
from app.settings import Settings, SettingsError, load_settings
from tests.service import run_to_end

NAMES = [name.upper() for name in Settings.model_fields]


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def load(monkeypatch: pytest.MonkeyPatch, **given: str) -> Settings:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def test_defaults() -> None:
    settings = load_settings()
    assert (settings.environment, settings.host, settings.port, settings.admin_port) == (
        "DEV",
        "localhost",
        8000,
        8001,
    )
    assert settings.admin_address == "localhost"
    assert (settings.redis_host, settings.redis_port, settings.redis_timeout) == ("localhost", 6379, 0.5)
    assert settings.idle_timeout > 60
    assert settings.log_format == "json"


def test_an_empty_value_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "")
    assert load_settings() == Settings()


def test_lists_and_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(
        monkeypatch,
        ALLOWED_HOSTS="a.example, b.example,",
        TRUSTED_PROXIES="10.0.0.0/8,::1",
        REDIS_SENTINELS="s1:26379,[::1]:26380",
        REDIS_SENTINEL_MASTER="mymaster",
    )
    assert settings.allowed_hosts == ("a.example", "b.example")
    assert [str(network) for network in settings.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    assert settings.redis_sentinels == (("s1", 26379), ("::1", 26380))


def test_hosts_as_a_host_header_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = "Visits.Test", "localhost", "my_app", "xn--mller-kva.test", "a.test.", "10.0.0.1", "[2001:DB8::1]"
    policy = make_policy(load(monkeypatch, ALLOWED_HOSTS=", ".join(hosts)))
    assert all(policy.allows_host(host) for host in hosts)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"PORT": "abc"}, "PORT is 'abc', allowed: a whole number from 0 to 65535"),
        ({"PORT": "65536"}, "PORT is '65536', allowed: a whole number from 0 to 65535"),
        (
            {"REDIS_PORT": "tcp://10.0.0.1:6379"},
            "REDIS_PORT is 'tcp://10.0.0.1:6379', allowed: a whole number",
        ),
        ({"REDIS_DB": "-1"}, "REDIS_DB is '-1', allowed: a whole number, 0 or more"),
        ({"REQUEST_TIMEOUT": "0"}, "REQUEST_TIMEOUT is '0', allowed: seconds, above 0"),
        ({"REQUEST_TIMEOUT": "inf"}, "REQUEST_TIMEOUT is 'inf', allowed: seconds, above 0"),
        ({"IDLE_TIMEOUT": "nan"}, "IDLE_TIMEOUT is 'nan', allowed: seconds, above 0"),
        ({"BODY_TIMEOUT": "86401"}, "BODY_TIMEOUT is '86401', allowed: seconds, above 0, at most 86400"),
        ({"DRAIN_DELAY": "-1"}, "DRAIN_DELAY is '-1', allowed: seconds, from 0"),
        ({"REDIS_TIMEOUT": "10"}, "REDIS_TIMEOUT is 10, allowed: less than REQUEST_TIMEOUT (10)"),
        ({"ADMIN_PORT": "8000"}, "ADMIN_PORT is 8000, allowed: another port than PORT"),
        ({"WORKERS": "-1"}, "WORKERS is '-1', allowed: a whole number, 0 (one a core) or more"),
        ({"WORKERS": "two"}, "WORKERS is 'two', allowed: a whole number, 0 (one a core) or more"),
        ({"MAX_IN_FLIGHT": "0"}, "MAX_IN_FLIGHT is '0', allowed: a whole number, 1 or more"),
        ({"MAX_CONNECTIONS": "0"}, "MAX_CONNECTIONS is '0', allowed: a whole number, 1 or more"),
        ({"MAX_HEADER_SIZE": "1023"}, "MAX_HEADER_SIZE is '1023', allowed: bytes, 1024 or more"),
        (
            {"TRUSTED_PROXIES": "10.0.0.1/8"},
            "TRUSTED_PROXIES is '10.0.0.1/8', allowed: addresses",
        ),
        *[
            ({"ALLOWED_HOSTS": hosts}, f"ALLOWED_HOSTS is '{hosts}', allowed: host names, IPv4 addresses and")
            for hosts in (
                *("visits.test:8080", "https://visits.test", "visits.test/", "a.test,*", "*.visits.test"),
                *("::1", "[::1]:80", "[a.test]", "[1.2.3.4]", "a b", "a..test", "müller.test", "a@b.test"),
            )
        ],
        ({"REDIS_SENTINELS": "host"}, "REDIS_SENTINELS is 'host', allowed: host:port separated by commas"),
        ({"REDIS_SENTINELS": "h:1"}, "only one of REDIS_SENTINELS and REDIS_SENTINEL_MASTER is set"),
        *[
            (
                {"REDIS_SENTINELS": "h:1", "REDIS_SENTINEL_MASTER": "m", name: value},
                f"REDIS_SENTINELS and {name} are both set, allowed: one of them",
            )
            for name, value in (("REDIS_HOST", "h"), ("REDIS_PORT", "6379"), ("REDIS_CLUSTER", "true"))
        ],
        (
            {"REDIS_SENTINEL_PASSWORD": "hidden"},
            "REDIS_SENTINEL_PASSWORD is (not shown), allowed: only with REDIS_SENTINELS",
        ),
        (
            {"REDIS_SENTINEL_USERNAME": "hidden"},
            "REDIS_SENTINEL_USERNAME is (not shown), allowed: only with REDIS_SENTINELS",
        ),
        ({"REDIS_TLS": "maybe"}, "REDIS_TLS is 'maybe', allowed: true or false"),
        (
            {"REDIS_TLS_CA_FILE": "/nope"},
            "REDIS_TLS_CA_FILE is '/nope', allowed: the path of a",
        ),
        (
            {"REDIS_TLS_CA_FILE": __file__},
            "REDIS_TLS_CA_FILE is set, but REDIS_TLS is off, allowed: REDIS_TLS on",
        ),
        (
            {"REDIS_TLS": "false", "REDIS_TLS_CERT_FILE": __file__, "REDIS_TLS_KEY_FILE": __file__},
            "REDIS_TLS_CERT_FILE is set, but REDIS_TLS is off, allowed: REDIS_TLS on",
        ),
        *[
            (
                {"REDIS_TLS": "true", name: __file__},
                "only one of REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE is set, allowed: both or none",
            )
            for name in ("REDIS_TLS_CERT_FILE", "REDIS_TLS_KEY_FILE")
        ],
        ({"REDIS_CLUSTER": "true", "REDIS_DB": "1"}, "REDIS_DB is 1, allowed: 0"),
        *[
            ({"COUNTER_KEY": key}, f"COUNTER_KEY is '{key}', allowed: a key with a {{hash tag}}, or without")
            for key in ("a}b", "{}b")
        ],
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL is 'loud', allowed: debug, info, warning or error"),
        ({"SECRETS_DIR": "/nope"}, "SECRETS_DIR is '/nope', allowed: a folder that exists"),
    ],
)
def test_a_bad_value_is_one_line(monkeypatch: pytest.MonkeyPatch, given: dict[str, str], line: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(monkeypatch, **given)
    assert str(raised.value).startswith(line)
    assert "\n" not in str(raised.value)
    assert "hidden" not in str(raised.value)


def test_files_under_secrets_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "REDIS_PASSWORD").write_text("first\n")
    (tmp_path / "REDIS_USERNAME").write_text("")
    (tmp_path / "COUNTER_KEY").write_text("theirs")
    (tmp_path / "REDIS_SENTINEL_USERNAME").write_text("visits")
    (tmp_path / "REDIS_SENTINEL_PASSWORD").write_text("the third\n")
    sentinels = {"REDIS_SENTINELS": "s:26379", "REDIS_SENTINEL_MASTER": "mymaster"}
    settings = load(monkeypatch, SECRETS_DIR=str(tmp_path), **sentinels)
    assert settings.redis_password
    assert settings.redis_password.get_secret_value() == "first"
    assert settings.redis_username is None
    assert settings.redis_sentinel_username
    assert settings.redis_sentinel_username.get_secret_value() == "visits"
    assert settings.redis_sentinel_password
    assert settings.redis_sentinel_password.get_secret_value() == "the third"
    assert settings.counter_key == "theirs"
    (tmp_path / "REDIS_PASSWORD").write_text("second")
    fresh = settings.fresh().redis_password
    assert fresh
    assert fresh.get_secret_value() == "second"
    assert "theirs" in repr(settings)
    assert "first" not in repr(settings)
    assert "third" not in repr(settings)


def test_one_port_at_two_addresses_is_two(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, HOST="127.0.0.1", ADMIN_HOST="127.0.0.2", ADMIN_PORT="8000").admin_port == 8000


def test_a_cluster_that_is_off_may_stand_beside_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, REDIS_URL="redis://h", REDIS_CLUSTER="false").redis_url is not None


@pytest.mark.parametrize("name", ["REDIS_PASSWORD", "REDIS_URL", "REDIS_SENTINEL_PASSWORD", "COUNTER_KEY"])
def test_a_file_that_is_not_utf_8_is_one_line_without_what_it_holds(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"hidden\xff")
    ended = run_to_end("app", PORT=0, ADMIN_PORT=0, SECRETS_DIR=tmp_path)
    found = f"{name} is (not shown), from the file '{tmp_path}/{name}'"
    told = f"visits: {found}, allowed: a readable file in UTF-8\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", told)


@pytest.mark.parametrize("name", ["REDIS_PASSWORD", "REDIS_URL", "REDIS_USERNAME"])
def test_a_secret_of_the_environment_that_is_not_utf_8(name: str) -> None:
    ended = run_to_end("app", PORT=0, ADMIN_PORT=0, **{name: os.fsdecode(b"hidden\xff")})
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)
    assert ended.stderr.startswith(f"visits: {name} is (not shown), allowed: a")
    assert "hidden" not in ended.stderr


def test_exit_code_2_and_nothing_but_the_line() -> None:
    ended = run_to_end("app", PORT="x", REDIS_URL="redis://:hidden@host")
    assert ended.returncode == 2
    assert ended.stderr == "visits: PORT is 'x', allowed: a whole number from 0 to 65535\n"
    assert ended.stdout == ""


def test_a_secret_is_never_printed() -> None:
    ended = run_to_end("app", REDIS_URL="redis://user:hidden@host", REDIS_HOST="h", REDIS_USERNAME="hidden")
    assert ended.returncode == 2
    assert "hidden" not in ended.stderr + ended.stdout
    assert len(ended.stderr.splitlines()) == 1
