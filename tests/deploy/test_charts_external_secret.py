"""The Secret that External Secrets Operator makes of what a store holds."""

import json

import pytest

from tests.deploy.charts import (
    DEPLOYED,
    HELMS,
    REDIS,
    SERVICE,
    Values,
    document,
    documents,
    merged,
    pod,
    refusal,
    run,
)

PASSWORD: Values = {"secretKey": "REDIS_PASSWORD", "remoteRef": {"key": "shop/redis", "property": "password"}}


def stored(**more: object) -> Values:
    """Values that take the password from a store."""
    given = {"store": {"name": "vault"}, "data": [PASSWORD], **more}
    return {"secret": {"mode": "externalSecret", "externalSecret": given}}


def test_what_the_operator_is_asked() -> None:
    spec = document(SERVICE, "ExternalSecret", values=stored(refreshInterval="30s"))["spec"]
    assert spec["secretStoreRef"] == {"kind": "ClusterSecretStore", "name": "vault"}
    assert spec["refreshInterval"] == "30s"
    (one,) = spec["data"]
    assert one["secretKey"] == "REDIS_PASSWORD"
    assert one["remoteRef"].items() >= PASSWORD["remoteRef"].items()
    # A default that the API server fills into a list is a difference to Argo CD.
    assert one["remoteRef"].keys() >= {"conversionStrategy", "decodingStrategy", "metadataPolicy"}


def test_the_secret_outlives_its_external_secret_and_the_store() -> None:
    """A rollback to a revision without it deletes the object, and with an owner the password would go."""
    target = document(SERVICE, "ExternalSecret", values=stored())["spec"]["target"]
    assert (target["creationPolicy"], target["deletionPolicy"]) == ("Orphan", "Retain")


def test_the_secret_is_no_object_of_the_release() -> None:
    """The operator would copy the ExternalSecret's labels, and whoever prunes by them would delete it."""
    template = document(SERVICE, "ExternalSecret", values=stored())["spec"]["target"]["template"]
    assert template == {"metadata": {"labels": {"deploy/project": "shop"}}}


@pytest.mark.parametrize("name", ["", "vault-redis"])
def test_it_is_the_secret_that_the_pods_and_redis_mount(name: str) -> None:
    values = merged(stored(), {"secret": {"name": name}})
    found = document(SERVICE, "ExternalSecret", values=values)
    mounted = pod(SERVICE, values=values)["spec"]["volumes"][0]["secret"]["secretName"]
    told = document(SERVICE, "ConfigMap", values=values)["metadata"]["annotations"]
    assert found["metadata"]["name"] == found["spec"]["target"]["name"] == mounted
    assert told["deploy/secret-name"] == mounted
    assert told["deploy/secret-mode"] == "externalSecret"
    redis = pod(REDIS, values={"secret": {"name": name}} if name else None)["spec"]["volumes"]
    assert mounted in [one.get("secret", {}).get("secretName") for one in redis]


def test_helm_adopts_what_deploy_sh_applied() -> None:
    metadata = document(SERVICE, "ExternalSecret", values=stored())["metadata"]
    assert metadata["labels"]["app.kubernetes.io/managed-by"] == "Helm"
    assert metadata["annotations"] == {
        "meta.helm.sh/release-name": "shop",
        "meta.helm.sh/release-namespace": "shop",
    }


def test_where_the_secret_comes_from_is_no_reason_to_roll() -> None:
    """The pods read a changed file at their next connect."""
    other = stored(data=[{**PASSWORD, "remoteRef": {"key": "other"}}], refreshInterval="5m")
    assert pod(SERVICE, values=stored()) == pod(SERVICE, values=other) == pod(SERVICE)


@pytest.mark.parametrize("values", [{}, {"secret": {"mode": "existing"}}], ids=["generated", "existing"])
def test_no_other_mode_has_one(values: Values) -> None:
    assert "ExternalSecret" not in {one["kind"] for one in documents(SERVICE, values=values)}


def test_the_candidate_has_one_of_its_own() -> None:
    """What it is given, good or bad, is in nobody else's place, and goes with it."""
    values = {**stored(), "candidate": {"enabled": True}}
    found = document(SERVICE, "ExternalSecret", values=values)
    assert found["metadata"]["name"] == found["spec"]["target"]["name"] == "shop-candidate"
    assert found["spec"]["target"]["creationPolicy"] == "Owner"
    pods = {one["metadata"]["name"]: one for one in documents(SERVICE, values=values) if one["kind"] == "Pod"}
    (volume,) = pods["shop-candidate"]["spec"]["volumes"]
    assert volume["secret"]["secretName"] == "shop-candidate"
    # Those that visitors meet keep theirs.
    assert pod(SERVICE, values=values)["spec"]["volumes"][0]["secret"]["secretName"] == "shop-redis-auth"


def test_an_external_redis_needs_what_its_values_say() -> None:
    url = {"secretKey": "REDIS_URL", "remoteRef": {"key": "shop", "decodingStrategy": "Base64"}}
    values = {**stored(data=[url]), "redis": {"mode": "external", "urlFromSecret": True}}
    (one,) = document(SERVICE, "ExternalSecret", values=values)["spec"]["data"]
    assert one["remoteRef"]["decodingStrategy"] == "Base64"


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize(
    ("values", "said"),
    [
        (stored(store={"name": ""}), ["secret.externalSecret.store.name is empty", "ClusterSecretStore"]),
        (stored(data=[]), ["secret.externalSecret.data is empty", "secretKey: REDIS_PASSWORD"]),
        (stored(data=[PASSWORD, PASSWORD]), ["has the secretKey REDIS_PASSWORD twice"]),
        (
            stored(data=[{**PASSWORD, "secretKey": "PASSWORD"}]),
            ["need the key REDIS_PASSWORD", "it names PASSWORD", "add it"],
        ),
        (
            {**stored(), "redis": {"mode": "external", "urlFromSecret": True}},
            ["need the key REDIS_URL", "it names REDIS_PASSWORD"],
        ),
    ],
    ids=["no store", "no key", "a key twice", "another key", "the key of an external Redis"],
)
def test_what_cannot_work_is_refused_with_what_to_change(values: Values, said: list[str], helm: str) -> None:
    refused = refusal(SERVICE, values, helm)
    for words in said:
        assert words in refused


@pytest.mark.parametrize(
    "more",
    [
        {"refreshInterval": "0s"},
        {"refreshInterval": "1 hour"},
        {"refreshInterval": ""},
        {"store": {"kind": "Vault", "name": "vault"}},
        {"data": [{"secretKey": "REDIS PASSWORD", "remoteRef": {"key": "a"}}]},
        {"data": [{"secretKey": "REDIS_PASSWORD"}]},
        {"data": [{**PASSWORD, "remoteRef": {"key": "a", "field": "b"}}]},
        {"dataFrom": []},
    ],
    ids=str,
)
def test_values_of_another_form_are_refused(more: Values) -> None:
    """With an interval of 0 a changed one would never be read."""
    assert "values don't meet the specifications of the schema" in refusal(SERVICE, stored(**more))


@pytest.mark.parametrize("helm", HELMS)
def test_a_cluster_without_the_kind_is_told_what_to_install(helm: str) -> None:
    """Left out, the pods would wait for a Secret that nobody makes."""
    values = json.dumps(merged(DEPLOYED[SERVICE], stored()))
    result = run(helm, SERVICE, "dev", values, "shop", api_versions="v1,apps/v1")
    assert result.returncode != 0
    for words in ["external-secrets.io/v1", "install External Secrets Operator", "secret.mode to existing"]:
        assert words in result.stderr
