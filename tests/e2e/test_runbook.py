"""Every command of docs/runbook.md, on a cluster, in the order of the page: each shows what stands beside it."""

import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.runbook import ROOT, Block, blocks, names_in, script, with_values
from tests.e2e.cluster import Cluster, Project, kubectl
from tests.service import eventually

PATIENCE = 420
"""Seconds for one block; one of them deploys, another rolls back."""
SETUP, *OTHERS = blocks()


@dataclass(frozen=True)
class Reader:
    """Somebody who pastes the page into a shell of theirs."""

    folder: Path
    values: Mapping[str, str]
    environment: Mapping[str, str]

    def paste(self, block: Block) -> None:
        """Run it after the first block, and hold each command to what the page says it shows."""
        told = self.folder / "told"
        told.mkdir(exist_ok=True)
        for old in told.iterdir():
            old.unlink()
        before = with_values(SETUP.text, self.values)
        if block == SETUP:
            before = ""
        steps = block.steps
        if block == SETUP:
            steps[0].command = with_values(steps[0].command, self.values)
        subprocess.run(
            ["bash", "-c", script(before, steps, told)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )
        for number, step in enumerate(steps):
            output = (told / f"{number}.out").read_text()
            print(f"\n{step.command}{output}", flush=True)
            status = int((told / f"{number}.status").read_text())
            complaint = step.complaint(status, output, names_in(self.values))
            assert complaint is None, f"{block.name}: {step.command}{complaint}:\n{output}"


@pytest.fixture(scope="module")
def reader(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A project of its own, since the page loses its data: with two verified versions, and a certificate."""
    project = Project(cluster, f"runbook-{secrets.token_hex(3)}")
    folder = tmp_path_factory.mktemp("runbook")
    try:
        for tag in ("1.0.0", "1.1.0"):
            deployed = project.deploy(tag)
            assert deployed.returncode == 0, deployed.stderr
        give_certificate(project, folder)
        # As DNS leads a visitor to the entrance. Of the address alone, the API server's is left as it is.
        (folder / ".curlrc").write_text(f'connect-to = "{project.host}:80:{cluster.ingress}"\n')
        context = kubectl("config", "current-context").strip()
        values = {
            "RELEASE": project.name,
            "NAMESPACE": project.name,
            "CONTEXT": context,
            "HOST": project.host,
            "URL": f"http://{project.host}",
            "ENVIRONMENT": "dev",
            "INGRESS_NAMESPACE": "ingress-nginx",
            "REPOSITORY": str(ROOT),
            "KEY": "counter",
        }
        environment = {**os.environ, "DEPLOY_INGRESS": cluster.ingress, "CURL_HOME": str(folder)}
        yield Reader(folder, values, environment)
    finally:
        project.delete()


def give_certificate(project: Project, folder: Path) -> None:
    """One in the Secret that the page names, and beside the reader another one to put in its place."""
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={project.host}"]
    for days, name in (("30", "first"), ("60", "tls")):
        files = ["-keyout", f"{name}.key", "-out", f"{name}.crt"]
        subprocess.run([*request, "-days", days, *files], cwd=folder, check=True, capture_output=True)
    files = [f"--cert={folder}/first.crt", f"--key={folder}/first.key"]
    project.kubectl("create", "secret", "tls", f"{project.name}-tls", *files)


@pytest.mark.parametrize("block", [SETUP, *OTHERS], ids=lambda block: block.name)
def test_each_command_shows_what_the_page_says(reader: Reader, block: Block) -> None:
    reader.paste(block)


def test_the_page_leaves_a_service_that_counts_on(reader: Reader, cluster: Cluster) -> None:
    """After all of it, in the order of the page: what was restored is there, and the next visit is the next number."""
    project = Project(cluster, reader.values["RELEASE"])
    eventually(lambda: project.get("/api/v1/counter").status == 200, "visitors are served", 60)
    before = project.get("/api/v1/counter").json["counter"]
    # What the smoke tests of two deploys had counted when the backup was made.
    assert before > 100
    assert project.get("/api/v1/counter", method="POST").json["counter"] == before + 1
