"""Every setting, once. The name in capitals is its name in the environment, the chart and the docs."""

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as SourceError

from app.redis_url import complaint_about, login_in, speaks_tls
from app.setting_kinds import (
    Addresses,
    Delay,
    ExistingFile,
    Flag,
    Hosts,
    Networks,
    Port,
    Seconds,
    Secret,
    Text,
    blank_is_none,
    lower_case,
    utf_8,
)

HASH_TAG = re.compile(r"[^{]*\{[^}]+\}")
"""A key that begins so has a hash tag of Redis Cluster: between the first `{` and the first `}` after it."""


class SettingsError(Exception):
    """A setting is not usable; the message names the variable, what was given and what is allowed."""


class Settings(BaseSettings):
    """All settings of the service. A description says what is allowed and is quoted when a value is not."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    environment: Text = "DEV"

    host: Text = "localhost"
    port: Port = 8000
    admin_host: Text | None = None
    """Where /metrics listens; the public HOST unless set."""
    admin_port: Port = 8001
    """0 turns the admin listener off."""

    redis_host: Text = "localhost"
    redis_port: Annotated[int, Field(ge=1, le=65535, description="a whole number from 1 to 65535")] = 6379
    redis_db: Annotated[int, Field(ge=0, description="a whole number, 0 or more")] = 0
    redis_username: Secret = None
    redis_password: Secret = None
    redis_tls: Flag = False
    redis_tls_ca_file: ExistingFile | None = None
    redis_tls_cert_file: ExistingFile | None = None
    redis_tls_key_file: ExistingFile | None = None
    redis_url: Annotated[
        SecretStr | None,
        BeforeValidator(blank_is_none),
        AfterValidator(utf_8),
        Field(description="a URL in UTF-8 that begins with redis://, rediss:// or unix://"),
    ] = None
    redis_sentinels: Addresses = ()
    redis_sentinel_master: Text | None = None
    redis_sentinel_username: Secret = None
    redis_sentinel_password: Secret = None
    """The Sentinels' own: they are never sent REDIS_PASSWORD."""
    redis_cluster: Flag = False
    redis_timeout: Seconds = 0.5
    """One command, with the connection it may have to open first."""
    counter_key: Text = "counter"

    workers: Annotated[int, Field(ge=0, description="a whole number, 0 (one a core) or more")] = 1
    """Processes; more than one run under Gunicorn's arbiter, see docs/workers.md."""
    http_server: Annotated[
        Literal["tornado", "httptools"],
        BeforeValidator(lower_case),
        Field(description="tornado or httptools"),
    ] = "httptools"
    """Whose parser of HTTP/1.1 is used, see docs/http.md."""
    request_timeout: Seconds = 10.0
    """Longer than a Redis pod that is replaced is away: its visitors wait then, and do not fail."""
    body_timeout: Seconds = 2.0
    """For a request's body to arrive: whoever is slow to send must not hold a place for as long."""
    max_in_flight: Annotated[int, Field(ge=1, description="a whole number, 1 or more")] = 1000
    max_connections: Annotated[int, Field(ge=1, description="a whole number, 1 or more")] = 4096
    """Open at a time, in one process. An idle one takes some 10 KB, one that sends much some 100 KB."""
    idle_timeout: Seconds = 75.0
    """Keep-alive; must exceed the proxy's (60 s in ingress-nginx and ALB)."""
    max_body_size: Annotated[int, Field(ge=0, description="bytes, 0 or more")] = 16 * 1024
    max_header_size: Annotated[int, Field(ge=1024, description="bytes, 1024 or more")] = 16 * 1024
    allowed_hosts: Hosts = ()
    trusted_proxies: Networks = ()
    hsts_seconds: Annotated[int, Field(ge=0, description="seconds, 0 (off) or more")] = 0
    hsts_include_subdomains: Flag = False

    drain_delay: Delay = 0.0
    drain_timeout: Delay = 20.0

    secrets_dir: Path | None = None

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(lower_case),
        Field(description="debug, info, warning or error"),
    ] = "info"
    log_format: Annotated[
        Literal["console", "json"], BeforeValidator(lower_case), Field(description="console or json")
    ] = Field(default_factory=lambda: "console" if sys.stdout.isatty() else "json")

    # Baked into the image or set by the chart; shown by /version.
    version: Text = "unknown"
    git_commit: Text = "unknown"
    commit_time: Text = "unknown"
    image_digest: Text = "unknown"

    @model_validator(mode="after")
    def _check_relations(self) -> Self:
        for complaint in (
            self._redis_complaint(),
            self._sentinel_complaint(),
            self._tls_complaint(),
            self._timeout_complaint(),
            self._key_complaint(),
        ):
            if complaint:
                raise ValueError(complaint)
        return self

    def _redis_complaint(self) -> str | None:
        if self.redis_url is not None and (
            complaint := self._url_complaint(self.redis_url.get_secret_value())
        ):
            return complaint
        if self.redis_cluster and self.redis_db:
            return (
                f"REDIS_DB is {self.redis_db}, allowed: 0, as REDIS_CLUSTER is on and a cluster has no other"
            )
        return None

    def _url_complaint(self, url: str) -> str | None:
        given = self.model_fields_set - ({"redis_cluster"} if not self.redis_cluster else set())
        places = given & {"redis_host", "redis_port", "redis_db", "redis_sentinels", "redis_cluster"}
        if places:
            name = min(places).upper()
            return f"REDIS_URL and {name} are both set, allowed: one of them, as each says where Redis is"
        if complaint := complaint_about(url):
            return f"REDIS_URL {complaint}"
        for name, text in login_in(url).items():
            beside: SecretStr | None = getattr(self, name)
            if beside is not None and beside.get_secret_value() != text:
                return f"{name.upper()} is (not shown) and REDIS_URL has another one, allowed: one of them"
        if "redis_tls" in given and self.redis_tls is not speaks_tls(url):
            return (
                f"REDIS_TLS is {str(self.redis_tls).lower()} and REDIS_URL says otherwise, allowed: "
                "leave REDIS_TLS off, and begin the URL with rediss:// for TLS, with redis:// for none"
            )
        files = sorted(given & {"redis_tls_ca_file", "redis_tls_cert_file", "redis_tls_key_file"})
        if files and not speaks_tls(url):
            return f"{files[0].upper()} is set, but REDIS_URL asks for no TLS, allowed: a rediss:// URL"
        return None

    def _sentinel_complaint(self) -> str | None:
        if bool(self.redis_sentinels) != bool(self.redis_sentinel_master):
            return "only one of REDIS_SENTINELS and REDIS_SENTINEL_MASTER is set, allowed: both or none"
        places = self.model_fields_set & {"redis_host", "redis_port"}
        if self.redis_cluster:
            places.add("redis_cluster")
        if self.redis_sentinels and places:
            return (
                f"REDIS_SENTINELS and {min(places).upper()} are both set, allowed: one of them, as each says "
                "where Redis is"
            )
        for name in ("redis_sentinel_username", "redis_sentinel_password"):
            if getattr(self, name) is not None and not self.redis_sentinels:
                return f"{name.upper()} is (not shown), allowed: only with REDIS_SENTINELS, which get it"
        return None

    def _tls_complaint(self) -> str | None:
        for name in ("redis_tls_ca_file", "redis_tls_cert_file", "redis_tls_key_file"):
            path: Path | None = getattr(self, name)
            if path is not None and not (path.is_file() and os.access(path, os.R_OK)):
                return f"{name.upper()} is '{path}', allowed: the path of a readable file"
            if path is not None and not self.redis_tls and self.redis_url is None:
                return (
                    f"{name.upper()} is set, but REDIS_TLS is off, allowed: REDIS_TLS on, or no file for it"
                )
        if (self.redis_tls_cert_file is None) != (self.redis_tls_key_file is None):
            return "only one of REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE is set, allowed: both or none"
        return None

    def _timeout_complaint(self) -> str | None:
        if self.redis_timeout >= self.request_timeout:
            return (
                f"REDIS_TIMEOUT is {self.redis_timeout:g}, allowed: less than REQUEST_TIMEOUT "
                f"({self.request_timeout:g}), so that a visitor still gets the answer"
            )
        if self.port != 0 and self.port == self.admin_port and self.admin_address == self.host:
            return f"ADMIN_PORT is {self.admin_port}, allowed: another port than PORT, or 0 to turn it off"
        return None

    def _key_complaint(self) -> str | None:
        # A `}` without a hash tag leaves no name for the writers' records that lands in the same slot.
        if "}" in self.counter_key and not HASH_TAG.match(self.counter_key):
            return (
                f"COUNTER_KEY is '{self.counter_key}', allowed: a key with a {{hash tag}}, or without a brace"
            )
        return None

    @property
    def admin_address(self) -> str:
        """The host of the admin listener."""
        return self.admin_host or self.host

    def fresh(self) -> "Settings":
        """Return the settings as they are now: files under SECRETS_DIR may have changed.

        Raises SettingsError.
        """
        return self if self.secrets_dir is None else _read(self.secrets_dir)


