"""What the values of settings may be, and how each kind is read. A description is quoted in complaints."""

import re
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

HIGHEST_PORT = 65535
HOST = re.compile(r"(?:[a-z0-9_-]+\.)*[a-z0-9_-]+\.?|\[(?P<ipv6>[0-9a-f:.]+)\]", re.ASCII | re.IGNORECASE)
"""What may stand in a Host header before the port. Names have _, too: those of containers do."""


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _networks(value: object) -> object:
    parts = _split(value)
    return (
        [ip_network(part) if isinstance(part, str) else part for part in parts]
        if isinstance(parts, list)
        else parts
    )


def _addresses(value: object) -> object:
    parts = _split(value)
    if not isinstance(parts, list):
        return parts
    return [_address(part) if isinstance(part, str) else part for part in parts]


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) <= HIGHEST_PORT:
        raise ValueError(text)
    return host.strip("[]"), int(port)


def _hosts(names: tuple[str, ...]) -> tuple[str, ...]:
    # Any other would match no visitor's Host header, and everybody would get a 400.
    for name in names:
        found = HOST.fullmatch(name)
        if found is None:
            raise ValueError(name)
        if found["ipv6"] is not None:
            IPv6Address(found["ipv6"])
    return names


def lower_case(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def blank_is_none(value: object) -> object:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    return None if text == "" else value


def utf_8(value: SecretStr | None) -> SecretStr | None:
    # Python keeps other bytes of the environment as lone surrogates, which nobody can send.
    if value is not None:
        try:
            value.get_secret_value().encode()
        except UnicodeEncodeError:
            raise ValueError("not UTF-8") from None
    return value


Port = Annotated[int, Field(ge=0, le=65535, description="a whole number from 0 to 65535")]
Seconds = Annotated[
    float, Field(gt=0, le=86400, allow_inf_nan=False, description="seconds, above 0, at most 86400")
]
Delay = Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False, description="seconds, from 0 to 86400")]
Flag = Annotated[bool, Field(description="true or false")]
Text = Annotated[str, Field(min_length=1, description="a text that is not empty")]
Secret = Annotated[
    SecretStr | None,
    BeforeValidator(blank_is_none),
    AfterValidator(utf_8),
    Field(description="a text in UTF-8"),
]
ExistingFile = Annotated[Path, Field(description="the path of a readable file")]
Hosts = Annotated[
    tuple[str, ...],
    NoDecode,
    BeforeValidator(_split),
    AfterValidator(_hosts),
    Field(
        description="host names, IPv4 addresses and IPv6 addresses in brackets, separated by commas, "
        "without scheme, port, path or wildcard"
    ),
]
Networks = Annotated[
    tuple[IPv4Network | IPv6Network, ...],
    NoDecode,
    BeforeValidator(_networks),
    Field(description="addresses or networks separated by commas, such as 10.0.0.0/8"),
]
Addresses = Annotated[
    tuple[tuple[str, int], ...],
    NoDecode,
    BeforeValidator(_addresses),
    Field(description="host:port separated by commas"),
]
