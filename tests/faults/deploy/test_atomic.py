"""The same faults met by `helm upgrade --install --atomic`, for the table."""

import os
import subprocess

from tests.faults.deploy.conftest import Line, record
from tests.faults.deploy.deployment import Deployment, Run


def atomic(deployment: Deployment, *options: str) -> Run:
    name, project = deployment.project.name, deployment.project
    chart = str(deployment.sources.folder / ".helm")
    command = [
        "helm",
        "--namespace",
        name,
        "upgrade",
        "--install",
        name,
        chart,
        "--atomic",
        "--timeout",
        "60s",
    ]
    values = [
        "--values",
        f"{chart}/values-dev.yaml",
        "--set-string",
        f"ingress.host={project.host}",
        *options,
    ]
    process = subprocess.Popen(
        [*command, *values],
        env={**os.environ, **deployment.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    run = Run(process)
    run.wait()
    return run


def test_helm_alone(installed: Deployment) -> None:
    """What is recorded is what happens; only the exit status is asserted."""
    deployment = installed
    repository = f"image.repository={deployment.project.cluster.registry}/{deployment.project.name}"
    missing = f"{repository},image.digest=sha256:{'0' * 64}"
    for fault, options in [
        ("nodes cannot pull the image: helm --atomic", ["--set-string", missing]),
        (
            "new version never becomes ready: helm --atomic",
            [
                "--set-string",
                f"{repository},image.digest={deployment.serving()}",
                *never_ready_options(deployment),
            ],
        ),
    ]:
        line = Line(deployment, None)
        line.run = atomic(deployment, *options)
        assert line.run.process.returncode != 0, line.run.output
        record(fault, line)


def never_ready_options(deployment: Deployment) -> list[str]:
    secret = f"secret.mode=existing,secret.name={deployment.project.name}-redis-auth"
    return ["--set-string", f"redis.mode=external,redis.host=redis.invalid,{secret}"]
