"""The rights that docs/redis.md says the service's Redis user needs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.health import Health
from app.redis_client import make_redis
from app.settings import Settings
from dev.valkey import LOOPBACK
from tests.conftest import ValkeyServer
from tests.service import ROOT
from tests.test_redis_client import counting
from tests.test_redis_cluster import new_node, until_counted

RIGHTS = (
    "resetkeys ~counter ~{counter}:writer:* "
    "-@all +client|setname +ping +get +set +del +incrby +setrange +eval +evalsha"
)
RIGHTS_IN_A_CLUSTER = "+command +cluster|slots +asking"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[ValkeyServer]:
    node = new_node(tmp_path)
    with node.client as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    yield node
    node.stop()


def allow(server: ValkeyServer, rights: str, **settings: object) -> Settings:
    """Make a user with these rights; return the settings with which the service is that user."""
    with server.client as client:
        client.execute_command("ACL", "SETUSER", "visits", "on", ">secret", *rights.split())
    return Settings.model_validate(
        {
            "redis_host": LOOPBACK,
            "redis_port": server.port,
            "redis_username": SecretStr("visits"),
            "redis_password": SecretStr("secret"),
            **settings,
        }
    )


async def use_all(settings: Settings) -> None:
    async with counting(settings) as counter:
        await until_counted(counter)
        assert await counter.value() == 1
    redis = make_redis(settings)
    assert await Health(redis, settings.counter_key, 1.0).redis_trouble() is None
    await redis.aclose()


def test_the_docs_say_them() -> None:
    docs = (ROOT / "docs" / "redis.md").read_text()
    assert RIGHTS in docs
    assert RIGHTS_IN_A_CLUSTER in docs


@pytest.mark.gen_test(timeout=15)
async def test_they_are_enough(valkey: ValkeyServer) -> None:
    await use_all(allow(valkey, RIGHTS))


@pytest.mark.gen_test(timeout=15)
async def test_they_are_enough_in_a_cluster(node: ValkeyServer) -> None:
    await use_all(allow(node, f"{RIGHTS} {RIGHTS_IN_A_CLUSTER}", redis_cluster=True))
