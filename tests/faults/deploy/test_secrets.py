"""No secret is seen in processes, in Helm's records, or in what deploy.sh prints and saves."""

import base64
import json
import threading
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.faults.deploy.conftest import MakeDeployment, fault_without_visitors
from tests.faults.deploy.kubeconfig import apply
from tests.faults.deploy.secrecy import assert_no_leak, leaks, password_of
from tests.faults.deploy.values import crashes, values_file


class ProcessWatch:
    """Collects the arguments and environments of all processes while the block runs, as `ps` shows them."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "ProcessWatch":
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    command = (process / "cmdline").read_bytes()
                    self.seen.add(command)
                    # The probe of Redis hands it to redis-cli in the environment, inside the pod.
                    if b"redis-cli" not in command:
                        self.seen.add((process / "environ").read_bytes())
                except OSError:
                    continue


SPECIAL = "pass/word+with=signs&a%41@:?#\\é'$(id)"


@pytest.mark.parametrize("given", ["", SPECIAL], ids=["generated", "given by a person"])
def test_no_secret_is_seen(make_deployment: MakeDeployment, tmp_path: Path, given: str) -> None:
    deployment = make_deployment()
    name = deployment.project.name
    options = []
    if given:
        # In the Secret that the tests know, so that they look for this one.
        deployment.project.kubectl("create", "namespace", name)
        labels = [f"deploy/project={name}", "deploy/environment=dev"]
        deployment.project.kubectl("label", "namespace", name, *labels)
        data = {"REDIS_PASSWORD": given}
        metadata = {"name": f"{name}-redis-auth"}
        apply(
            deployment.project,
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data},
        )
        secret = {"mode": "existing", "name": f"{name}-redis-auth"}
        options = ["--values", str(values_file(tmp_path, {"secret": secret}))]
    with ProcessWatch() as processes:
        told = "looking for the password everywhere" + (" (one with signs)" if given else "")
        with fault_without_visitors(told, deployment, 0) as line:
            line.run = deployment.run("1.0.0", *options)
        # Evidence is saved, too.
        with deployment.sources.edited("app/__main__.py", crashes):
            failed = deployment.run("1.0.1", *options)
    assert failed.process.returncode == 8, failed.output
    password = password_of(deployment)
    assert password == given or (not given and len(password) == 48)
    assert_no_leak(deployment, failed.output, password)
    assert len(list(deployment.evidence.rglob("*.txt"))) > 4
    assert any(b"upgrade" in seen for seen in processes.seen), "the watch did not see Helm"
    # The pods' processes are seen here, too: they read it from files.
    assert [seen for seen in processes.seen if leaks(password, seen)] == []
    for release in [name, f"{name}-redis"]:
        assert leaks(password, deployment.helm("get", "all", release).encode()) == []


def test_the_search_finds_every_form() -> None:
    """A control: each form that a password may leak in is one that is looked for."""
    for before in ["", "a", "ab"]:
        encoded = base64.b64encode(f"{before}{SPECIAL}".encode())
        assert leaks(SPECIAL, encoded), f"base64 after {len(before)} bytes"
    for text in [SPECIAL, json.dumps(SPECIAL), f"redis://:{quote(SPECIAL, safe='')}@redis"]:
        assert leaks(SPECIAL, text.encode()), text
    assert not leaks(SPECIAL, b"nothing of it")
