"""`GET /`."""

import re

import pytest
from tornado.httpclient import AsyncHTTPClient

from tests.conftest import ValkeyServer

pytestmark = pytest.mark.usefixtures("each_transport")


@pytest.mark.gen_test
async def test_get_counts_a_visit_and_shows_it(
    http_client: AsyncHTTPClient, base_url: str, valkey: ValkeyServer
) -> None:
    valkey.set("counter", "41")
    response = await http_client.fetch(base_url)
    page = response.body.decode()
    assert "Counter: 42" in page
    assert '<span id="environment">TEST</span>' in page
    assert re.search(r"<button[^>]*>Reload</button>", page)
    assert "<script" not in page
    assert response.headers["Cache-Control"] == "no-store"
    assert valkey.get("counter") == "42"


@pytest.mark.gen_test
async def test_json_when_the_client_prefers_it(http_client: AsyncHTTPClient, base_url: str) -> None:
    response = await http_client.fetch(base_url, headers={"Accept": "application/json"})
    assert response.headers["Content-Type"] == "application/json"
    assert response.body == b'{"counter": 1, "environment": "TEST"}'
    assert response.headers["Vary"] == "Accept"


@pytest.mark.gen_test
async def test_head_answers_as_get_would_and_does_not_count(
    http_client: AsyncHTTPClient, base_url: str, valkey: ValkeyServer
) -> None:
    valkey.set("counter", "5")
    head = await http_client.fetch(base_url, method="HEAD")
    assert valkey.get("counter") == "5"
    get = await http_client.fetch(base_url)
    assert head.body == b""
    for name in ("Content-Type", "Content-Length", "Cache-Control", "Vary"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.gen_test
async def test_a_conditional_request_still_gets_its_page(http_client: AsyncHTTPClient, base_url: str) -> None:
    response = await http_client.fetch(base_url, headers={"If-None-Match": "*"})
    assert response.code == 200
    assert "Etag" not in response.headers


@pytest.mark.gen_test
async def test_the_style_is_a_cached_file(http_client: AsyncHTTPClient, base_url: str) -> None:
    page = (await http_client.fetch(base_url)).body.decode()
    found = re.search(r'href="(/static/style\.css\?v=\w+)"', page)
    assert found
    style = await http_client.fetch(base_url + found[1])
    assert style.headers["Content-Type"] == "text/css"
    assert int(style.headers["Cache-Control"].removeprefix("max-age=")) > 86400 * 300
    assert b"prefers-color-scheme: dark" in style.body
    assert style.headers["X-Content-Type-Options"] == "nosniff"
    again = await http_client.fetch(
        base_url + found[1], headers={"If-None-Match": style.headers["Etag"]}, raise_error=False
    )
    assert (again.code, again.body) == (304, b"")


@pytest.mark.gen_test
@pytest.mark.parametrize("version", ["nothash", "", None, "twice"])
async def test_under_a_hash_that_is_not_its_own_a_file_is_not_kept(
    http_client: AsyncHTTPClient, base_url: str, version: str | None
) -> None:
    """In a rollout, the file of the old version would stay in caches under the address of the new one."""
    page = (await http_client.fetch(base_url)).body.decode()
    own = re.findall(r"style\.css\?v=(\w+)", page)[0]
    query = {None: "", "twice": f"?v={own}&v=nothash"}.get(version, f"?v={version}")
    style = await http_client.fetch(f"{base_url}/static/style.css{query}")
    assert style.headers["Cache-Control"] == "no-store"
    assert "Expires" not in style.headers


@pytest.mark.gen_test
@pytest.mark.parametrize("name", ["Sec-Purpose", "Purpose"])
@pytest.mark.parametrize("purpose", ["prefetch", "prefetch;prerender", "x, prefetch;anonymous-client-ip"])
async def test_a_prefetch_is_no_visit_and_is_thrown_away(
    http_client: AsyncHTTPClient, base_url: str, valkey: ValkeyServer, name: str, purpose: str
) -> None:
    """Whoever then does visit fetches the page anew, and is counted: browsers keep no 4xx."""
    valkey.set("counter", "5")
    headers = {name: purpose, "Accept": "text/html"}
    response = await http_client.fetch(base_url, headers=headers, raise_error=False)
    assert response.code == 403
    assert response.headers["Cache-Control"] == "no-store"
    assert valkey.get("counter") == "5"
    assert b"Counter: 6" in (await http_client.fetch(base_url, headers={name: "other"})).body
