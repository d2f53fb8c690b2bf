"""What deploy.sh does beside deploying, and other tools than the newest."""

import re
import shutil
from pathlib import Path

import pytest

from tests.e2e.cluster import ROOT
from tests.faults.deploy.conftest import MakeDeployment, fault
from tests.faults.deploy.deployment import Deployment, State
from tests.service import eventually


def test_status_and_history_name_what_was_verified(installed: Deployment) -> None:
    installed.deploys("6.0.0", "--no-candidate")
    revision = installed.revision().split()[0]
    status = installed.run_script(installed.project.name, "--status").output
    assert f"revision {revision} (deployed), verified: " in status
    assert f"{installed.project.name}:6.0.0@{installed.serving()}" in status
    assert "lock             free" in status
    history = installed.run_script(installed.project.name, "--history").output
    assert any(
        line.startswith(f"verified {revision} ") and ":6.0.0 " in line for line in history.splitlines()
    )


def test_the_plan_shows_what_would_change_and_writes_nothing(installed: Deployment, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("settings: {COUNTER_KEY: other}\nredis: {port: 6379}\n")

    def there() -> tuple[State, str]:
        kinds = "services,horizontalpodautoscalers,configmaps,secrets,leases"
        return installed.state(), installed.project.kubectl("get", kinds, "-o", "name")

    before = there()
    planned = installed.run("6.1.0", "--plan", "--values", str(values))
    assert planned.process.returncode == 20, planned.output
    assert re.search(r'^\+ +value: "?other"?$', planned.output, re.MULTILINE), planned.output
    assert "known after the build" in planned.output
    assert there() == before


def test_output_for_github_actions(installed: Deployment) -> None:
    run = installed.run("6.2.0", "--no-candidate", GITHUB_ACTIONS="true")
    assert run.process.returncode == 0, run.output
    lines = run.output.splitlines()
    assert lines.count("::endgroup::") == len([line for line in lines if line.startswith("::group::")])
    refused = installed.run("6.2.0", environment="staging", GITHUB_ACTIONS="true")
    assert "::error::the namespace" in refused.output


def test_the_oldest_kubectl_and_buildkit(installed: Deployment, tmp_path: Path) -> None:
    (tmp_path / "kubectl").symlink_to(ROOT / ".tools" / "kubectl-1.32")
    path = f"{tmp_path}:{installed.environment['PATH']}"
    with fault("kubectl 1.32, BuildKit", installed, 0) as line:
        line.run = installed.run("6.3.0", PATH=path, DOCKER_BUILDKIT="1")


SYSTEM_TOOLS = """
awk base64 cat cp cut date diff dirname env find grep gzip head id mkdir mktemp od
rm sed sleep sort tail tr uname wc xargs
"""


def test_without_gnu_tools(installed: Deployment, tmp_path: Path) -> None:
    """Busybox stands in for macOS: it knows no option that only GNU's tools have."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is not on PATH: apt-get install busybox-static")
    for tool in SYSTEM_TOOLS.split():
        (tmp_path / tool).symlink_to(busybox)
    for tool in ["bash", "cksum", "curl", "docker", "git", "kubectl"]:
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    helm = installed.environment["PATH"].split(":")[0]
    with fault("no GNU tools", installed, 0) as line:
        line.run = installed.run("6.4.0", PATH=f"{helm}:{tmp_path}")
    assert "bug: " not in line.run.output


def test_no_colour_in_a_pipe(installed: Deployment) -> None:
    assert "\x1b" not in installed.run("6.3.0", "--plan").output


def test_uninstall_asks_and_keeps_the_data(make_deployment: MakeDeployment) -> None:
    deployment = make_deployment()
    project, name = deployment.project, deployment.project.name
    run = deployment.run("1.0.0")
    assert run.process.returncode == 0, run.output
    counted = project.get("/").json["counter"]
    assert isinstance(counted, int)

    unasked = deployment.run_script(name, "--uninstall")
    assert unasked.process.returncode == 2, unasked.output
    assert "allowed: --yes" in unasked.output
    assert project.get("/readyz").status == 200

    removed = deployment.run_script(name, "--uninstall", "--yes")
    assert removed.process.returncode == 0, removed.output
    assert project.kubectl("get", "deployments,statefulsets,services,ingresses,leases", "-o", "name") == ""
    assert "persistentvolumeclaim" in project.kubectl("get", "pvc", "-o", "name")

    again = deployment.run("1.0.0")
    assert again.process.returncode == 0, again.output
    kept = project.get("/api/v1/counter").json["counter"]
    assert isinstance(kept, int)
    assert kept >= counted

    gone = deployment.run_script(name, "--uninstall", "--yes", "--delete-data")
    assert gone.process.returncode == 0, gone.output
    eventually(
        lambda: project.kubectl("get", "namespace", name, "--ignore-not-found") == "",
        "the namespace is gone",
        90,
    )


def test_one_project_after_another_with_the_same_host(make_deployment: MakeDeployment) -> None:
    first, second = make_deployment(), make_deployment()
    run = first.run("1.0.0")
    assert run.process.returncode == 0, run.output
    image = f"{second.project.cluster.registry}/{second.project.name}"
    arguments = [image, "1.0.0", second.project.name, first.project.host, "staging"]
    refused = second.run_script(*arguments)
    assert refused.process.returncode == 3, refused.output
    removed = first.run_script(first.project.name, "--uninstall", "--yes", "--delete-data")
    assert removed.process.returncode == 0, removed.output
    taken_over = second.run_script(*arguments)
    assert taken_over.process.returncode == 0, taken_over.output


def test_status_of_what_is_not_there(installed: Deployment) -> None:
    run = installed.run_script("no-such-project", "--status")
    assert run.process.returncode == 3
    assert "there is no namespace «no-such-project»" in run.output
