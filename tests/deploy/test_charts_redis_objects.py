"""The objects of the Redis chart: its volume, its probes, its files and its Service."""

from tests.deploy.charts import REDIS, configuration, container, document, pod, workload


def test_redis_keeps_its_volume() -> None:
    spec = workload(REDIS, "prod")["spec"]
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "8Gi"
    # A claim's template cannot change, so nothing in it may depend on a version.
    assert set(claim["metadata"]["labels"]) == {"app.kubernetes.io/name", "app.kubernetes.io/instance"}
    assert {"name": "data", "mountPath": "/data"} in container(REDIS, "prod")["volumeMounts"]


def test_a_redis_that_never_became_ready_can_be_replaced() -> None:
    assert workload(REDIS)["spec"]["podManagementPolicy"] == "Parallel"


def test_a_redis_that_loads_is_unready_but_alive() -> None:
    main = container(REDIS)
    # A startup probe would end a long loading.
    assert "startupProbe" not in main
    assert main["readinessProbe"]["exec"]["command"] == ["/bin/sh", "/etc/redis/ready.sh"]
    assert main["livenessProbe"]["exec"]["command"] == ["redis-cli", "ping"]


def test_redis_finds_its_files() -> None:
    main = container(REDIS)
    commands = [*main["command"], *main["readinessProbe"]["exec"]["command"]]
    files = {word.removeprefix("/etc/redis/") for word in commands if word.startswith("/etc/redis/")}
    by_operators = {"backup.sh", "restore.sh"}
    assert files | {"redis.conf"} | by_operators == set(document(REDIS, "ConfigMap")["data"])
    (mount,) = [one for one in main["volumeMounts"] if one["mountPath"] == "/etc/redis"]
    (volume,) = [one for one in pod(REDIS)["spec"]["volumes"] if one["name"] == mount["name"]]
    assert volume["configMap"]["name"] == "shop-redis"


def test_redis_is_where_the_service_looks_for_it() -> None:
    service = document(REDIS, "Service")
    (port,) = service["spec"]["ports"]
    config = configuration()
    assert (config["REDIS_HOST"], config["REDIS_PORT"]) == (service["metadata"]["name"], str(port["port"]))


def test_redis_is_reached_while_it_loads() -> None:
    """Its service takes LOADING for an answer, and no address for an outage."""
    assert document(REDIS, "Service")["spec"]["publishNotReadyAddresses"] is True
