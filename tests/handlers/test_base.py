"""The headers of every answer, the deadline of a request."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.httputil import HTTPConnection, HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler

from app.counting import counting
from app.handlers.base import BaseHandler
from app.health import Health
from app.http.in_flight import InFlight
from app.http.policy import make_policy
from app.server import make_app
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.telemetry.requests import RequestTelemetry
from dev.valkey import LOOPBACK
from tests.conftest import ValkeyServer
from tests.http.listener import REQUEST, Listener
from tests.service import PATIENCE

pytestmark = pytest.mark.usefixtures("each_transport")


@pytest.fixture
def app(io_loop: IOLoop, valkey: ValkeyServer) -> Iterator[Application]:
    """An application whose counter waits far longer than a request may take."""
    settings = Settings(
        redis_host=LOOPBACK, redis_port=valkey.port, request_timeout=0.3, redis_timeout=0.2
    ).model_copy(update={"redis_timeout": 30.0})
    metrics = Metrics(settings)
    feature = counting(settings.model_copy(update={"request_timeout": 30.0}), metrics)
    health = Health(feature.needs, feature.check)
    yield make_app(make_policy(settings), feature, health, RequestTelemetry(metrics))
    io_loop.run_sync(feature.aclose)


@pytest.mark.gen_test
async def test_a_request_that_takes_too_long_is_answered(
    http_client: AsyncHTTPClient, base_url: str, valkey: ValkeyServer, app: Application
) -> None:
    valkey.pause()
    started = asyncio.get_running_loop().time()
    response = await http_client.fetch(base_url, raise_error=False)
    assert asyncio.get_running_loop().time() - started < 1
    assert response.code == 503
    assert response.headers["Retry-After"] == "1"
    assert "too long" in json.loads(response.body)["detail"]
    assert len(app.settings["policy"].in_flight) == 0
    valkey.resume()
    assert (await http_client.fetch(base_url)).code == 200


class Waits(BaseHandler):
    """For what never comes."""

    route = "/"

    def initialize(self, ended: asyncio.Event) -> None:
        self.ended = ended

    async def get(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_the_work_of_a_request_that_takes_too_long_is_ended() -> None:
    """Or what it waits for would pile up."""
    ended = asyncio.Event()
    application = Application([("/", Waits, {"ended": ended})], log_function=lambda _: None)
    listener = Listener(Settings(request_timeout=0.2, redis_timeout=0.1), application)
    with listener.client() as client:
        client.send(REQUEST)
        assert (await asyncio.get_running_loop().sock_recv(client, 65536)).startswith(b"HTTP/1.1 503 ")
        await ended.wait()
        await listener.server.aclose()


@pytest.mark.gen_test
async def test_a_request_is_released_as_often_as_it_was_held(
    http_client: AsyncHTTPClient, base_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the drain would take a response for finished that is still being written."""
    held: list[object] = []
    released: list[object] = []
    monkeypatch.setattr(InFlight, "hold", lambda _, request: held.append(request))
    monkeypatch.setattr(InFlight, "release", lambda _, request: released.append(request))
    for method in ("GET", "BREW"):
        response = await http_client.fetch(
            f"{base_url}/version", method=method, allow_nonstandard_methods=True, raise_error=False
        )
        assert response.code == {"GET": 200, "BREW": 405}[method]
    assert released == held


COMMON = [
    "Content-Type",
    "Date",
    "Cache-Control",
    "Content-Security-Policy",
    "Referrer-Policy",
    "X-Content-Type-Options",
    "X-Request-Id",
]


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("path", "code", "more"),
    [
        ("/", 200, ["Vary"]),
        ("/version", 200, []),
        ("/api/v1/counter", 200, []),
        ("/healthz", 200, []),
        ("/nope", 404, ["Vary"]),
    ],
)
async def test_every_answer_has_these_headers_and_no_others(
    http_client: AsyncHTTPClient, base_url: str, path: str, code: int, more: list[str]
) -> None:
    response = await http_client.fetch(base_url + path, headers={"X-Request-ID": "known"}, raise_error=False)
    assert response.code == code
    assert [name for name, _ in response.headers.get_all()] == [
        *COMMON,
        *more,
        "Content-Length",
        "Connection",
    ]
    assert response.headers["X-Request-ID"] == "known"
    sent = parsedate_to_datetime(response.headers["Date"])
    assert abs(datetime.now(UTC) - sent) < timedelta(seconds=5)


class Answer(HTTPConnection):
    """Nothing is answered."""

    def set_close_callback(self, _: object) -> None:
        """Nobody leaves."""


def test_a_handler_begins_as_tornado_would_begin_it() -> None:
    """All that Tornado's own sets, ours sets to the same, but for the headers; `ui` when somebody asks."""
    application = Application(policy=make_policy(Settings()))
    request = HTTPServerRequest(
        start_line=RequestStartLine("GET", "/", "HTTP/1.1"),
        headers=HTTPHeaders({"Host": "localhost"}),
        connection=Answer(),
    )
    theirs, ours = RequestHandler(application, request), BaseHandler(application, request)
    assert set(vars(ours)) - {"policy", "request_id"} == set(vars(theirs)) - {"ui"}
    for name in vars(theirs).keys() - {"_headers", "ui"}:
        assert vars(ours)[name] == vars(theirs)[name]
    assert ours._headers["Content-Type"] == theirs._headers["Content-Type"]
    assert ours.ui.keys() == theirs.ui.keys()


@pytest.mark.gen_test
async def test_a_handler_may_have_default_headers_of_its_own(
    http_client: AsyncHTTPClient, base_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On its errors, too."""
    monkeypatch.setattr(
        BaseHandler, "set_default_headers", lambda handler: handler.set_header("Cache-Control", "private")
    )
    for path in ("/version", "/nope"):
        response = await http_client.fetch(base_url + path, raise_error=False)
        assert response.headers.get_list("Cache-Control") == ["private"]


class Midway(BaseHandler):
    """Fails when a part of what it promised is written."""

    route = "/"

    async def get(self) -> None:
        self.set_header("Content-Length", "10")
        self.write("hello")
        await self.flush()
        raise RuntimeError("midway")


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_an_answer_that_fails_midway_gives_its_place_back() -> None:
    recorded: list[int] = []
    application = Application(
        [("/", Midway)], log_function=lambda handler: recorded.append(handler.get_status())
    )
    listener = Listener(Settings(max_in_flight=1), application)
    for _ in range(2):
        with listener.client() as client:
            client.send(REQUEST)
            received = b""
            while part := await asyncio.get_running_loop().sock_recv(client, 65536):
                received += part
            assert received.startswith(b"HTTP/1.1 200 ")
            assert received.endswith(b"hello")
    await listener.policy.in_flight.wait_until_none()
    assert recorded == [200, 200]
    await listener.server.aclose()
