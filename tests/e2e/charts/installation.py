"""A project installed with plain Helm, without deploy.sh, in a namespace of its own."""

import json
import subprocess
import time
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.cluster import ROOT, Cluster, Project, shown
from tests.service import eventually

Values = dict[str, Any]
SERVICE = ".helm"
REDIS = ".helm/redis"


@dataclass(frozen=True)
class Image:
    """The service's image as the cluster pulls it."""

    repository: str
    digest: str

    @property
    def reference(self) -> str:
        return f"{self.repository}@{self.digest}"


def built_image(cluster: Cluster) -> Image:
    """Build and push the service's image."""
    tagged = f"{cluster.registry}/visits:charts"
    for command in (["build", "--quiet", "--tag", tagged, "."], ["push", "--quiet", tagged]):
        done = shown("docker", *command)
        assert done.returncode == 0, done.stderr
    inspected = shown("docker", "inspect", "--format", "{{range .RepoDigests}}{{println .}}{{end}}", tagged)
    repository = tagged.rpartition(":")[0]
    (reference,) = [line for line in inspected.stdout.split() if line.startswith(f"{repository}@")]
    return Image(repository, reference.rpartition("@")[2])


def merged(under: Values, over: Values) -> Values:
    """Merge as Helm merges values files."""
    both = {name: merged(under[name], over[name]) for name in under if isinstance(over.get(name), dict)}
    return {**under, **over, **both}


@dataclass(frozen=True)
class Installation(Project):
    """Two releases, `<name>` and `<name>-redis`, or the first alone beside a Redis elsewhere."""

    image: Image
    values: Values = field(default_factory=dict)
    redis_values: Values = field(default_factory=dict)

    def create_namespace(self, **labels: str) -> None:
        """With the restricted profile enforced, as deploy.sh creates it."""
        profile = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
        self.apply({"kind": "Namespace", "metadata": {"name": self.name, "labels": profile | labels}})

    def create_password(self, **keys: str) -> None:
        data = keys or {"REDIS_PASSWORD": f"password-of-{self.name}"}
        self.apply({"kind": "Secret", "metadata": {"name": f"{self.name}-redis-auth"}, "stringData": data})

    def apply(self, *documents: Values) -> None:
        items = [{"apiVersion": "v1", **document} for document in documents]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        command = ["kubectl", "--namespace", self.name, "apply", "-f", "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def helm(self, *arguments: str, values: Values | None = None, helm: str = "helm") -> str:
        """Run Helm, show what it prints, and return that."""
        command = [helm, *arguments, "--namespace", self.name]
        if values is not None:
            command += ["--values", "-"]
        print(f"\n+ {' '.join(command)}", flush=True)
        done = subprocess.run(
            command, cwd=ROOT, input=json.dumps(values), capture_output=True, text=True, check=False
        )
        print(done.stdout + done.stderr, flush=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def upgrade(self, *options: str, helm: str = "helm", **changes: object) -> str:
        """Install or upgrade the service with its values and the changes; return Helm's notes."""
        deployed = {
            "image": {"repository": self.image.repository, "digest": self.image.digest},
            "ingress": {"host": self.host},
        }
        values = merged(merged(deployed, self.values), changes)
        return self._upgrade(self.name, SERVICE, values, helm, *options)

    def upgrade_redis(self, *options: str, helm: str = "helm", **changes: object) -> str:
        values = merged(self.redis_values, changes)
        return self._upgrade(f"{self.name}-redis", REDIS, values, helm, *options)

    def _upgrade(self, release: str, chart: str, values: Values, helm: str, *options: str) -> str:
        of_dev = f"{chart}/values-dev.yaml"
        return self.helm(
            "upgrade", "--install", release, chart, "--values", of_dev, *options, values=values, helm=helm
        )

    def read(self, *arguments: str) -> Values:
        """`kubectl get …` as the object that it is."""
        found: Values = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found

    def await_rollout(self) -> None:
        self.kubectl("rollout", "status", f"deployment/{self.name}", "--timeout=180s")

    def await_redis(self) -> None:
        self.kubectl("rollout", "status", f"statefulset/{self.name}-redis", "--timeout=120s")

    def await_service(self) -> None:
        """Until the page answers through the ingress and no pod is ending."""
        self.await_rollout()
        eventually(lambda: self.get("/").status == 200, "the page answers", 60)
        eventually(lambda: len(self.pods()) == len(self.all_pods()), "only ready pods", 60)

    def all_pods(self) -> list[Values]:
        found: list[Values] = self.read("pods", "-l", "app.kubernetes.io/name=visits")["items"]
        return found

    def replica_set(self) -> str:
        """The hash of the pods of the newest version."""
        sets = self.read("replicasets", "-l", "app.kubernetes.io/name=visits")["items"]
        revision = "deployment.kubernetes.io/revision"
        newest = max(sets, key=lambda one: int(one["metadata"]["annotations"][revision]))
        found: str = newest["metadata"]["labels"]["pod-template-hash"]
        return found

    def counter(self) -> int:
        value = self.get("/api/v1/counter").json["counter"]
        assert isinstance(value, int)
        return value

    def outage(self, seconds: float = 90) -> float:
        """Wait until visitors are served again after an outage that has begun; return its seconds."""
        began = time.monotonic()
        eventually(lambda: self.get("/").status == 200, "the page answers again", seconds)
        return time.monotonic() - began


@dataclass(frozen=True)
class Client:
    """A pod that tries to connect; what may do so depends on its labels and its namespace."""

    installation: Installation
    name: str
    labels: dict[str, str] = field(default_factory=dict)

    def start(self) -> "Client":
        security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        amounts = {"cpu": "5m", "memory": "32Mi"}
        container = {
            "name": "client",
            "image": self.installation.image.reference,
            "command": ["python", "-c", "import signal; signal.sigwait([signal.SIGTERM])"],
            "securityContext": security,
            "resources": {"requests": amounts, "limits": {"memory": "64Mi"}},
        }
        spec = {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        }
        metadata = {"name": self.name, "labels": self.labels}
        self.installation.apply({"kind": "Pod", "metadata": metadata, "spec": spec})
        self.installation.kubectl("wait", f"pod/{self.name}", "--for=condition=Ready", "--timeout=60s")
        return self

    @property
    def address(self) -> str:
        return self.installation.kubectl("get", "pod", self.name, "-o", "jsonpath={.status.podIP}")

    def connects(self, host: str, port: int) -> bool:
        """Try once, for two seconds: a NetworkPolicy drops what it does not allow."""
        script = f"import socket; socket.create_connection(('{host}', {port}), timeout=2)"
        command = ["kubectl", "--namespace", self.installation.name, "exec", self.name, "--", "python", "-c"]
        done = subprocess.run([*command, script], capture_output=True, text=True, check=False)
        assert done.returncode == 0 or "timed out" in done.stderr or "refused" in done.stderr, done.stderr
        return done.returncode == 0
