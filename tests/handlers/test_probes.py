"""`/healthz` and `/readyz`."""

import pytest
from tornado.httpclient import AsyncHTTPClient

from tests.conftest import ValkeyServer

pytestmark = pytest.mark.usefixtures("each_transport")


@pytest.mark.gen_test
async def test_both_say_ok_when_redis_answers(http_client: AsyncHTTPClient, base_url: str) -> None:
    for path in ("/healthz", "/readyz"):
        response = await http_client.fetch(base_url + path)
        assert (response.code, response.body) == (200, b"ok\n")
        assert (await http_client.fetch(base_url + path, method="HEAD")).code == 200


@pytest.mark.gen_test
async def test_without_redis_alive_but_not_ready(
    http_client: AsyncHTTPClient, base_url: str, valkey: ValkeyServer
) -> None:
    valkey.stop()
    alive = await http_client.fetch(base_url + "/healthz")
    # The answer of the last ping may be reused for a moment.
    while alive.body == b"ok\n":
        alive = await http_client.fetch(base_url + "/healthz")
    assert (alive.code, alive.body) == (200, b"degraded\n")
    ready = await http_client.fetch(base_url + "/readyz", raise_error=False)
    assert (ready.code, ready.body) == (503, b"redis: connection\n")
    # Some balancers ask so.
    for path, code in (("/healthz", 200), ("/readyz", 503)):
        head = await http_client.fetch(base_url + path, method="HEAD", raise_error=False)
        assert head.code == code
