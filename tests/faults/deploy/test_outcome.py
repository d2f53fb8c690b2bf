"""What a pipeline needs: a version by its digest, and to be told how it ended, also when that goes wrong."""

import json
from pathlib import Path

from tests.faults.deploy.conftest import fault
from tests.faults.deploy.deployment import Deployment


def test_a_digest_is_deployed_without_docker(installed: Deployment, tmp_path: Path) -> None:
    asked = installed.serving()
    installed.deploys("6.5.0", "--no-candidate")
    assert installed.serving() != asked
    for tool in ["docker", "podman"]:
        (tmp_path / tool).write_text(f'#!/bin/sh\necho "$*" >>"{tmp_path}/called"\nexit 1\n')
        (tmp_path / tool).chmod(0o755)
    project = installed.project
    image = f"{project.cluster.registry}/{project.name}@{asked}"
    path = f"{tmp_path}:{installed.environment['PATH']}"
    with fault("an older digest again, docker is away", installed, 0) as line:
        line.run = installed.run_script(image, project.name, project.host, "dev", PATH=path)
    assert installed.serving() == asked
    assert not (tmp_path / "called").exists()
    pods = json.loads(
        project.kubectl("get", "pods", "-l", f"app.kubernetes.io/instance={project.name}", "-o", "json")
    )["items"]
    # Pods of the version before may still be on their way out.
    staying = [pod["status"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    images = [container["imageID"] for status in staying for container in status["containerStatuses"]]
    assert {image.rpartition("@")[2] for image in images} == {asked}


def test_whoever_is_told_hangs(installed: Deployment, tmp_path: Path) -> None:
    """The deploy ends as it would have ended, and frees the lock before."""
    told = tmp_path / "told"
    program = tmp_path / "tell-the-team"
    program.write_text(f'#!/bin/sh\ncat >"{told}"\nexec sleep 300\n')
    program.chmod(0o755)
    says = "could not be built"
    with fault("build fails, and so does DEPLOY_NOTIFY", installed, 4, says) as line:
        with installed.sources.edited("Dockerfile", lambda text: text + "RUN false\n"):
            line.run = installed.start("6.6.0", DEPLOY_NOTIFY=str(program))
            line.run.await_line(says)
            line.run.wait(30)
    assert "took over 10 s" in line.run.output
    outcome = json.loads(told.read_text())
    assert (outcome["status"], outcome["step"], outcome["outcome"]) == (4, "build", "failed")
    assert says in outcome["message"]


def test_who_made_each_revision_and_how_that_ended_is_remembered(installed: Deployment) -> None:
    history = json.loads(installed.run_script(installed.project.name, "--history", "--json").lines[-1])
    made = [one for one in history if one["outcome"]]
    assert made, history
    assert 0 in {one["outcome"]["status"] for one in made if one["verified"]}
    assert all(all(one["outcome"]["by"].split("@")) for one in made)
