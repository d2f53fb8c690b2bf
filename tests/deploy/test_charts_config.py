"""The configuration that the charts render: settings the service knows, checksums, and the one Secret."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.settings import Settings
from tests.deploy import charts
from tests.deploy.charts import (
    CHARTS,
    ENVIRONMENTS,
    EXTERNAL_REDIS,
    REDIS,
    SERVICE,
    Values,
    configuration,
    container,
    document,
    label,
    pod,
)
from tests.deploy.test_charts_values import schema

Start = Callable[[dict[str, str]], Settings]

# Settings that are no value under `settings`: from the image, from the pod, or from the Secret alone.
OF_THE_IMAGE = {"VERSION", "GIT_COMMIT", "COMMIT_TIME"}
OF_THE_POD = {"PORT", "ADMIN_HOST", "ADMIN_PORT", "ENVIRONMENT", "SECRETS_DIR", "IMAGE_DIGEST"}
OF_THE_POD |= {"REDIS_HOST", "REDIS_PORT", "REDIS_DB"}
OF_THE_POD |= {"REDIS_TLS", "REDIS_TLS_CA_FILE", "REDIS_TLS_CERT_FILE", "REDIS_TLS_KEY_FILE"}
OF_THE_SECRET = {"REDIS_PASSWORD", "REDIS_URL", "REDIS_SENTINEL_PASSWORD"}


def test_the_schema_lists_the_settings_of_the_service() -> None:
    known = {name.upper() for name in Settings.model_fields}
    assert (
        set(schema(SERVICE)["properties"]["settings"]["properties"])
        == known - OF_THE_IMAGE - OF_THE_POD - OF_THE_SECRET
    )
    assert known >= OF_THE_IMAGE | OF_THE_POD | OF_THE_SECRET


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Start:
    return lambda data: charts.started(data, monkeypatch, tmp_path)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_service_starts_with_the_configuration(environment: str, started: Start) -> None:
    settings = started(configuration(environment))
    assert settings.environment == environment.upper()
    assert (settings.redis_host, settings.redis_port, settings.redis_db) == ("shop-redis", 6379, 0)
    assert (settings.drain_delay, settings.drain_timeout) == (5, 20)


def test_settings_arrive_as_written(started: Start) -> None:
    values = {
        "MAX_IN_FLIGHT": 1000000,
        "REDIS_TIMEOUT": 0.25,
        "COUNTER_KEY": "$(HOST) $$",
        "ALLOWED_HOSTS": "x.test,b.test",
    }
    data = configuration(values={"settings": values})
    assert {name: data[name] for name in values} == {name: str(value) for name, value in values.items()}
    settings = started(data)
    assert settings.max_in_flight == 1000000
    assert settings.allowed_hosts == ("x.test", "b.test")


def test_an_external_redis_with_tls(started: Start, tmp_path: Path) -> None:
    for name in ("ca.crt", "tls.crt", "tls.key"):
        (tmp_path / name).write_text("")
    tls = {"enabled": True, "caFile": "ca.crt", "certFile": "tls.crt", "keyFile": "tls.key"}
    settings = started(
        configuration(
            values={**EXTERNAL_REDIS, "redis": {**EXTERNAL_REDIS["redis"], "port": 6380, "tls": tls}}
        )
    )
    assert (settings.redis_host, settings.redis_port, settings.redis_tls) == ("redis.test", 6380, True)
    assert settings.redis_tls_ca_file == tmp_path / "ca.crt"
    assert settings.redis_tls_key_file == tmp_path / "tls.key"


def test_an_external_redis_whose_url_is_secret(started: Start, tmp_path: Path) -> None:
    (tmp_path / "REDIS_URL").write_text("rediss://user:password@redis.test:6380/1")
    settings = started(
        configuration(values={**EXTERNAL_REDIS, "redis": {"mode": "external", "urlFromSecret": True}})
    )
    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value().startswith("rediss://")


@pytest.mark.parametrize("host", ["", "redis.test"])
def test_an_external_redis_behind_sentinels(started: Start, tmp_path: Path, host: str) -> None:
    """They say where Redis is, also where redis.host does."""
    (tmp_path / "ca.crt").write_text("")
    sentinels = {"REDIS_SENTINELS": "a.test:26379,b.test:26379", "REDIS_SENTINEL_MASTER": "mymaster"}
    redis = {"mode": "external", "host": host, "tls": {"enabled": True, "caFile": "ca.crt"}}
    data = configuration(values={**EXTERNAL_REDIS, "redis": redis, "settings": sentinels})
    assert not {"REDIS_HOST", "REDIS_PORT"} & set(data)
    settings = started(data)
    assert settings.redis_sentinels == (("a.test", 26379), ("b.test", 26379))
    # To the Sentinels, too: tests/redis/test_client.py.
    assert (settings.redis_tls, settings.redis_tls_ca_file) == (True, tmp_path / "ca.crt")
    assert (settings.redis_sentinel_username, settings.redis_sentinel_password) == (None, None)


def test_sentinels_that_ask_for_a_user_and_a_password(started: Start, tmp_path: Path) -> None:
    (tmp_path / "REDIS_SENTINEL_PASSWORD").write_text("password")
    sentinels = {
        "REDIS_SENTINELS": "a.test:26379",
        "REDIS_SENTINEL_MASTER": "mymaster",
        "REDIS_SENTINEL_USERNAME": "visits",
    }
    data = configuration(values={**EXTERNAL_REDIS, "redis": {"mode": "external"}, "settings": sentinels})
    assert "REDIS_SENTINEL_PASSWORD" not in data
    settings = started(data)
    assert settings.redis_sentinel_username == SecretStr("visits")
    assert settings.redis_sentinel_password == SecretStr("password")


def test_the_settings_belong_to_the_pod_and_not_to_an_object_that_a_rollout_changes() -> None:
    """A container of the version before that restarts in the middle of a rollout keeps its settings."""
    assert "envFrom" not in container(SERVICE)
    assert "data" not in document(SERVICE, "ConfigMap")
    assert all("valueFrom" not in one for one in container(SERVICE)["env"])


def test_kubernetes_expands_nothing_in_a_setting() -> None:
    (key,) = [
        one["value"]
        for one in container(SERVICE, values={"settings": {"COUNTER_KEY": "$(HOST)"}})["env"]
        if one["name"] == "COUNTER_KEY"
    ]
    assert key == "$$(HOST)"


def test_deploy_reads_the_merged_values_from_annotations() -> None:
    assert document(SERVICE, "ConfigMap")["metadata"]["annotations"] == {
        "deploy/drain-delay": "5",
        "deploy/entrance": "ingress",
        "deploy/environment": "DEV",
        "deploy/redis-mode": "bundled",
        "deploy/scheme": "http",
        "deploy/secret-keys": "REDIS_PASSWORD",
        "deploy/secret-mode": "generated",
        "deploy/secret-name": "shop-redis-auth",
    }
    external = {**EXTERNAL_REDIS, "secret": {"mode": "existing", "name": "vault"}}
    assert document(SERVICE, "ConfigMap", values=external)["metadata"]["annotations"] == {
        "deploy/drain-delay": "5",
        "deploy/entrance": "ingress",
        "deploy/environment": "DEV",
        "deploy/redis-mode": "external",
        "deploy/scheme": "http",
        "deploy/secret-mode": "existing",
        "deploy/secret-name": "vault",
    }


def mounted_secret(chart: Path, values: Values | None = None) -> tuple[str, str]:
    """Name of the Secret, and where it is mounted."""
    (volume,) = [one for one in pod(chart, values=values)["spec"]["volumes"] if "secret" in one]
    (mount,) = [
        one for one in container(chart, values=values)["volumeMounts"] if one["name"] == volume["name"]
    ]
    assert mount["readOnly"] is True
    return volume["secret"]["secretName"], mount["mountPath"]


def test_both_charts_read_the_same_secret() -> None:
    assert mounted_secret(SERVICE) == ("shop-redis-auth", configuration()["SECRETS_DIR"])
    assert mounted_secret(REDIS) == ("shop-redis-auth", "/run/secrets/redis")
    given = {"secret": {"name": "given"}}
    assert mounted_secret(SERVICE, given)[0] == mounted_secret(REDIS, given)[0] == "given"


@pytest.mark.parametrize("chart", CHARTS, ids=label)
def test_the_pod_may_read_the_secret(chart: Path) -> None:
    """A Secret's files belong to root and the pod's fsGroup."""
    spec = pod(chart)["spec"]
    (secret,) = [volume["secret"] for volume in spec["volumes"] if "secret" in volume]
    assert spec["securityContext"]["fsGroup"] == spec["securityContext"]["runAsGroup"]
    assert secret["defaultMode"] == 0o440
    # The service reads every key as a setting; Redis needs the one.
    items = [] if chart == SERVICE else [{"key": "REDIS_PASSWORD", "path": "REDIS_PASSWORD"}]
    assert secret.get("items", []) == items


@pytest.mark.parametrize("chart", CHARTS, ids=label)
def test_no_password_in_the_environment(chart: Path) -> None:
    main = container(chart)
    sources = [source for one in main.get("env", []) for source in one if source != "name"]
    assert set(sources) <= {"value"}
    assert "envFrom" not in main


def checksum(chart: Path, values: Values | None = None, environment: str = "dev") -> str:
    found: str = pod(chart, environment, values)["metadata"]["annotations"]["checksum/config"]
    return found


@pytest.mark.parametrize(
    ("chart", "values"),
    [
        (SERVICE, {"settings": {"REQUEST_TIMEOUT": 9}}),
        (SERVICE, {"environment": "STAGING"}),
        (SERVICE, {"redis": {"db": 1}}),
        (REDIS, {"maxmemoryPercent": 30}),
        (REDIS, {"resources": {"limits": {"memory": "256Mi"}}}),
    ],
    ids=label,
)
def test_pods_roll_when_their_configuration_changes(chart: Path, values: Values) -> None:
    assert checksum(chart, values) != checksum(chart)


@pytest.mark.parametrize(
    ("chart", "values"),
    [
        (SERVICE, {"ingress": {"annotations": {"a/b": "c"}}}),
        (SERVICE, {"autoscaling": {"maxReplicas": 9}}),
        (SERVICE, {"secret": {"mode": "existing", "name": "shop-redis-auth"}}),
        (SERVICE, {"service": {"port": 81}}),
        (REDIS, {"persistence": {"size": "9Gi"}}),
        (REDIS, {"terminationGracePeriodSeconds": 90}),
    ],
    ids=label,
)
def test_pods_stay_when_something_else_changes(chart: Path, values: Values) -> None:
    assert checksum(chart, values) == checksum(chart)
    unrelated = "terminationGracePeriodSeconds" not in values
    assert (pod(chart, values=values) == pod(chart)) is unrelated
