"""One run of the real deploy.sh under a fault, and what it is judged by."""

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.e2e.cluster import ROOT, Project

TOOLS = ROOT / ".tools"


@dataclass
class Sources:
    """A copy of the product that a test may break: deploy.sh builds the image from its own folder."""

    folder: Path

    @classmethod
    def of_head(cls, folder: Path) -> "Sources":
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder)], check=True)
        return cls(folder)

    @classmethod
    def of_commit(cls, commit: str, folder: Path) -> "Sources":
        """An earlier version. A shallow clone does not have it: `git fetch --unshallow`."""
        earlier = cls.of_head(folder)
        subprocess.run(["git", "-C", str(folder), "checkout", "--quiet", commit], check=True)
        return earlier

    @contextmanager
    def edited(self, path: str, edit: Callable[[str], str]) -> Iterator[None]:
        """One file changed inside the block. The change must be one."""
        file = self.folder / path
        before = file.read_text()
        after = edit(before)
        assert after != before, f"the edit of {path} changes nothing"
        file.write_text(after)
        try:
            yield
        finally:
            file.write_text(before)


@dataclass
class Run:
    """A deploy.sh that was started; `wait` ends it."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    ended: float = 0.0

    def __post_init__(self) -> None:
        self._grew = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                with self._grew:
                    self.lines.append(line)
                    self._grew.notify_all()
        with self._grew:
            self.ended = time.monotonic()
            self._grew.notify_all()

    def await_line(self, pattern: str, seconds: float = 120) -> str:
        """Wait for a line of its output."""
        with self._grew:
            found = self._grew.wait_for(lambda: self._match(pattern) or self.ended, seconds)
        assert found, f"no line «{pattern}» within {seconds} s:\n{self.output}"
        line = self._match(pattern)
        assert line, f"ended without a line «{pattern}»:\n{self.output}"
        return line

    def _match(self, pattern: str) -> str | None:
        return next((line for line in self.lines if re.search(pattern, line)), None)

    def has_line(self, pattern: str) -> bool:
        """Whether it has said so; an error if it ended without."""
        with self._grew:
            found = self._match(pattern)
            assert found or not self.ended, f"ended without a line «{pattern}»:\n{self.output}"
            return found is not None

    def await_step(self, name: str) -> None:
        self.await_line(rf"^-----> \[ *\d+s\] {name}$")

    def interrupt(self, number: signal.Signals) -> None:
        """Ctrl-C reaches every process of the terminal, TERM and KILL only the script."""
        if number == signal.SIGINT:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL takes the script and everything it started, as the loss of its machine would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.wait()

    def wait(self, seconds: float = 600) -> int:
        status = self.process.wait(seconds)
        self._reader.join(30)
        return status

    @property
    def seconds(self) -> float:
        return self.ended - self.started

    @property
    def output(self) -> str:
        return "".join(self.lines)

    @property
    def message(self) -> str:
        """What a person reads last: the error and its advice, or the summary's first line."""
        told = [line.strip() for line in self.lines if line.startswith("deploy.sh: ")]
        summary = [line.strip() for line in self.lines if line.endswith(" serves.\n")]
        errors = [line.strip() for line in self.lines if line.startswith("Error: ")]
        return (told or summary or errors or [" ".join(self.output.split())[-200:]])[-1]


class State(NamedTuple):
    """The newest revisions, and the names of objects with their generation or restarts, by kind."""

    revisions: tuple[str, str]
    objects: list[tuple[str, list[str]]]


@dataclass(frozen=True)
class Deployment:
    """deploy.sh for one project, from one copy of the sources, with the tools of one environment."""

    project: Project
    sources: Sources
    evidence: Path
    environment: dict[str, str] = field(default_factory=dict)
    through: tuple[str, ...] = ()
    """A command that starts deploy.sh in its own place."""

    def start(
        self, tag: str, *options: str, image: str = "", environment: str = "dev", **variables: str
    ) -> Run:
        image = image or f"{self.project.cluster.registry}/{self.project.name}"
        return self.start_script(
            image, tag, self.project.name, self.project.host, environment, *options, **variables
        )

    def run(
        self, tag: str, *options: str, image: str = "", environment: str = "dev", **variables: str
    ) -> Run:
        run = self.start(tag, *options, image=image, environment=environment, **variables)
        run.wait()
        return run

    def start_script(self, *arguments: str, **variables: str) -> Run:
        defaults = {"DEPLOY_INGRESS": self.project.cluster.ingress, "DEPLOY_EVIDENCE": str(self.evidence)}
        # In a session of its own, so that Ctrl-C can be sent to all of its processes as a terminal does.
        process = subprocess.Popen(
            [*self.through, str(self.sources.folder / "deploy.sh"), *arguments],
            env={**os.environ, **defaults, **self.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        return Run(process)

    def run_script(self, *arguments: str, **variables: str) -> Run:
        run = self.start_script(*arguments, **variables)
        run.wait()
        return run

    def helm(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["helm", "--namespace", self.project.name, *arguments],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"helm {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def revision(self, release: str = "") -> str:
        """The newest revision and its status, as «3 deployed»."""
        selector = f"owner=helm,name={release or self.project.name}"
        fields = "{range .items[*]}{.metadata.labels.version} {.metadata.labels.status}{'\\n'}{end}"
        listed = self.project.kubectl("get", "secrets", "-l", selector, "-o", f"jsonpath={fields}")
        return max(listed.split("\n"), key=lambda line: int(line.split()[0]) if line else 0)

    def state(self) -> "State":
        """What runs, to compare: a deploy that changes nothing leaves all of it as it was."""
        name = self.project.name
        selector = f"app.kubernetes.io/instance in ({name},{name}-redis)"
        kinds = "deployments,statefulsets,replicasets,pods"
        listed = json.loads(self.project.kubectl("get", kinds, "-l", selector, "-o", "json"))["items"]
        objects: dict[str, list[str]] = {}
        for item in listed:
            kind, metadata = item["kind"], item["metadata"]
            if "deletionTimestamp" in metadata or (kind == "ReplicaSet" and not item["spec"]["replicas"]):
                continue
            restarts = [c["restartCount"] for c in item["status"].get("containerStatuses", [])]
            told = restarts if kind == "Pod" else metadata["generation"]
            objects[kind] = sorted([*objects.get(kind, []), f"{metadata['name']} {told}"])
        return State((self.revision(), self.revision(f"{name}-redis")), sorted(objects.items()))

    def lock_holder(self) -> str:
        name = f"{self.project.name}-deploy"
        return self.project.kubectl(
            "get", "lease", name, "--ignore-not-found", "-o", "jsonpath={.spec.holderIdentity}"
        )

    def candidate(self) -> str:
        """The candidate's pod, if there is one."""
        return self.project.kubectl(
            "get", "pod", f"{self.project.name}-candidate", "--ignore-not-found", "-o", "name"
        )

    def serving(self) -> str:
        """The digest that visitors meet."""
        return str(self.project.get("/version").json["image_digest"])

    def deploys(self, tag: str, *options: str, **variables: str) -> None:
        """A deploy that prepares something, and is not what is looked at."""
        run = self.run(tag, *options, **variables)
        assert run.process.returncode == 0, run.output


def folder_of_helm(version: int, folder: Path) -> Path:
    """A folder for the PATH in which `helm` is Helm of this major version."""
    folder.mkdir(parents=True, exist_ok=True)
    helm = shutil.which("helm3") if version == 3 else shutil.which("helm")
    assert helm, f"helm {version} is not on PATH: make .tools/done"
    link = folder / "helm"
    if not link.exists():
        link.symlink_to(helm)
    return folder
