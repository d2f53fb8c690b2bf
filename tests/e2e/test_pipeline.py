"""The workflows' commands, with the variables that their jobs give, against this cluster and its registry."""

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.e2e.cluster import Cluster, Project

ROOT = Path(__file__).resolve().parents[2]
VERSION = "v9.8.7"
SMALL_PROD = {
    "ingress": {"plainHTTP": "allowed"},
    "redis": {"singlePod": "allowed"},
    "resources": {"requests": {"cpu": "25m", "memory": "64Mi"}},
    "autoscaling": {"maxReplicas": 3},
}


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
    target = ROOT / "sbom.cdx.json"
    target.unlink(missing_ok=True)
    step("release", "sign", "make sbom", given)
    components = json.loads(target.read_text())["components"]
    assert "tornado" in {one["name"] for one in components}


def test_the_charts_are_installed_from_the_registry(registry: str) -> None:
    told = step("release", "charts", "dev/ci/charts", {"REGISTRY": registry, "VERSION": VERSION})
    assert told.keys() == {"visits", "redis"}
    for name in told:
        chart = f"oci://{registry}/charts/{name}"
        shown = ["helm", "show", "chart", chart, "--version", VERSION.removeprefix("v"), "--plain-http"]
        text = subprocess.run(shown, check=True, capture_output=True, text=True).stdout
        assert yaml.safe_load(text)["version"] == VERSION.removeprefix("v")


@pytest.fixture(scope="module")
def without_docker(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH with all that this machine has, but for docker and podman."""
    folder = tmp_path_factory.mktemp("without-docker")
    for place in os.environ["PATH"].split(os.pathsep):
        for program in Path(place).iterdir() if Path(place).is_dir() else []:
            link = folder / program.name
            if program.name not in {"docker", "podman"} and not link.is_symlink():
                link.symlink_to(program)
    assert shutil.which("kubectl", path=str(folder))
    assert not shutil.which("docker", path=str(folder))
    return str(folder)


@pytest.fixture(scope="module")
def context() -> str:
    command = ["kubectl", "config", "current-context"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Promoted(NamedTuple):
    """A project, and what runs in its pods."""

    project: Project
    images: set[str]


def running(project: Project) -> Promoted:
    """What the pods of the service were told to run."""
    selector, path = "app.kubernetes.io/name=visits", "jsonpath={.items[*].spec.containers[*].image}"
    told = project.kubectl("get", "pods", "-l", selector, "-o", path)
    return Promoted(project, set(told.split()))


@pytest.fixture(scope="module")
def staging(cluster: Cluster, image: dict[str, str], context: str, without_docker: str) -> Iterator[Promoted]:
    """Deployed by the workflow's own step."""
    project = Project(cluster, f"visits-{secrets.token_hex(3)}")
    given = {"KUBECONFIG": os.environ["KUBECONFIG"], "DEPLOY_CONTEXT": context}
    given |= {"IMAGE": image["image"], "DIGEST": image["digest"]}
    given |= {"PROJECT": project.name, "BASE_URL": project.host}
    with pytest.MonkeyPatch.context() as machine:
        machine.setenv("PATH", without_docker)
        machine.setenv("DEPLOY_INGRESS", cluster.ingress)
        try:
            step("deploy", "staging", "./deploy.sh", given, "DEPLOY_INGRESS")
            yield running(project)
        finally:
            project.delete()


def test_staging_runs_the_digest_that_was_built(staging: Promoted, image: dict[str, str]) -> None:
    assert staging.images == {f"{image['image']}@{image['digest']}"}


def test_prod_runs_stagings_digest(
    staging: Promoted, context: str, without_docker: str, tmp_path: Path
) -> None:
    """The workflow's step for prod, on a cluster without certificates and with a Redis of one pod."""
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(SMALL_PROD))
    cluster = staging.project.cluster
    prod = Project(cluster, f"visits-{secrets.token_hex(3)}")
    (reference,) = staging.images
    command = ["./deploy.sh", reference, prod.name, prod.host, "prod", "--values", str(values)]
    environment = os.environ | {"PATH": without_docker, "DEPLOY_CONTEXT": context}
    try:
        done = subprocess.run(
            [*command, "--ingress", cluster.ingress],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert running(prod).images == staging.images
    finally:
        prod.delete()
