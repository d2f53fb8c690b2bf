"""The plan never lies: the objects that it names are those that change, and no others."""

import json
import os
import re
import secrets
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from tests.faults.deploy.deployment import Deployment
from tests.faults.deploy.random_values import random_values
from tests.faults.deploy.values import values_file

KINDS = (
    "configmaps,serviceaccounts,services,deployments,horizontalpodautoscalers,poddisruptionbudgets,ingresses,"
    "networkpolicies"
)
OF_THE_CLUSTER = ["resourceVersion", "generation", "managedFields", "uid", "creationTimestamp"]


@pytest.fixture
def chance() -> Random:
    """Other changes in every run; a failure names the number that repeats it."""
    seed = os.environ.get("PLAN_SEED") or str(secrets.randbits(32))
    print(f"PLAN_SEED={seed}")
    return Random(seed)  # noqa: S311 - chance, not a secret


def objects(deployment: Deployment) -> dict[str, dict[str, Any]]:
    """What the release's objects in the cluster say, by kind and name, without what the cluster adds.

    The candidate's NetworkPolicy is deploy.sh's own, and no object of the release.
    """
    instance = f"app.kubernetes.io/instance={deployment.project.name}"
    listed = json.loads(deployment.project.kubectl("get", KINDS, "-l", instance, "-o", "json"))["items"]
    found = {f"{item['kind']}/{item['metadata']['name']}": item for item in listed}
    found.pop(f"NetworkPolicy/{deployment.project.name}-candidate", None)
    for item in found.values():
        item.pop("status", None)
        for field in OF_THE_CLUSTER:
            item["metadata"].pop(field, None)
        item["metadata"].get("annotations", {}).pop("deployment.kubernetes.io/revision", None)
    name = deployment.project.name
    if f"HorizontalPodAutoscaler/{name}" in found:
        found[f"Deployment/{name}"]["spec"].pop("replicas")
    return found


def changed(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def plan(deployment: Deployment, tag: str, values: Path) -> set[str]:
    """The objects of the service's release that --plan names."""
    planned = deployment.run(tag, "--plan", "--values", str(values))
    assert planned.process.returncode in (0, 20), planned.output
    _, _, told = planned.output.partition(f"# release {deployment.project.name}: ")
    return set(re.findall(r"^#   [-+~] (\S+)$", told, re.MULTILINE))


def upgrade(deployment: Deployment, values: Path) -> None:
    """What deploy.sh applies, by Helm alone, which does not wait for pods."""
    chart = str(deployment.sources.folder / ".helm")
    command = ["upgrade", deployment.project.name, chart, "--server-side=false", "--history-max", "100"]
    deployment.helm(*command, "--values", f"{chart}/values-dev.yaml", "--values", str(values))


def test_thirty_random_changes(installed: Deployment, tmp_path: Path, chance: Random) -> None:
    tag = "7.0.0"
    run = installed.run(tag)
    assert run.process.returncode == 0, run.output
    given = tmp_path / "given.yaml"
    given.write_text(installed.helm("get", "values", installed.project.name, "-o", "yaml"))
    image_and_host = yaml.safe_load(given.read_text())
    assert plan(installed, tag, values_file(tmp_path, {})) == set()
    for _ in range(30):
        values = random_values(chance)
        named = plan(installed, tag, values_file(tmp_path, values))
        before = objects(installed)
        both = tmp_path / "both.yaml"
        both.write_text(yaml.safe_dump(with_given(values, image_and_host)))
        upgrade(installed, both)
        assert named == changed(before, objects(installed)), values
        upgrade(installed, given)
        assert named, values
    again = installed.run(tag)
    assert again.process.returncode == 0, again.output


def with_given(values: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The image and the host that deploy.sh gives, beside the team's values."""
    return {**given, **values, "ingress": {**given["ingress"], **values.get("ingress", {})}}


def test_five_random_deploys(installed: Deployment, tmp_path: Path, chance: Random) -> None:
    tag = "7.1.0"
    run = installed.run(tag)
    assert run.process.returncode == 0, run.output
    for _ in range(5):
        values = random_values(chance)
        file = values_file(tmp_path, values)
        named = plan(installed, tag, file)
        before = objects(installed)
        deployed = installed.run(tag, "--values", str(file))
        assert deployed.process.returncode == 0, (values, deployed.output)
        assert named == changed(before, objects(installed)), values
