"""The bill of materials of a small image's files. The real image: tests/e2e/test_sbom.py."""

import io
import json
import tarfile
import uuid
from pathlib import Path

import pytest

from dev.sbom import bill, debian, main, python_itself, python_packages, read

DPKG = """\
Package: zlib1g
Status: install ok installed
Architecture: amd64
Version: 1:1.3.dfsg+really1.3.1-1+b1

Package: left-behind
Status: deinstall ok config-files
Architecture: all
Version: 1.0
"""
FILES = {
    "var/lib/dpkg/status": DPKG,
    "usr/lib/os-release": 'ID=debian\nVERSION_ID="13"\n',
    "opt/venv/lib/python3.13/site-packages/tornado-6.6.1.dist-info/METADATA": (
        "Metadata-Version: 2.4\nName: tornado\nVersion: 6.6.1\nLicense-Expression: Apache-2.0\n\nName: no\n"
    ),
    "usr/local/lib/python3.13/site-packages/typing_extensions-4.16.0.dist-info/METADATA": (
        "Metadata-Version: 2.1\nName: typing_extensions\nVersion: 4.16.0\n\n"
    ),
    "opt/venv/pyvenv.cfg": "home = /usr/local/bin\nversion = 3.13.9\n",
    "usr/share/doc/METADATA": "Name: none\nVersion: 0\n",
}


def image() -> io.BytesIO:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as files:
        for name, text in FILES.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(text)
            files.addfile(member, io.BytesIO(text.encode()))
    written.seek(0)
    return written


def written() -> str:
    contents = read(image())
    components = [
        *debian(contents),
        *python_packages(contents),
        *python_itself(contents),
    ]
    return bill("registry.test/visits", "sha256:abc", "1.0.0", components)


def test_it_lists_what_is_installed_and_nothing_else() -> None:
    told = json.loads(written())
    assert {one["purl"] for one in told["components"]} == {
        "pkg:deb/debian/zlib1g@1:1.3.dfsg%2Breally1.3.1-1%2Bb1?arch=amd64&distro=debian-13",
        "pkg:pypi/tornado@6.6.1",
        "pkg:pypi/typing-extensions@4.16.0",
        "pkg:generic/python@3.13.9",
    }
    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.6")
    assert told["metadata"]["component"]["name"] == "registry.test/visits"


def test_half_an_image_is_no_bill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came before docker failed is a whole archive to whoever reads it."""
    (tmp_path / "files.tar").write_bytes(image().getvalue())
    about = json.dumps([{"Id": "sha256:abc", "Config": {"Labels": None}}])
    stub = tmp_path / "docker"
    stub.write_text(
        f"#!/bin/sh\ncase $1 in image) echo '{about}' ;; create) echo one ;;"
        f' export) cat "{tmp_path}/files.tar"; exit "$EXPORT" ;; esac\n'
    )
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    target = tmp_path / "sbom.json"
    monkeypatch.setenv("EXPORT", "1")
    with pytest.raises(SystemExit, match="docker export failed"):
        main("registry.test/visits", target)
    assert not target.exists()
    monkeypatch.setenv("EXPORT", "0")
    main("registry.test/visits", target)
    assert json.loads(target.read_text())["bomFormat"] == "CycloneDX"


def test_it_says_licences_and_places() -> None:
    tornado = next(one for one in json.loads(written())["components"] if one["name"] == "tornado")
    assert tornado["licenses"] == [{"expression": "Apache-2.0"}]
    assert [one["value"] for one in tornado["properties"]] == [
        "/opt/venv/lib/python3.13/site-packages/tornado-6.6.1"
    ]


def test_the_same_image_gets_the_same_text() -> None:
    assert written() == written()
    assert uuid.UUID(json.loads(written())["serialNumber"]).version == 5
