"""What only this transport has to take care of."""

import socket

import pytest
from tornado.web import Application

from app.http.connections import Connections
from app.http.httptools_http1 import HttptoolsHTTP1
from app.http.policy import make_policy
from app.http.refusals import Refusals
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.telemetry.requests import RequestTelemetry
from dev.valkey import LOOPBACK


@pytest.mark.gen_test
async def test_a_connection_that_the_loop_does_not_take_is_struck_off() -> None:
    settings = Settings(http_server="httptools")
    connections = Connections(make_policy(settings))
    refusals = Refusals(connections.policy, RequestTelemetry(Metrics(settings)))
    no_stream = socket.socket(type=socket.SOCK_DGRAM)
    HttptoolsHTTP1(Application(), connections, refusals).open(no_stream, LOOPBACK)
    await connections.close_all()
    assert no_stream.fileno() == -1
