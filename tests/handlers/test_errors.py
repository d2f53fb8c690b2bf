"""What every answer has, and what errors look like."""

import asyncio
import json
import re
import time

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.web import Application

from app.handlers.base import BaseHandler
from app.http.admission import FREE_REFUSALS_A_SECOND, LONGEST_REST
from app.settings import Settings
from tests.conftest import StartService, ValkeyServer
from tests.http.listener import REQUEST, Listener
from tests.http.test_admission import Connection
from tests.service import PATIENCE

pytestmark = pytest.mark.usefixtures("each_transport")

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/", "/nope", "/healthz", "/version", "/static/style.css", "/static/nope"])
async def test_every_answer_has_the_security_headers(
    http_client: AsyncHTTPClient, base_url: str, path: str
) -> None:
    response = await http_client.fetch(base_url + path, raise_error=False)
    assert set(response.headers["Content-Security-Policy"].split("; ")) == {
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    }
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert "Server" not in response.headers
    assert "Strict-Transport-Security" not in response.headers
    assert re.fullmatch(r"[0-9a-f]{32}", response.headers["X-Request-ID"])


@pytest.mark.gen_test
async def test_a_program_gets_a_problem(http_client: AsyncHTTPClient, base_url: str) -> None:
    response = await http_client.fetch(
        base_url + "/nope", headers={"X-Request-ID": "abc-1"}, raise_error=False
    )
    assert response.code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = json.loads(response.body)
    assert problem == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is nothing at this address.",
        "request_id": "abc-1",
    }
    assert response.headers["X-Request-ID"] == "abc-1"


@pytest.mark.gen_test
async def test_a_browser_gets_a_page(http_client: AsyncHTTPClient, base_url: str) -> None:
    response = await http_client.fetch(base_url + "/<b>", headers=BROWSER, raise_error=False)
    assert response.code == 404
    assert response.headers["Content-Type"].startswith("text/html")
    assert "Not Found" in response.body.decode()
    assert "<b>" not in response.body.decode()
    assert response.headers["Vary"] == "Accept"


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
        ("PUT", "/api/v1/counter", "GET, HEAD, POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("BREW", "/", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_names_the_right_ones(
    http_client: AsyncHTTPClient, base_url: str, valkey: ValkeyServer, method: str, path: str, allow: str
) -> None:
    response = await http_client.fetch(
        base_url + path,
        method=method,
        body="" if method in {"POST", "PUT"} else None,
        allow_nonstandard_methods=True,
        raise_error=False,
    )
    assert response.code == 405
    assert response.headers["Allow"] == allow
    assert json.loads(response.body)["status"] == 405
    assert valkey.get("counter") is None


@pytest.mark.gen_test
@pytest.mark.parametrize("given", ["a b", "", "x" * 129, "ü", "a,b"])
async def test_a_malformed_request_id_is_replaced(
    http_client: AsyncHTTPClient, base_url: str, given: str
) -> None:
    response = await http_client.fetch(base_url + "/version", headers={"X-Request-ID": given})
    assert re.fullmatch(r"[0-9a-f]{32}", response.headers["X-Request-ID"])


@pytest.mark.gen_test
async def test_nothing_of_redis_reaches_the_client(
    http_client: AsyncHTTPClient, base_url: str, valkey: ValkeyServer
) -> None:
    valkey.stop()
    response = await http_client.fetch(base_url, headers=BROWSER, raise_error=False)
    assert response.code == 503
    assert response.headers["Retry-After"] == "1"
    page = response.body.decode()
    assert "Service Unavailable" in page
    assert "127.0.0.1" not in page
    assert "Traceback" not in page


class Page(BaseHandler):
    route = "/"

    def get(self) -> None:
        self.write("page")


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_retry_after_tells_for_how_long_the_connection_rests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever comes back earlier waits all the same."""
    application = Application([("/", Page)], log_function=lambda _: None)
    listener = Listener(Settings(max_in_flight=1), application)
    admission = listener.policy.admission
    now = time.monotonic()
    monkeypatch.setattr(admission, "_clock", lambda: now)
    # One takes the place; the others are more than are refused without a rest.
    crowd = [Connection() for _ in range(3 * FREE_REFUSALS_A_SECOND)]
    assert [admission.enter(one) for one in crowd].count(True) == 1
    with listener.client() as client:
        client.send(REQUEST)
        answer = await asyncio.get_running_loop().sock_recv(client, 65536)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: %d\r\n" % LONGEST_REST in answer
        await listener.server.aclose()


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "path",
    ["/static/", "/static/../server.py", "/static/%00", "/static/" + 5000 * "a", "/static/%2e%2e/server.py"],
)
async def test_static_serves_only_its_files(http_client: AsyncHTTPClient, base_url: str, path: str) -> None:
    response = await http_client.fetch(base_url + path, raise_error=False)
    assert response.code in {403, 404}
    assert json.loads(response.body)["status"] == response.code


def test_hsts_when_set(valkey: ValkeyServer, start_service: StartService) -> None:
    service = start_service(valkey, HSTS_SECONDS=600).wait_until_ready()
    assert service.get("/").headers["Strict-Transport-Security"] == "max-age=600"
