"""`/api/v1/counter`."""

import json

import pytest
from tornado.httpclient import AsyncHTTPClient

from tests.conftest import ValkeyServer

pytestmark = pytest.mark.usefixtures("each_transport")

URL = "/api/v1/counter"


@pytest.mark.gen_test
async def test_get_does_not_count(http_client: AsyncHTTPClient, base_url: str, valkey: ValkeyServer) -> None:
    first = await http_client.fetch(base_url + URL)
    assert json.loads(first.body) == {"counter": 0, "environment": "TEST"}
    valkey.set("counter", "7")
    second = await http_client.fetch(base_url + URL)
    assert json.loads(second.body)["counter"] == 7
    assert (await http_client.fetch(base_url + URL, method="HEAD")).code == 200
    assert valkey.get("counter") == "7"


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("", None),
        ("", "text/plain"),
        ("{}", "application/json"),
        (" { } ", "application/json; charset=utf-8"),
    ],
)
async def test_post_counts_one(
    http_client: AsyncHTTPClient, base_url: str, valkey: ValkeyServer, body: str, content_type: str | None
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    response = await http_client.fetch(base_url + URL, method="POST", body=body, headers=headers)
    assert response.code == 200
    assert json.loads(response.body) == {"counter": 1, "environment": "TEST"}
    assert valkey.get("counter") == "1"


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b'{"by": 2}', {"Content-Type": "application/json"}, 400),
        (b"[]", {"Content-Type": "application/json"}, 400),
        (b"0", {"Content-Type": "application/json"}, 400),
        (b"{", {"Content-Type": "application/json"}, 400),
        (b"\xff\xfe", {"Content-Type": "application/json"}, 400),
        (b"[" * 10000, {"Content-Type": "application/json"}, 400),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"a=1", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b"x", {"Content-Type": "multipart/form-data; boundary=b"}, 400),
        (b"{}", {"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
    ],
)
async def test_post_refuses_any_other_content_and_counts_nothing(
    http_client: AsyncHTTPClient,
    base_url: str,
    valkey: ValkeyServer,
    body: bytes,
    headers: dict[str, str],
    status: int,
) -> None:
    response = await http_client.fetch(
        base_url + URL, method="POST", body=body, headers=headers, raise_error=False
    )
    assert response.code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert json.loads(response.body)["status"] == status
    assert valkey.get("counter") is None


@pytest.mark.gen_test
async def test_errors_are_problems_even_for_a_browser(
    http_client: AsyncHTTPClient, base_url: str, valkey: ValkeyServer
) -> None:
    valkey.set("counter", "many")
    response = await http_client.fetch(
        base_url + URL, method="POST", body="", headers={"Accept": "text/html"}, raise_error=False
    )
    assert response.code == 503
    assert response.headers["Content-Type"] == "application/problem+json"
    # Somebody has to mend it first.
    assert response.headers["Retry-After"] == "30"
    assert valkey.get("counter") == "many"


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("held", "sentence"),
    [
        ("many", "until somebody who runs this service mends it"),
        (str(2**63 - 1), "until somebody who runs this service mends it"),
        (None, "try again in a moment"),
    ],
)
async def test_a_503_says_whether_waiting_helps(
    http_client: AsyncHTTPClient, base_url: str, valkey: ValkeyServer, held: str | None, sentence: str
) -> None:
    if held is None:
        valkey.stop()
    else:
        valkey.set("counter", held)
    response = await http_client.fetch(
        base_url + URL, method="POST", body="", raise_error=False, request_timeout=10
    )
    assert response.code == 503
    assert sentence in json.loads(response.body)["detail"]
