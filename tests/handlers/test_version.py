"""`GET /version`."""

import json
import platform

import pytest
import tornado
from tornado.httpclient import AsyncHTTPClient

from app.settings import Settings
from dev.valkey import LOOPBACK
from tests.conftest import ValkeyServer

pytestmark = pytest.mark.usefixtures("each_transport")


@pytest.fixture
def settings(valkey: ValkeyServer) -> Settings:
    return Settings(
        redis_host=LOOPBACK,
        redis_port=valkey.port,
        environment="PROD",
        version="1.2.3",
        git_commit="abc",
        commit_time="2026-01-02T03:04:05Z",
        image_digest="sha256:0",
    )


@pytest.mark.gen_test
async def test_it_says_what_runs(http_client: AsyncHTTPClient, base_url: str) -> None:
    response = await http_client.fetch(base_url + "/version")
    assert json.loads(response.body) == {
        "version": "1.2.3",
        "git_commit": "abc",
        "commit_time": "2026-01-02T03:04:05Z",
        "image_digest": "sha256:0",
        "environment": "PROD",
        "python": platform.python_version(),
        "tornado": tornado.version,
    }
