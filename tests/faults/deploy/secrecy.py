"""Where a password may leak to: whatever can be looked at without the right to read its Secret."""

import base64
import gzip
import json
from collections.abc import Iterator

from tests.canary import Search
from tests.e2e.cluster import Project
from tests.faults.deploy.deployment import Deployment

RELEASES = ("", "-redis")
ASK_EVERYTHING = """
import http.client, itertools
paths = ["/", "/api/v1/counter", "/healthz", "/readyz", "/version", "/static/no", "/nothing?password=no"]
accepts = ["text/html", "application/json", "*/*"]
for method, path, accept in [*itertools.product(["GET", "POST"], paths, accepts), ("GET", "/metrics", "*/*")]:
    connection = http.client.HTTPConnection("127.0.0.1", 8001 if path == "/metrics" else 8000, timeout=30)
    connection.request(method, path, headers={"Host": "HOST", "Accept": accept})
    answer = connection.getresponse()
    print(f"{method} {path}: {answer.status}", answer.getheaders(), answer.read().decode())
    connection.close()
"""
"""Runs in a pod of the service: the ingress has an answer of its own while Redis is away."""


def password_of(deployment: Deployment) -> str:
    """What the release's Secret holds; empty if there is none."""
    listed = deployment.project.kubectl(
        "get", "secret", f"{deployment.project.name}-redis-auth", "--ignore-not-found", "-o", "json"
    )
    if not listed:
        return ""
    encoded = json.loads(listed)["data"]["REDIS_PASSWORD"]
    return base64.b64decode(encoded).decode()


def helm_records(deployment: Deployment) -> Iterator[bytes]:
    """All that Helm keeps of every revision of both releases: values, charts, manifests, notes."""
    listed = deployment.project.kubectl("get", "secrets", "-l", "owner=helm", "-o", "json")
    for record in json.loads(listed)["items"]:
        # Encoded by Helm, and once more by the API server.
        compressed = base64.b64decode(base64.b64decode(record["data"]["release"]))
        release = json.loads(gzip.decompress(compressed))
        files = [
            file for part in ("templates", "files") for file in (release.get("chart") or {}).get(part) or []
        ]
        yield json.dumps(release).encode()
        yield from (base64.b64decode(file["data"]) for file in files if file.get("data"))


def assert_no_leak(deployment: Deployment, output: str, password: str) -> None:
    """Neither in what was printed, nor in any file that was saved, nor in Helm's records."""
    search = Search(password)
    search.look("output", output)
    search.look_at_files("evidence", deployment.evidence)
    look_at_records(search, deployment)
    search.assert_clean()


def look_at_records(search: Search, deployment: Deployment) -> None:
    for text in helm_records(deployment):
        search.look("Helm's records", text)


def look_at_helm(search: Search, deployment: Deployment) -> None:
    """What Helm keeps, and what it shows of every revision."""
    look_at_records(search, deployment)
    for release in [f"{deployment.project.name}{suffix}" for suffix in RELEASES]:
        for revision in json.loads(deployment.helm("history", release, "-o", "json")):
            number = str(revision["revision"])
            told = deployment.helm("get", "all", release, "--revision", number)
            search.look(f"helm get all of {release} {number}", told)


def look_at_objects(search: Search, project: Project) -> None:
    """Every object of the namespace but Secrets, events among them, as `get` and `describe` show it."""
    kinds = project.kubectl("api-resources", "--namespaced", "--verbs=get,list", "-o", "name").split()
    for kind in kinds:
        # Figures of what runs, which a cluster without metrics-server does not have.
        if kind == "secrets" or kind.endswith(".metrics.k8s.io"):
            continue
        search.look(f"kubectl get {kind}", project.kubectl("get", kind, "-o", "yaml"))
        # What ends in the middle of this has no description.
        search.look(f"kubectl describe {kind}", project.kubectl("describe", kind, check=False))
    search.look("kubectl describe namespace", project.kubectl("describe", "namespace", project.name))


def look_into_pods(search: Search, project: Project) -> None:
    """Their logs, those of ended containers too, and how their first processes were started."""
    for pod in running_pods(project):
        for previous in ["false", "true"]:
            # A container that never ended has no log before this one.
            logs = ["logs", pod, "--all-containers", f"--previous={previous}"]
            search.look(f"logs of {pod}", project.kubectl(*logs, check=False))
        started = project.kubectl("exec", pod, "--", "cat", "/proc/1/cmdline", "/proc/1/environ", check=False)
        search.look(f"processes of {pod}", started)


def running_pods(project: Project, component: str = "") -> list[str]:
    """Names of the pods that run, ready or not, all or those of visits or redis."""
    selector = ["-l", f"app.kubernetes.io/name={component}"] if component else []
    running = "--field-selector=status.phase=Running"
    return project.kubectl("get", "pods", running, *selector, "-o", "name").split()


def look_at_answers(search: Search, project: Project) -> str:
    """Every answer of the service to whoever asks for it; returns them."""
    script = ASK_EVERYTHING.replace("HOST", project.host)
    answers = project.kubectl("exec", running_pods(project, "visits")[0], "--", "python", "-c", script)
    search.look("answers", answers)
    return answers
