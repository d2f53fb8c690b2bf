"""The bill of materials of the deployed image misses nothing that pip and dpkg list inside it."""

import json
import subprocess

import pytest

from dev import sbom
from tests.e2e.cluster import Project

Packages = set[tuple[str, str]]


def inside(image: str, *command: str) -> str:
    run = ["docker", "run", "--rm", "--network", "none", "--entrypoint", command[0], image, *command[1:]]
    return subprocess.run(run, capture_output=True, text=True, check=True).stdout


def canonical(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def listed_by_pip(image: str, *options: str) -> Packages:
    pip = ["/usr/local/bin/python", "-m", "pip", "--disable-pip-version-check", *options]
    told = json.loads(inside(image, *pip, "list", "--format", "json"))
    return {(canonical(one["name"]), one["version"]) for one in told}


@pytest.fixture(scope="module")
def image(project: Project) -> str:
    return f"{project.cluster.registry}/visits:1.0.0"


@pytest.fixture(scope="module")
def components(image: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Packages]:
    """What the bill has, by the kind that its package URLs name."""
    target = tmp_path_factory.mktemp("sbom") / "sbom.json"
    sbom.main(image, target)
    found: dict[str, Packages] = {"deb": set(), "pypi": set(), "generic": set()}
    for one in json.loads(target.read_text())["components"]:
        kind = one["purl"].partition("/")[0].removeprefix("pkg:")
        found[kind].add((canonical(one["name"]) if kind == "pypi" else one["name"], one["version"]))
    return found


def test_no_package_of_dpkg_is_missing(image: str, components: dict[str, Packages]) -> None:
    form = "${db:Status-Status} ${Package} ${Version}\n"
    lines = [line.split() for line in inside(image, "dpkg-query", "-W", "-f", form).splitlines()]
    # Of what was removed its configuration may still be listed.
    listed = {(name, version) for status, name, version in lines if status == "installed"}
    assert len(listed) > 20
    assert listed == components["deb"]


def test_no_package_of_python_is_missing(image: str, components: dict[str, Packages]) -> None:
    service = listed_by_pip(image, "--python", "/opt/venv/bin/python")
    assert "tornado" in {name for name, _ in service}
    listed = service | listed_by_pip(image)
    print(f"{len(listed)} packages of Python, {len(components['deb'])} of dpkg, 0 missing", flush=True)
    assert listed - components["pypi"] == set()


def test_python_itself_is_there(image: str, components: dict[str, Packages]) -> None:
    version = inside(
        image, "/usr/local/bin/python", "-c", "import platform; print(platform.python_version())"
    )
    assert components["generic"] == {("python", version.strip())}
