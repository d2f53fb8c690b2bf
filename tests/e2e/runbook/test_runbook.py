"""Every command of docs/runbook.md, on a cluster, in its order: each shows what stands beside it."""

import contextlib
import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.docs.runbook import ROOT, Block, anchor, blocks, names_in, script, with_values
from tests.e2e.cluster import Cluster, Project, kubectl
from tests.e2e.rights import grant
from tests.faults.deploy.kubeconfig import of_service_account
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
    outputs: dict[str, list[str]] = field(default_factory=dict)
    """What each command of a block showed, by the block's name."""

    def paste(self, block: Block) -> None:
        """Run it after the first block, and hold each command to what the page says it shows."""
        told = self.folder / f"{anchor(block.section)}-{block.number}"
        told.mkdir()
        before, steps = with_values(SETUP.text, self.values), block.steps
        if block == SETUP:
            before, steps = "", replace(block, text=before).steps
        with contextlib.suppress(subprocess.TimeoutExpired):
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
            output, status = (told / f"{number}.out").read_text(), told / f"{number}.status"
            self.outputs.setdefault(block.name, []).append(output.strip())
            print(f"\n{step.command}{output}", flush=True)
            assert status.exists(), f"{block.name}: {step.command}has not ended after {PATIENCE} s:\n{output}"
            complaint = step.complaint(int(status.read_text()), output, names_in(self.values))
            assert complaint is None, f"{block.name}: {step.command}{complaint}:\n{output}"


@pytest.fixture(scope="module")
def reader(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A project of its own, since the page loses its data: with two verified versions, and a certificate.

    Its reader has the rights that the page says, and no others.
    """
    project = Project(cluster, f"runbook-{secrets.token_hex(3)}")
    folder = tmp_path_factory.mktemp("runbook")
    try:
        grant(project, "namespace.yaml", "role.yaml", "on-call.yaml")
        for tag in ("1.0.0", "1.1.0"):
            deployed = project.deploy(tag)
            assert deployed.returncode == 0, deployed.stderr
        give_certificate(project, folder)
        # As DNS leads a visitor to the entrance.
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
            "DB": "0",
        }
        environment = {
            **os.environ,
            "KUBECONFIG": str(of_service_account(project, folder, "deployer")),
            "DEPLOY_INGRESS": cluster.ingress,
            "CURL_HOME": str(folder),
        }
        yield Reader(folder, values, environment)
    finally:
        for kind in ("rolebinding", "role"):
            kubectl(
                "delete", kind, f"{project.name}-on-call", "--namespace=ingress-nginx", "--ignore-not-found"
            )
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
def test_each_command_shows_what_the_page_says(reader: Reader, cluster: Cluster, block: Block) -> None:
    reader.paste(block)
    if block.section == "Backup":
        # What a restore takes away again.
        for _ in range(3):
            assert Project(cluster, reader.values["RELEASE"]).get("/", accept="text/html").status == 200


def test_what_was_restored_is_what_was_backed_up(reader: Reader) -> None:
    """Each of these blocks ends with the counter."""
    saved, restored, lost = (
        reader.outputs[f"{name}, 1"][-1] for name in ("Backup", "Restore", "A lost volume")
    )
    assert int(saved) > 0
    assert (restored, lost) == (saved, saved)


def test_the_page_leaves_a_service_that_counts_on(reader: Reader, cluster: Cluster) -> None:
    project = Project(cluster, reader.values["RELEASE"])
    eventually(lambda: project.get("/api/v1/counter").status == 200, "visitors are served", 60)
    before = project.get("/api/v1/counter").json["counter"]
    assert before == int(reader.outputs["A lost volume, 1"][-1])
    assert project.get("/api/v1/counter", method="POST").json["counter"] == before + 1
