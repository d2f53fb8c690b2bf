"""One commit, built in two folders, at two times, under two umasks, without a cache: the same image."""

import io
import json
import os
import re
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["localhost/visits-reproducible:first", "localhost/visits-reproducible:second"]
# The first docker whose BuildKit takes SOURCE_DATE_EPOCH: an older one tells beside the layers when it built.
EPOCH_SINCE = 23


class Entry(NamedTuple):
    """What a layer says of one file, but for its content."""

    name: str
    kind: bytes
    mode: int
    owner: tuple[int, int]
    changed: float
    size: int
    link: str


def docker(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        ["docker", *arguments], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def checkout(folder: Path, umask: int) -> None:
    """Write the files as git does for somebody with this umask."""
    folder.mkdir()
    command = ["git", "-C", str(ROOT), "checkout-index", "--all", f"--prefix={folder}/"]
    subprocess.run(command, check=True, umask=umask)


def build(folder: Path, name: str, buildkit: str) -> str:
    """Build as deploy.sh does, and return the image's own digest."""
    variables = {"DOCKER_BUILDKIT": buildkit, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    variables["SOURCE_DATE_EPOCH"] = "1767225600"
    docker("build", "--no-cache", "--tag", name, "--build-arg", "VERSION=1.0.0", str(folder), **variables)
    return docker("image", "inspect", "--format", "{{.Id}}", name)


def layers(name: str) -> list[str]:
    told = json.loads(docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", name))
    return [str(layer) for layer in told]


def entries(name: str) -> list[list[Entry]]:
    """The files of each layer, as the registry would get them."""
    saved = subprocess.run(["docker", "save", name], capture_output=True, check=True).stdout
    found = []
    with tarfile.open(fileobj=io.BytesIO(saved)) as image:
        manifest = image.extractfile("manifest.json")
        assert manifest is not None
        for layer in json.load(manifest)[0]["Layers"]:
            with tarfile.open(fileobj=image.extractfile(layer)) as files:
                found.append(
                    [
                        Entry(f.name, f.type, f.mode, (f.uid, f.gid), f.mtime, f.size, f.linkname)
                        for f in files
                    ]
                )
    return found


def difference(first: str, second: str) -> str:
    """The first few entries that differ, so that a failure says where the build looked at the clock."""
    told = []
    for number, (one, other) in enumerate(zip(entries(first), entries(second), strict=True)):
        differing = sorted(set(one) ^ set(other))
        told += [f"layer {number}: {entry}" for entry in differing[:6]]
    return "\n".join(told) or "only the order or the content of files differs"


class Built(NamedTuple):
    """Two builds of one commit by one builder."""

    buildkit: bool
    digests: list[str]


@pytest.fixture(scope="module", params=[False, True], ids=["legacy builder", "BuildKit"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    digests = []
    try:
        for name, umask in zip(NAMES, [0o022, 0o077], strict=True):
            folder = tmp_path_factory.mktemp(f"umask-{umask:o}") / "checkout"
            checkout(folder, umask)
            digests.append(build(folder, name, "1" if request.param else "0"))
            # Layers tell times in whole seconds: the next build begins in another one.
            before = int(time.time())
            while int(time.time()) == before:
                time.sleep(0.05)
        yield Built(request.param, digests)
    finally:
        for name in NAMES:
            subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True, check=False)


def test_the_same_commit_gives_the_same_image(built: Built) -> None:
    first, second = NAMES
    assert layers(first) == layers(second), difference(first, second)
    server = docker("version", "--format", "{{.Server.Version}}")
    if built.buildkit and int(re.split(r"\D", server)[0]) >= EPOCH_SINCE:
        assert built.digests[0] == built.digests[1]
    else:
        print(f"the same layers; beside them docker {server} tells when it built", flush=True)


@pytest.mark.usefixtures("built")
def test_no_layer_of_ours_tells_when_it_was_built() -> None:
    """Whatever the clock of the other build said."""
    base = re.findall(r"^ARG PYTHON_IMAGE=(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[0]
    # BuildKit keeps a base to itself.
    if subprocess.run(["docker", "image", "inspect", base], capture_output=True, check=False).returncode != 0:
        docker("pull", base)
    ours = entries(NAMES[0])[len(layers(base)) :]
    files = [entry for layer in ours for entry in layer]
    assert {"opt", "opt/venv", "srv", "srv/app"} <= {entry.name.rstrip("/") for entry in files}
    assert {entry.changed for entry in files} == {0}
    private = [entry.name for entry in files if not entry.link and entry.mode & 0o044 != 0o044]
    assert private == [], "not readable by everybody"
