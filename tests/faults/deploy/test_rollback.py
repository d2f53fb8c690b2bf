"""Back on request: always to what was verified, never forward unless it is named; and the number of pods."""

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.deploy.conftest import fault
from tests.faults.deploy.deployment import Deployment
from tests.faults.deploy.values import values_file


def version(deployment: Deployment) -> object:
    return deployment.project.get("/version").json["version"]


def test_back_and_back_again(installed: Deployment) -> None:
    name = installed.project.name
    for tag in ["14.0.0", "14.0.1", "14.0.2"]:
        installed.deploys(tag, "--no-candidate")
    newest = installed.revision().split()[0]
    for told, tag in [("--rollback", "14.0.1"), ("--rollback once more", "14.0.0")]:
        with fault(told, installed, 0, f":{tag} serves") as line:
            line.run = installed.run_script(name, "--rollback")
        assert version(installed) == tag
    with fault("--rollback-to a later revision", installed, 0, ":14.0.2 serves") as line:
        line.run = installed.run_script(name, "--rollback-to", newest)
    assert version(installed) == "14.0.2"


def test_interrupted_and_again(installed: Deployment) -> None:
    """It is finished. The version that it was to leave is the last verified one all the while."""
    name = installed.project.name
    for tag in ["16.0.0", "16.0.1"]:
        installed.deploys(tag, "--no-candidate")
    with fault("--rollback interrupted, and again", installed, 0, ":16.0.0 serves") as line:
        first = installed.start_script(name, "--rollback")
        first.await_line(f"deployment {name}: ")
        first.interrupt(signal.SIGTERM)
        assert first.wait() == 143, first.output
        line.run = installed.run_script(name, "--rollback")
    assert version(installed) == "16.0.0"


def test_to_a_revision_that_was_not_verified(installed: Deployment) -> None:
    chart = str(installed.sources.folder / ".helm")
    options = ["--reuse-values", "--set-string", "annotations.changed-by=hand"]
    installed.helm("upgrade", installed.project.name, chart, *options)
    revision = installed.revision().split()[0]
    says = f"has no verified revision {revision} (verified: "
    with fault("--rollback-to what was not verified", installed, 10, says, changes_nothing=True) as line:
        line.run = installed.run_script(installed.project.name, "--rollback-to", revision)


@contextmanager
def ready_pods(deployment: Deployment) -> Iterator[list[int]]:
    """Every number of ready pods that the Deployment had while the block ran, as the API server told them."""
    seen: list[int] = []
    name = deployment.project.name
    watch = subprocess.Popen(
        ["kubectl", "--namespace", name, "get", "deployment", name, "--watch", "-o", "json"],
        stdout=subprocess.PIPE,
        text=True,
    )

    def read() -> None:
        assert watch.stdout is not None
        decoder, text = json.JSONDecoder(), ""
        for line in watch.stdout:
            text += line
            if line.rstrip("\n") == "}":
                status = decoder.decode(text)["status"]
                seen.append(int(status.get("readyReplicas", 0)))
                text = ""

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield seen
    finally:
        watch.terminate()
        watch.wait()
        reader.join()
        assert watch.stdout is not None
        watch.stdout.close()


def test_the_autoscaler_is_turned_off_and_on(installed_by_each: Deployment, tmp_path: Path) -> None:
    installed = installed_by_each
    off = values_file(tmp_path, {"autoscaling": {"enabled": False}})
    autoscaler = ["get", "horizontalpodautoscaler", "-o", "name"]
    with ready_pods(installed) as ready:
        with fault("autoscaler turned off", installed, 0) as line:
            line.run = installed.run("14.1.0", "--no-candidate", "--values", str(off))
        assert installed.project.kubectl(*autoscaler) == ""
        with fault("autoscaler turned on", installed, 0) as line:
            line.run = installed.run("14.1.0")
        assert installed.project.kubectl(*autoscaler) != ""
        with fault("--rollback over the autoscaler's end", installed, 0) as line:
            line.run = installed.run_script(installed.project.name, "--rollback")
    assert len(ready) > 1, "nothing was seen"
    assert min(ready) >= 3
