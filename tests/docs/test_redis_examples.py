"""What docs/redis.md tells to put into the values and into the Secret starts the service."""

import re
import textwrap
from pathlib import Path

import pytest
import yaml

from tests.deploy.charts import ROOT, Values, configuration, started

DOCS = (ROOT / "docs" / "redis.md").read_text()
BLOCKS = re.findall(r"^(?: {4}\S.*\n)(?: {4,}\S.*\n)*", DOCS, re.MULTILINE)
EXAMPLES: list[Values] = [
    yaml.safe_load(textwrap.dedent(block)) for block in BLOCKS if block.startswith("    redis:")
]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 3


def test_a_managed_redis_by_its_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (address,) = re.findall(r"rediss://\S+(?=`)", DOCS)
    (tmp_path / "REDIS_URL").write_text(f"{address}\n")
    (values,) = [example for example in EXAMPLES if example["redis"].get("urlFromSecret")]
    url = started(configuration(values=values), monkeypatch, tmp_path).redis_url
    assert url is not None
    assert url.get_secret_value() == address


def test_a_redis_in_another_namespace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (values,) = [example for example in EXAMPLES if "host" in example["redis"]]
    (tmp_path / "REDIS_PASSWORD").write_text("secret\n")
    settings = started(configuration(values=values), monkeypatch, tmp_path)
    assert (settings.redis_host, settings.counter_key) == ("cache-redis.cache.svc", "shop")
    assert settings.redis_password is not None
    assert settings.redis_password.get_secret_value() == "secret"
    # «So it is for a Redis Cluster, too»
    cluster = {**values, "settings": {**values["settings"], "REDIS_CLUSTER": True}}
    assert started(configuration(values=cluster), monkeypatch, tmp_path).redis_cluster


def test_sentinels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (values,) = [example for example in EXAMPLES if "REDIS_SENTINELS" in example.get("settings", {})]
    settings = started(configuration(values=values), monkeypatch, tmp_path)
    assert settings.redis_sentinels is not None
    assert len(settings.redis_sentinels) == 3
