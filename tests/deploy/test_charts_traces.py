"""The values that docs/traces.md gives turn traces on."""

import re

import pytest
import yaml

from app.telemetry.tracing import Sampling, wanted_sampling
from tests.deploy.charts import HELMS, PROJECT, ROOT, SERVICE, documents


@pytest.mark.parametrize("helm", HELMS)
def test_the_values_of_the_page(helm: str) -> None:
    block = re.search(r"```yaml\n(.*?)```", (ROOT / "docs" / "traces.md").read_text(), re.DOTALL)
    assert block
    values = yaml.safe_load(block[1])
    objects = {
        one["kind"]: one
        for one in documents(SERVICE, "prod", values, helm)
        if one["metadata"]["name"] == PROJECT
    }
    (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    told = {one["name"]: one.get("value", "") for one in container["env"]}
    assert wanted_sampling(told) == Sampling(follows_parent=True, ratio=0.01)
    # Kubernetes expands what is defined before.
    names = list(told)
    assert names.index("POD_NAME") < names.index("OTEL_RESOURCE_ATTRIBUTES")
    assert told["OTEL_RESOURCE_ATTRIBUTES"] == "k8s.pod.name=$(POD_NAME)"
    (rule,) = values["networkPolicy"]["extraEgress"]
    assert rule in objects["NetworkPolicy"]["spec"]["egress"]
