"""No secret is seen in processes, in Helm's records, or in what deploy.sh prints and saves."""

import threading
from pathlib import Path

from tests.faults.deploy.conftest import MakeDeployment, fault_without_visitors, password_of


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
        while not self._ended.wait(0.01):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    command = (process / "cmdline").read_bytes()
                    self.seen.add(command)
                    # The probe of Redis hands it to redis-cli in the environment, inside the pod.
                    if b"redis-cli" not in command:
                        self.seen.add((process / "environ").read_bytes())
                except OSError:
                    continue


def test_no_secret_is_seen(make_deployment: MakeDeployment) -> None:
    deployment = make_deployment()
    with ProcessWatch() as processes:
        with fault_without_visitors("looking for the password everywhere", deployment, 0) as line:
            line.run = deployment.run("1.0.0")
    password = password_of(deployment)
    assert len(password) == 48
    assert any(b"upgrade" in seen for seen in processes.seen), "the watch did not see Helm"
    # The pods' processes are seen here, too: they read it from files.
    leaks = [seen for seen in processes.seen if password.encode() in seen]
    assert not leaks
    name = deployment.project.name
    for release in [name, f"{name}-redis"]:
        for what in ["values", "manifest", "all"]:
            assert password not in deployment.helm("get", what, release)
