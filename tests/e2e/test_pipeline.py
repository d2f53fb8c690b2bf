"""The workflows' commands, with the variables that their jobs give, against this cluster and its registry."""

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.cluster import Cluster, Project

ROOT = Path(__file__).resolve().parents[2]
VERSION = "v9.8.7"


def step(workflow: str, job: str, command: str, given: dict[str, str], *inherited: str) -> dict[str, str]:
    """Run one step of a workflow; its environment must be all of what the workflow gives, and no more."""
    read: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / f"{workflow}.yaml").read_text())
    whole = read["jobs"][job]
    found = next(one for one in whole["steps"] if one.get("run", "").startswith(command))
    declared = {**read.get("env", {}), **whole.get("env", {}), **found.get("env", {})}
    assert declared.keys() == given.keys()
    environment = {name: os.environ[name] for name in ["PATH", "HOME", *inherited]}
    print(f"\n+ {found['run']}", flush=True)
    done = subprocess.run(
        ["bash", "-ec", found["run"]],
        cwd=ROOT,
        env=environment | given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


@pytest.fixture(scope="module")
def registry(cluster: Cluster) -> str:
    """A folder of the registry for this run."""
    return f"{cluster.registry}/pipeline-{secrets.token_hex(3)}"


@pytest.fixture(scope="module")
def image(registry: str) -> dict[str, str]:
    """What the jobs of image.yaml tell the ones after them."""
    given = {"REGISTRY": registry, "VERSION": VERSION}
    built = step("image", "build", "dev/ci/image", given | {"SOURCE": "https://example.com/visits"})
    indexed = step("image", "index", "dev/ci/index", given | {"DIGESTS": " ".join(built.values())})
    return built | indexed


def test_login_takes_the_token_from_the_job(
    registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    given = {"REGISTRY": registry, "VERSION": VERSION, "REGISTRY_USER": "nobody", "REGISTRY_TOKEN": "none"}
    step("image", "build", "dev/ci/login", given, "DOCKER_CONFIG")
    assert registry.partition("/")[0] in (tmp_path / "config.json").read_text()


def test_the_image_is_pulled_by_the_index_digest(image: dict[str, str]) -> None:
    reference = f"{image['image']}@{image['digest']}"
    subprocess.run(["docker", "pull", reference], check=True, capture_output=True)
    told = subprocess.run(["docker", "image", "inspect", reference], check=True, capture_output=True).stdout
    labels = json.loads(told)[0]["Config"]["Labels"]
    assert labels["org.opencontainers.image.source"] == "https://example.com/visits"
    assert labels["org.opencontainers.image.version"] == VERSION.removeprefix("v")
    assert labels["org.opencontainers.image.licenses"] == "MIT"
    assert labels["org.opencontainers.image.base.name"].startswith("python:")


def test_its_bill_of_materials_is_written(image: dict[str, str], registry: str) -> None:
    digest = image.get("amd64") or image["arm64"]
    given = {"REGISTRY": registry, "VERSION": VERSION, "IMAGE": f"{image['image']}@{digest}"}
    step("release", "sign", "make sbom", given)
    components = json.loads((ROOT / "sbom.cdx.json").read_text())["components"]
    assert "tornado" in {one["name"] for one in components}


def test_the_charts_are_installed_from_the_registry(registry: str) -> None:
    told = step("release", "charts", "dev/ci/charts", {"REGISTRY": registry, "VERSION": VERSION})
    assert told.keys() == {"visits", "redis"}
    for name in told:
        chart = f"oci://{registry}/charts/{name}"
        shown = ["helm", "show", "chart", chart, "--version", VERSION.removeprefix("v"), "--plain-http"]
        text = subprocess.run(shown, check=True, capture_output=True, text=True).stdout
        assert yaml.safe_load(text)["version"] == VERSION.removeprefix("v")


@pytest.fixture
def promoted(cluster: Cluster) -> Iterator[Project]:
    project = Project(cluster, f"visits-{secrets.token_hex(3)}")
    yield project
    project.delete()


def test_staging_runs_the_digest_that_was_built(
    promoted: Project, image: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOY_INGRESS", promoted.cluster.ingress)
    context = subprocess.run(
        ["kubectl", "config", "current-context"], check=True, capture_output=True, text=True
    ).stdout.strip()
    given = {"KUBECONFIG": os.environ["KUBECONFIG"], "DEPLOY_CONTEXT": context}
    given |= {"IMAGE": image["image"], "DIGEST": image["digest"]}
    given |= {"PROJECT": promoted.name, "BASE_URL": promoted.host}
    step("deploy", "staging", "./deploy.sh", given, "DEPLOY_INGRESS")
    pods = promoted.kubectl("get", "pods", "-l", "app.kubernetes.io/name=visits", "-o", "jsonpath={..image}")
    assert f"{image['image']}@{image['digest']}" in pods.split()
