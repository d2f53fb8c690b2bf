"""The cluster under test as its operators reach it: deploy.sh, kubectl, and HTTP through the ingress."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.service import Answer

ROOT = Path(__file__).resolve().parents[2]

NO_CLUSTER = """
The end-to-end tests need a cluster, and {missing} is missing. They read:
  KUBECONFIG     the kube config of a cluster where they may create namespaces
  REGISTRY       a registry that docker may push to and the cluster's nodes pull from
  INGRESS_HTTP   HOST:PORT of the ingress controller's http entrance, on 127.0.0.1
One way to get these:  minikube start --addons=ingress,metrics-server,registry
                       (README.md, "On minikube", has the port-forwards that go with it)
Another:               kind create cluster, with ingress-nginx, metrics-server and a local registry installed
"""


Document = dict[str, Any]


def kubectl(*arguments: str, document: Document | None = None, check: bool = True) -> str:
    """Return what kubectl prints, given the document on its stdin."""
    given = json.dumps(document) if document is not None else None
    done = subprocess.run(["kubectl", *arguments], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"kubectl {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def has_kinds(kinds: str) -> bool:
    """Tell whether the cluster serves this API group and version."""
    return kinds in kubectl("api-versions").split()


def end_without(missing: str) -> NoReturn:
    """End the run, exit status 3: something the tests need of their environment is not there."""
    pytest.exit(NO_CLUSTER.format(missing=missing), returncode=3)


@dataclass(frozen=True)
class Cluster:
    """Where the tests' cluster is. Requests go to `ingress` on this machine only."""

    registry: str
    ingress: str

    @classmethod
    def from_environment(cls) -> "Cluster":
        """Read where the cluster is; end the run when there is none."""
        for name in ["KUBECONFIG", "REGISTRY", "INGRESS_HTTP"]:
            if not os.environ.get(name):
                end_without(name)
        if not os.environ["INGRESS_HTTP"].startswith(("127.0.0.1:", "localhost:")):
            end_without("an INGRESS_HTTP on 127.0.0.1")
        try:
            subprocess.run(
                ["kubectl", "get", "--raw", "/readyz"], check=True, capture_output=True, timeout=30
            )
        except (OSError, subprocess.SubprocessError):
            end_without("an API server that answers")
        return cls(registry=os.environ["REGISTRY"], ingress=os.environ["INGRESS_HTTP"])


@dataclass(frozen=True)
class Project:
    """One project deployed to the cluster, in a namespace of its own name."""

    cluster: Cluster
    name: str

    @property
    def host(self) -> str:
        return f"{self.name}.test"

    def deploy(self, tag: str, *options: str, environment: str = "dev") -> subprocess.CompletedProcess[str]:
        """Run the real deploy.sh, show what it prints, and return it."""
        image = f"{self.cluster.registry}/visits"
        arguments = [image, tag, self.name, self.host, environment, "--ingress", self.cluster.ingress]
        return shown("./deploy.sh", *arguments, *options)

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        return kubectl("--namespace", self.name, *arguments, check=check)

    def get(self, path: str, accept: str = "application/json", method: str = "GET") -> Answer:
        """Ask through the ingress, as a visitor does."""
        connection = HTTPConnection(self.cluster.ingress, timeout=10)
        try:
            connection.request(method, path, headers={"Host": self.host, "Accept": accept})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get_from_pod(self, pod: str, path: str) -> Answer:
        """Ask one pod, through the API server."""
        raw = f"/api/v1/namespaces/{self.name}/pods/{pod}:8000/proxy{path}"
        done = subprocess.run(["kubectl", "get", "--raw", raw], capture_output=True, text=True, check=False)
        status = 200 if done.returncode == 0 else 503
        return Answer(status, HTTPMessage(), (done.stdout or done.stderr).encode())

    def pods(self, component: str = "visits") -> list[str]:
        """Names of the pods that are ready and not ending."""
        selector = f"app.kubernetes.io/name={component}"
        listed = json.loads(self.kubectl("get", "pods", "-l", selector, "-o", "json"))["items"]
        return [
            pod["metadata"]["name"]
            for pod in listed
            if "deletionTimestamp" not in pod["metadata"]
            and any(
                c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", [])
            )
        ]

    def delete(self) -> None:
        self.kubectl("delete", "namespace", self.name, "--ignore-not-found", "--timeout=120s")


def shown(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command from the project's folder; print it and its output."""
    print(f"\n+ {' '.join(command)}", flush=True)
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    sys.stdout.write(done.stderr + done.stdout)
    sys.stdout.flush()
    return done
