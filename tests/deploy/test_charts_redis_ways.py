"""Every way to Redis that the values can name: what the service would not start with is not rendered."""

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from pathlib import Path

import pytest
import yaml

from app.settings import SettingsError
from tests.deploy.charts import DEPLOYED, HELMS, PROJECT, SERVICE, Values, merged, run, started

Environments = list[dict[str, str]]

CANDIDATE: Values = {"candidate": {"enabled": True}}
EXTERNAL: Values = {"redis": {"mode": "external"}, "secret": {"mode": "existing"}}
CHOICES: list[Values] = [
    {"redis": {"host": "redis.test"}},
    {"redis": {"urlFromSecret": True}},
    {"redis": {"db": 2}},
    {"redis": {"tls": {"enabled": True, "certFile": "tls.crt"}}},
    {"redis": {"tls": {"enabled": True, "keyFile": "tls.key"}}},
    {"settings": {"REDIS_SENTINELS": "a.test:26379"}},
    {"settings": {"REDIS_SENTINEL_MASTER": "mymaster"}},
    {"settings": {"REDIS_CLUSTER": True}},
]
WAYS = [
    reduce(merged, chosen, EXTERNAL)
    for count in range(len(CHOICES) + 1)
    for chosen in itertools.combinations(CHOICES, count)
]


def environments(values: Values) -> Environments:
    """What the service's pods and the candidate are given; nothing where the chart refuses the values."""
    given = json.dumps(reduce(merged, [DEPLOYED[SERVICE], CANDIDATE, values]))
    result = run(HELMS[0], SERVICE, "dev", given, PROJECT)
    if result.returncode:
        return []
    found = []
    for document in filter(None, yaml.safe_load_all(result.stdout)):
        spec = document.get("spec", {})
        pod = spec.get("template", {}).get("spec", spec)
        for container in pod.get("containers", []):
            variables = {one["name"]: one.get("value", "") for one in container["env"]}
            if "ENVIRONMENT" in variables:
                found.append({name: value.replace("$$(", "$(") for name, value in variables.items()})
    assert len(found) == 2, values
    return found


def must_start(
    values: Values, rendered: Environments, monkeypatch: pytest.MonkeyPatch, secrets: Path
) -> None:
    for environment in rendered:
        try:
            started(environment, monkeypatch, secrets)
        except SettingsError as error:
            raise AssertionError(f"the chart takes {values}, the service does not: {error}") from None


def test_what_is_rendered_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        rendered = list(threads.map(environments, WAYS))
    assert sum(map(bool, rendered)) > 10
    for values, found in zip(WAYS, rendered, strict=True):
        with_url = "urlFromSecret" in values["redis"]
        secrets = tmp_path / ("with a URL" if with_url else "without")
        secrets.mkdir(exist_ok=True)
        for file in ("tls.crt", "tls.key"):
            (secrets / file).touch()
        if with_url:
            (secrets / "REDIS_URL").write_text("rediss://redis.test:6379")
        must_start(values, found, monkeypatch, secrets)


@pytest.mark.parametrize("key", ["a}b", "{}shop", "a}{b}", "{a}b", "a{b}c", "a{b", "a"])
def test_the_candidate_has_no_key_that_the_pods_could_not_have(
    key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    values: Values = {"settings": {"COUNTER_KEY": key}}
    must_start(values, environments(values), monkeypatch, tmp_path)
