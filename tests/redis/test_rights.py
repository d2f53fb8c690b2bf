"""The rights that docs/redis.md says the service's Redis user needs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis.exceptions import ResponseError

from app.redis.client import make_redis
from app.redis.failures import failure_reason
from app.settings import Settings
from dev.valkey import LOOPBACK
from tests.conftest import ValkeyServer
from tests.counter.counting import health_over, records_of
from tests.redis.test_cluster import new_node, use_all
from tests.service import ROOT

RIGHTS = (
    "resetkeys ~counter ~{counter}:writer:* "
    "-@all +client|setname +ping +get +set +del +incrby +setrange +eval +evalsha"
)
RIGHTS_FOR_ANOTHER_DATABASE = "+select"
RIGHTS_IN_A_CLUSTER = "+command +cluster|slots +asking"
RIGHTS_FOR_THE_CANDIDATE = "~{counter}:candidate*"
RIGHTS_WITH_A_HASH_TAG = "~{shop}:visits ~{shop}:visits:writer:*"


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


def test_the_docs_say_them() -> None:
    docs = (ROOT / "docs" / "redis.md").read_text()
    assert RIGHTS in docs
    assert RIGHTS_FOR_ANOTHER_DATABASE in docs
    assert RIGHTS_IN_A_CLUSTER in docs
    assert RIGHTS_FOR_THE_CANDIDATE in docs
    assert RIGHTS_WITH_A_HASH_TAG in docs


@pytest.mark.gen_test(timeout=15)
async def test_they_are_enough(valkey: ValkeyServer) -> None:
    await use_all(allow(valkey, RIGHTS))


@pytest.mark.gen_test(timeout=15)
async def test_they_are_enough_for_another_database(valkey: ValkeyServer) -> None:
    await use_all(allow(valkey, f"{RIGHTS} {RIGHTS_FOR_ANOTHER_DATABASE}", redis_db=1))


@pytest.mark.gen_test(timeout=15)
async def test_they_are_enough_in_a_cluster(node: ValkeyServer) -> None:
    await use_all(allow(node, f"{RIGHTS} {RIGHTS_IN_A_CLUSTER}", redis_cluster=True))


@pytest.mark.gen_test(timeout=15)
async def test_they_are_enough_for_a_key_with_a_hash_tag(valkey: ValkeyServer) -> None:
    commands = RIGHTS.partition("-@all")[2]
    rights = f"resetkeys {RIGHTS_WITH_A_HASH_TAG} -@all {commands}"
    await use_all(allow(valkey, rights, counter_key="{shop}:visits"))


@pytest.mark.gen_test(timeout=15)
async def test_they_are_enough_for_the_candidate(valkey: ValkeyServer) -> None:
    """And without them it is not ready, which names the reason before it is asked to count."""
    candidate = "{counter}:candidate"
    await use_all(allow(valkey, f"{RIGHTS} {RIGHTS_FOR_THE_CANDIDATE}", counter_key=candidate))
    redis = make_redis(allow(valkey, RIGHTS, counter_key=candidate))
    assert await health_over(redis, 1.0, candidate).trouble() == "authentication"
    await redis.aclose()


@pytest.mark.gen_test(timeout=15)
async def test_a_right_that_is_taken_away_later_leaves_nothing_half_done(valkey: ValkeyServer) -> None:
    """Without its record a batch that is sent again would count again."""
    settings = allow(valkey, RIGHTS)
    async with records_of(settings) as records:
        writer = await records.register()
        assert await records.count(writer, 1, 2) == 2
        for right in ("set", "incrby"):
            allow(valkey, f"-{right}")
            with pytest.raises(ResponseError) as refused:
                await records.count(writer, 2, 3)
            assert failure_reason(refused.value) == "authentication"
            assert valkey.get("counter") == "2"
            allow(valkey, f"+{right}")
        assert await records.count(writer, 2, 3) == 5
        assert await records.count(writer, 2, 3) == 5
    assert valkey.get("counter") == "5"
