"""Write what is in an image as a CycloneDX bill of materials: python -m dev.sbom IMAGE FILE.

Read from the image's files, without starting it: so an image of another architecture will do, too, and what
pip and dpkg say inside is a check of its own (tests/e2e/test_sbom.py).
"""

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

DPKG = "var/lib/dpkg/status"
SYSTEM = "usr/lib/os-release"
PACKAGE = ".dist-info/METADATA"
ENVIRONMENT = "opt/venv/pyvenv.cfg"


class Contents(NamedTuple):
    """What an image's files say of themselves; Python packages by the folder that they are in."""

    dpkg: str
    system: dict[str, str]
    python: dict[str, Message]
    environment: dict[str, str]
    """pyvenv.cfg of the service's virtual environment."""


def read(image: IO[bytes]) -> Contents:
    """Read the files of an image, as `docker export` writes them."""
    dpkg, system, python, environment = "", {}, {}, {}
    with tarfile.open(fileobj=image, mode="r|") as files:
        for member in files:
            name = member.name.removeprefix("./")
            if not member.isfile() or not (name in {DPKG, SYSTEM, ENVIRONMENT} or name.endswith(PACKAGE)):
                continue
            opened = files.extractfile(member)
            text = opened.read().decode() if opened else ""
            if name == DPKG:
                dpkg = text
            elif name == SYSTEM:
                system = settings(text)
            elif name == ENVIRONMENT:
                environment = settings(text)
            else:
                python[name.removesuffix(PACKAGE)] = Parser().parsestr(text, headersonly=True)
    return Contents(dpkg, system, python, environment)


def settings(text: str) -> dict[str, str]:
    """Of a file with lines such as `ID="debian"` or `version = 3.13.9`."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip().strip('"') for key, value in pairs}


def debian(contents: Contents) -> Iterator[Component]:
    distro = f"{contents.system.get('ID', 'debian')}-{contents.system.get('VERSION_ID', '')}".rstrip("-")
    for paragraph in contents.dpkg.split("\n\n"):
        fields = Parser().parsestr(paragraph.strip(), headersonly=True)
        # What was removed and left its configuration is listed, too.
        if fields.get("Status", "").split()[-1:] != ["installed"]:
            continue
        name, version = fields["Package"], fields["Version"]
        where = {"arch": fields["Architecture"], "distro": distro}
        url = PackageURL("deb", contents.system.get("ID", "debian"), name, version, where)
        yield Component(
            name=name, version=version, type=ComponentType.LIBRARY, purl=url, bom_ref=url.to_string()
        )


def python_packages(contents: Contents) -> Iterator[Component]:
    """Each with its place: the base image has a pip of its own, and packages bring others along."""
    for place, metadata in contents.python.items():
        name, version = metadata["Name"], metadata["Version"]
        said = metadata.get("License-Expression")
        url = PackageURL("pypi", None, name.lower().replace("_", "-"), version)
        yield Component(
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            purl=url,
            licenses=[LicenseExpression(said)] if said else [],
            properties=[Property(name="visits:place", value=f"/{place}")],
            bom_ref=f"{url.to_string()}#{quote(place)}",
        )


def python_itself(contents: Contents) -> Iterator[Component]:
    """The official images compile Python, so no list of packages has it; what was made with it does."""
    if version := contents.environment.get("version"):
        url = PackageURL("generic", None, "python", version)
        yield Component(
            name="python",
            version=version,
            type=ComponentType.PLATFORM,
            purl=url,
            cpe=f"cpe:2.3:a:python:python:{version}:*:*:*:*:*:*:*",
            bom_ref=url.to_string(),
        )


def bill(image: str, identity: str, version: str, components: list[Component]) -> str:
    """The bill as JSON; the same image gets the same text, so no time and no chance is in it."""
    whole = Component(name=image, version=version, type=ComponentType.CONTAINER, bom_ref=identity)
    bom = Bom(components=components, serial_number=uuid5(NAMESPACE_URL, identity))
    bom.metadata.component = whole
    bom.register_dependency(whole, components)
    told = json.loads(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string())
    del told["metadata"]["timestamp"]
    return json.dumps(told, indent=2, sort_keys=True) + "\n"


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        sys.exit(f"sbom: docker {arguments[0]} failed: {last}")
    return done.stdout.strip()


def main(image: str, target: Path) -> None:
    here = subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False)
    if here.returncode != 0:
        docker("pull", "--quiet", image)
    about = json.loads(docker("image", "inspect", image))[0]
    # Never started: a name to export from.
    container = docker("create", image)
    try:
        with subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE) as export:
            if export.stdout is None:
                raise AssertionError("a pipe was asked for")
            contents = read(export.stdout)
        if export.returncode != 0:
            sys.exit(f"sbom: docker export failed, exit status {export.returncode}: {image} is read in part")
    finally:
        docker("rm", container)
    system = list(debian(contents))
    packages = list(python_packages(contents))
    itself = list(python_itself(contents))
    if not (system and packages and itself):
        found = f"{len(system)} packages by dpkg, {len(packages)} of Python, {len(itself)} Python"
        sys.exit(f"sbom: {image} has {found}: not an image that this reads; see dev/sbom.py")
    labels = about["Config"].get("Labels") or {}
    version = labels.get("org.opencontainers.image.version", "unknown")
    name = image.partition("@")[0]
    target.write_text(bill(name, about["Id"], version, [*system, *packages, *itself]))
    print(f"sbom: {target}: {len(system)} packages by dpkg, {len(packages)} of Python", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 3:  # noqa: PLR2004 - the two that the first line names
        sys.exit("sbom: usage: python -m dev.sbom IMAGE FILE, or: make sbom IMAGE=name")
    main(sys.argv[1], Path(sys.argv[2]))
