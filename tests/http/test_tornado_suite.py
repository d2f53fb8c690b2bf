"""Tornado's own tests of its HTTP server, run against the transport that takes its server's place.

They say what handlers may rely on; which lines Tornado's parser logs is left out. What does not apply is
listed with its reason; what is not listed has to pass.
"""

import contextlib
import logging
import unittest
from collections.abc import Iterator
from socket import socket
from typing import Any

import pytest
from tornado.httputil import HTTPServerConnectionDelegate
from tornado.test import httpserver_test

from app.http.policy import make_policy
from app.http.server import Server, make_server
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.telemetry.requests import RequestTelemetry
from tests.service import PATIENCE

TLS = "TLS ends at the entrance"
FORWARDED = "who the visitor is: app/http/client_address.py, with tests of its own"
GZIP = "no body here is compressed"
NO_APPLICATION = "what is served is a tornado.web.Application"
LIMITS = "MAX_BODY_SIZE and BODY_TIMEOUT hold for all handlers, with a 413 or 408: test_gate.py"
BARE_LF = "a bare LF ends no line here: two recipients might see two requests"
CHUNKED_1_0 = "HTTP/1.0 has no Transfer-Encoding (RFC 9112, section 6.1)"
CLOSE_SAID = "that a connection closes is said to clients of HTTP/1.0, too, by both transports"
PROBLEM = "a refusal is a problem document"
LOGGED_BY_LOOP = "the same, but the error is logged as all that nobody caught, not by Tornado's parser"
NOT_APPLICABLE = {
    "SSLTest": TLS,
    "BadSSLOptionsTest": TLS,
    "SSLXHeaderTest": TLS,
    "XHeaderTest": FORWARDED,
    "ManualProtocolTest": FORWARDED,
    "GzipBaseTest": GZIP,
    "GzipTest": GZIP,
    "GzipMemoryTest": GZIP,
    "GzipUnsupportedTest": GZIP,
    "StreamingChunkSizeTest": GZIP,
    "LegacyInterfaceTest": NO_APPLICATION,
    "BodyLimitsTest.test_large_body_buffered": LIMITS,
    "BodyLimitsTest.test_large_body_buffered_chunked": LIMITS,
    "BodyLimitsTest.test_large_body_streaming": LIMITS,
    "BodyLimitsTest.test_large_body_streaming_chunked": LIMITS,
    "BodyLimitsTest.test_large_body_streaming_override": LIMITS,
    "BodyLimitsTest.test_large_body_streaming_chunked_override": LIMITS,
    "BodyLimitsTest.test_body_size_override_reset": LIMITS,
    "BodyLimitsTest.test_timeout": LIMITS,
    "HTTPConnectionTest.test_newlines": BARE_LF,
    "KeepAliveTest.test_keepalive_chunked": CHUNKED_1_0,
    "KeepAliveTest.test_http10": CLOSE_SAID,
    "HTTPServerRawTest.test_malformed_first_line_response": PROBLEM,
    "UnixSocketTestFile.test_unix_socket_bad_request": PROBLEM,
    "UnixSocketTestAbstract.test_unix_socket_bad_request": PROBLEM,
    "InvalidOutputContentLengthTest": LOGGED_BY_LOOP,
}


class ServerInItsPlace:
    """Of Tornado's HTTPServer, what its tests use."""

    def __init__(self, application: HTTPServerConnectionDelegate, **options: Any) -> None:  # noqa: ANN401
        settings = Settings(
            http_server="httptools",
            max_header_size=options.pop("max_header_size", 65536),
            max_body_size=options.pop("max_body_size", 100 * 1024 * 1024),
            body_timeout=options.pop("body_timeout", PATIENCE),
            idle_timeout=options.pop("idle_connection_timeout", PATIENCE),
        )
        options.pop("chunk_size", None)
        assert not options, options
        policy = make_policy(settings)
        self.server: Server = make_server(application, policy, RequestTelemetry(Metrics(settings)))  # type: ignore[arg-type]

    def add_socket(self, listener: socket) -> None:
        self.server.add_sockets([listener])

    def add_sockets(self, listeners: list[socket]) -> None:
        self.server.add_sockets(listeners)

    def stop(self) -> None:
        self.server.stop_listening()

    async def close_all_connections(self) -> None:
        await self.server.connections.close_all()


def cases() -> Iterator[unittest.TestCase]:
    def flat(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
        for one in suite:
            if isinstance(one, unittest.TestSuite):
                yield from flat(one)
            else:
                assert isinstance(one, unittest.TestCase)
                yield one

    found = flat(unittest.defaultTestLoader.loadTestsFromModule(httpserver_test))
    # Tornado's wrapper of a class whose tests are those of its children.
    return (case for case in found if "AbstractBaseWrapper" not in type(case).__qualname__)


def name_of(case: unittest.TestCase) -> str:
    return case.id().removeprefix(f"{httpserver_test.__name__}.")


def reason_against(name: str) -> str | None:
    return NOT_APPLICABLE.get(name) or NOT_APPLICABLE.get(name.partition(".")[0])


APPLICABLE = [case for case in cases() if reason_against(name_of(case)) is None]


@pytest.mark.parametrize("case", APPLICABLE, ids=name_of)
def test_it_holds_here(case: unittest.TestCase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tornado.testing.HTTPServer", ServerInItsPlace)
    monkeypatch.setattr(httpserver_test, "HTTPServer", ServerInItsPlace)
    monkeypatch.setattr(httpserver_test, "ExpectLog", lambda *_, **__: contextlib.nullcontext())
    # As Tornado's own runner of these tests does.
    monkeypatch.setattr(logging.getLogger("tornado.access"), "level", logging.CRITICAL)
    result = case.run()
    assert result is not None
    trouble = [text for _, text in [*result.errors, *result.failures]]
    assert not trouble, trouble[0]
    assert not result.skipped


def test_each_reason_is_of_a_test() -> None:
    names = {name_of(case) for case in cases()}
    assert {name for name in NOT_APPLICABLE if "." in name} <= names
    assert {name for name in NOT_APPLICABLE if "." not in name} <= {name.partition(".")[0] for name in names}
