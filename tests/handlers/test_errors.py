"""What every answer has, and what errors look like."""

import json
import re

import pytest
from tornado.httpclient import AsyncHTTPClient

from tests.conftest import StartService, ValkeyServer

pytestmark = pytest.mark.usefixtures("each_transport")

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/", "/nope", "/healthz", "/version", "/static/style.css", "/static/nope"])
async def test_every_answer_has_the_security_headers(
    http_client: AsyncHTTPClient, base_url: str, path: str
) -> None:
    response = await http_client.fetch(base_url + path, raise_error=False)
    policy = response.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "script-src" not in policy
    assert policy.startswith("default-src 'none'")
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
    assert problem.pop("detail")
    assert problem == {"type": "about:blank", "title": "Not Found", "status": 404, "request_id": "abc-1"}
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
