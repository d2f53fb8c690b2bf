"""The examples of docs/gitops.md install what they say, with the charts as they are."""

import json
import re
from typing import Any

import pytest
import yaml

from tests.deploy.charts import DEPLOYED, REDIS, ROOT, SERVICE, Document, Values, documents, merged, run

TEXT = (ROOT / "docs" / "gitops.md").read_text()
CHARTS = {".helm": SERVICE, ".helm/redis": REDIS}


def examples() -> list[Document]:
    blocks = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    return [one for block in blocks for one in yaml.safe_load_all(block)]


def source(example: Document) -> tuple[str, str, list[str], Values]:
    """The chart's folder, the release, the values files from the root, and the values of an example."""
    spec: dict[str, Any] = example["spec"]
    if example["kind"] == "Application":
        path, helm = spec["source"]["path"], spec["source"]["helm"]
        files = [f"{path}/{file}" for file in helm["valueFiles"]]
        return path, helm["releaseName"], files, helm.get("valuesObject", {})
    chart = spec["chart"]["spec"]
    return chart["chart"], spec["releaseName"], chart["valuesFiles"], spec.get("values", {})


def test_both_tools_install_both_charts() -> None:
    found = [(one["kind"], *source(one)[:2]) for one in examples()]
    assert found == [
        ("Application", ".helm/redis", "shop-redis"),
        ("Application", ".helm", "shop"),
        ("HelmRelease", ".helm/redis", "shop-redis"),
        ("HelmRelease", ".helm", "shop"),
    ]
    # Argo CD writes an Application's name over the label by which the pods are selected.
    assert all(one["metadata"]["name"] == source(one)[1] for one in examples())


@pytest.mark.parametrize("example", examples(), ids=lambda one: f"{one['kind']} {one['metadata']['name']}")
def test_an_example_renders(example: Document) -> None:
    path, _, files, values = source(example)
    assert all((ROOT / file).is_file() for file in files)
    # Nothing comes to its help: neither deploy.sh's values nor the tests'.
    result = run("helm", CHARTS[path], "staging", json.dumps(values), "shop")
    assert result.returncode == 0, result.stderr
    rendered = [one for one in yaml.safe_load_all(result.stdout) if one]
    kinds = {one["kind"] for one in rendered}
    if path == ".helm/redis":
        assert "StatefulSet" in kinds
        return
    assert "ExternalSecret" in kinds
    (image,) = [
        container["image"]
        for one in rendered
        if one["kind"] == "Deployment"
        for container in one["spec"]["template"]["spec"]["containers"]
    ]
    assert image == f"{values['image']['repository']}@{values['image']['digest']}"


def test_no_object_needs_helm_to_be_applied() -> None:
    """As `helm template | kubectl apply` does: no hook but the test, and every name is the release's."""
    store: Values = {
        "mode": "externalSecret",
        "externalSecret": {
            "store": {"name": "vault"},
            "data": [{"secretKey": "REDIS_PASSWORD", "remoteRef": {"key": "shop"}}],
        },
    }
    objects = [*documents(SERVICE, values=merged(DEPLOYED[SERVICE], {"secret": store})), *documents(REDIS)]
    hooks = {one["kind"] for one in objects if "helm.sh/hook" in one["metadata"].get("annotations", {})}
    assert hooks == {"Pod"}
    names = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(set(names)) == len(names)
    assert all(name == "shop" or name.startswith("shop-") for _, name in names)
    # What a GitOps tool puts into its own namespace it may put anywhere.
    assert {one["metadata"].get("namespace") for one in objects} == {None}