def load_settings() -> Settings:
    """Read the settings from the environment and SECRETS_DIR. Raises SettingsError."""
    secrets = os.environ.get("SECRETS_DIR") or None
    if secrets is not None and not Path(secrets).is_dir():
        raise SettingsError(f"SECRETS_DIR is '{secrets}', allowed: a folder that exists")
    return _read(Path(secrets) if secrets else None)


def _read(secrets: Path | None) -> Settings:
    try:
        # pydantic's plugin for mypy would know this argument; it is documented in pydantic-settings.
        return Settings(_secrets_dir=secrets)  # type: ignore[call-arg]
    except ValidationError as error:
        raise SettingsError("; ".join(_complaint(dict(detail)) for detail in error.errors())) from None
    except (SourceError, OSError):
        raise SettingsError(_unreadable(secrets)) from None


def _unreadable(secrets: Path | None) -> str:
    """Find the file that cannot be read; what is in it is not shown."""
    for name in Settings.model_fields if secrets else ():
        for path in (Path(str(secrets)) / name, Path(str(secrets)) / name.upper()):
            try:
                if path.is_file():
                    path.read_text()
            except (OSError, UnicodeDecodeError):
                found = f"{name.upper()} is (not shown), from the file '{path}'"
                return f"{found}, allowed: a readable file in UTF-8"
    return f"SECRETS_DIR is '{secrets}', allowed: a folder whose files can be read"


def _complaint(detail: dict[str, Any]) -> str:
    if not detail["loc"]:
        return str(detail["ctx"]["error"])
    name = str(detail["loc"][0])
    field = Settings.model_fields[name]
    secret = "SecretStr" in str(field.annotation)
    given = "(not shown)" if secret else f"'{detail['input']}'"
    return f"{name.upper()} is {given}, allowed: {field.description or 'a text that is not empty'}"
