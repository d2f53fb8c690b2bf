"""A store that External Secrets Operator reads, by its provider `kubernetes`: the Secrets of a namespace."""

import base64
import json
from dataclasses import dataclass

from tests.e2e.cluster import Document, kubectl
from tests.service import eventually

READER = "reader"
RIGHTS: list[Document] = [
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectrulesreviews"], "verbs": ["create"]},
]
NOBODY = "https://127.0.0.1:1"
"""Where no API server listens."""


@dataclass(frozen=True)
class Store:
    """A ClusterSecretStore and the namespace that it reads, both of this name."""

    name: str

    def create(self) -> None:
        subjects = [{"kind": "ServiceAccount", "name": READER, "namespace": self.name}]
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": READER}
        kubectl("create", "namespace", self.name)
        self._apply("v1", "ServiceAccount", READER)
        self._apply("rbac.authorization.k8s.io/v1", "Role", READER, rules=RIGHTS)
        self._apply(
            "rbac.authorization.k8s.io/v1", "RoleBinding", READER, roleRef=reference, subjects=subjects
        )
        self._point_at(None)

    def delete(self) -> None:
        kubectl("delete", "clustersecretstore", self.name, "--ignore-not-found")
        kubectl("delete", "namespace", self.name, "--ignore-not-found", "--wait=false")

    def put(self, secret: str, **keys: str) -> None:
        """These keys and no others."""
        data = {name: base64.b64encode(value.encode()).decode() for name, value in keys.items()}
        self._apply("v1", "Secret", secret, data=data)

    def refuse(self) -> None:
        """The operator may no longer read what is in it."""
        self._patch_rules(RIGHTS[1:])

    def allow(self) -> None:
        self._patch_rules(RIGHTS)

    def go_away(self) -> None:
        self._point_at(NOBODY)

    def come_back(self) -> None:
        self._point_at(None)
        self.await_ready()

    def await_ready(self) -> None:
        kubectl("wait", "--for=condition=Ready", f"clustersecretstore/{self.name}", "--timeout=60s")

    def _point_at(self, url: str | None) -> None:
        authority = {
            "type": "ConfigMap",
            "name": "kube-root-ca.crt",
            "key": "ca.crt",
            "namespace": self.name,
        }
        provider = {
            "remoteNamespace": self.name,
            "server": {"caProvider": authority} | ({"url": url} if url else {}),
            "auth": {"serviceAccount": {"name": READER, "namespace": self.name}},
        }
        spec = {"provider": {"kubernetes": provider}}
        self._apply("external-secrets.io/v1", "ClusterSecretStore", self.name, namespaced=False, spec=spec)

    def _patch_rules(self, rules: list[Document]) -> None:
        kubectl("-n", self.name, "patch", "role", READER, "--type=merge", "-p", json.dumps({"rules": rules}))

    def _apply(self, version: str, kind: str, name: str, namespaced: bool = True, **parts: object) -> None:
        metadata = {"name": name} | ({"namespace": self.name} if namespaced else {})
        kubectl(
            "apply",
            "-f",
            "-",
            document={"apiVersion": version, "kind": kind, "metadata": metadata, **parts},
        )


def start_redis(namespace: str, *passwords: str) -> str:
    """A Redis of somebody else's whose user may log in with each of these; return its host name."""
    user = ["--user", "default", "on", *(f">{password}" for password in passwords), "~*", "&*", "+@all"]
    container = {
        "name": "redis",
        "image": "redis:8.0",
        "args": ["redis-server", *user],
        "readinessProbe": {"tcpSocket": {"port": 6379}, "periodSeconds": 1},
    }
    labels = {"app": "redis"}
    kubectl("create", "namespace", namespace)
    for document in (
        {
            "kind": "Pod",
            "metadata": {"name": "redis", "namespace": namespace, "labels": labels},
            "spec": {"containers": [container]},
        },
        {
            "kind": "Service",
            "metadata": {"name": "redis", "namespace": namespace},
            "spec": {"selector": labels, "ports": [{"port": 6379}]},
        },
    ):
        kubectl("apply", "-f", "-", document={"apiVersion": "v1", **document})
    kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/redis", "--timeout=120s")
    return f"redis.{namespace}"


def forget_password(namespace: str, password: str, kept: str) -> None:
    """From now on it is refused, and whoever is connected must log in again."""
    command = ["-n", namespace, "exec", "redis", "--", "redis-cli", "--no-auth-warning", "-a", kept]
    assert kubectl(*command, "acl", "setuser", "default", f"<{password}").strip() == "OK"
    kubectl(*command, "client", "kill", "type", "normal", "skipme", "yes")


def secret_value(namespace: str, secret: str, key: str = "REDIS_PASSWORD") -> str:
    encoded = kubectl("-n", namespace, "get", "secret", secret, "-o", f"jsonpath={{.data.{key}}}")
    return base64.b64decode(encoded).decode()


def await_secret(namespace: str, secret: str, value: str) -> None:
    eventually(
        lambda: secret_value(namespace, secret) == value, f"the Secret {secret} has the store's value", 60
    )
