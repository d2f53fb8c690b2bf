"""The ways into a cluster that the tests find there, and visitors who want a good certificate."""

import base64
import json
import os
import socket
import ssl
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import NamedTuple, Self

import pytest

from tests.e2e.cluster import Document, Project, has_kinds, kubectl
from tests.visitors import PAGE_AND_API, Request

GATEWAY_API = "gateway.networking.k8s.io/v1"
CERT_MANAGER = "cert-manager.io/v1"


def listed(*what: str) -> list[Document]:
    items: list[Document] = json.loads(kubectl("get", *what, "-o", "json"))["items"]
    return items


def need(kinds: str) -> None:
    """Skip where the cluster does not have these kinds."""
    if not has_kinds(kinds):
        pytest.skip(f"the cluster does not have {kinds}")


class Gateway(NamedTuple):
    """One that takes the routes of every namespace, and the ports of its listeners by protocol."""

    namespace: str
    name: str
    class_name: str
    ports: dict[str, int]
    http_listener: str


def shared_gateway() -> Gateway:
    need(GATEWAY_API)
    for found in listed("gateways", "--all-namespaces"):
        listeners = found["spec"]["listeners"]
        open_ones = [
            one
            for one in listeners
            if one.get("allowedRoutes", {}).get("namespaces", {}).get("from") == "All"
            and one["protocol"] == "HTTP"
        ]
        if open_ones:
            metadata, ports = found["metadata"], {one["protocol"]: one["port"] for one in listeners}
            class_name = found["spec"]["gatewayClassName"]
            return Gateway(metadata["namespace"], metadata["name"], class_name, ports, open_ones[0]["name"])
    pytest.skip("the cluster has no Gateway whose http listener takes the routes of all namespaces")


def plain_values(kind: str) -> Document:
    """Of the chart, for an entrance with plain HTTP: the class of an Ingress, or «route» for an HTTPRoute."""
    if kind == "route":
        gateway = shared_gateway()
        parent = {
            "name": gateway.name,
            "namespace": gateway.namespace,
            "sectionName": gateway.http_listener,
        }
        return {"ingress": {"enabled": False}, "httpRoute": {"enabled": True, "parentRefs": [parent]}}
    if kind not in [one["metadata"]["name"] for one in listed("ingressclasses")]:
        pytest.skip(f"the cluster has no IngressClass {kind}")
    return {"ingress": {"className": kind}}


class Authority(NamedTuple):
    """A ClusterIssuer that signs with a certificate of its own, which a visitor may trust."""

    issuer: str
    certificate: str


def authority() -> Authority:
    need(CERT_MANAGER)
    for found in listed("clusterissuers"):
        secret = found["spec"].get("ca", {}).get("secretName")
        if secret:
            path = r"jsonpath={.data.tls\.crt}"
            encoded = kubectl("--namespace", "cert-manager", "get", "secret", secret, "-o", path)
            return Authority(found["metadata"]["name"], base64.b64decode(encoded).decode())
    pytest.skip("the cluster has no ClusterIssuer of the kind ca")


def https_address() -> str:
    """Where the cluster's entrance speaks HTTPS."""
    address = os.environ.get("INGRESS_HTTPS", "")
    if not address:
        pytest.skip("INGRESS_HTTPS, HOST:PORT of the entrance with TLS, is not set")
    return address


def secure_values(kind: str, issuer: str) -> Document:
    """With HTTPS: the class of an Ingress, or «gateway» for a Gateway of the project's own."""
    tls = {"enabled": True, "clusterIssuer": issuer}
    if kind == "gateway":
        shared = shared_gateway()
        ports = {name.lower(): shared.ports[name] for name in ("HTTP", "HTTPS")}
        own = {"enabled": True, "className": shared.class_name, "ports": ports, "tls": tls}
        return {"ingress": {"enabled": False}, "httpRoute": {"enabled": True, "gateway": own}}
    values = plain_values(kind)
    values["ingress"]["tls"] = tls
    return values


def claim_host(project: Project, kind: str, host: str) -> str:
    """Somebody else's Ingress or HTTPRoute for it, in the project's namespace; return its kind and name."""
    metadata = {"name": "owner", "namespace": project.name}
    if kind == "route":
        parents = plain_values(kind)["httpRoute"]["parentRefs"]
        spec: Document = {"parentRefs": parents, "hostnames": [host]}
        owner = {"apiVersion": GATEWAY_API, "kind": "HTTPRoute", "metadata": metadata, "spec": spec}
    else:
        backend = {"service": {"name": "nobody", "port": {"number": 80}}}
        paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
        spec = {"ingressClassName": kind, "rules": [{"host": host, "http": {"paths": paths}}]}
        version = "networking.k8s.io/v1"
        owner = {"apiVersion": version, "kind": "Ingress", "metadata": metadata, "spec": spec}
    kubectl("apply", "-f", "-", document=owner)
    return f"{owner['kind']} {project.name}/owner"


def renew(project: Project, certificate: str) -> None:
    """Ask cert-manager for a new certificate at once, as its own command-line tool does."""
    held = json.loads(project.kubectl("get", "certificate", certificate, "-o", "json"))
    issuing = {
        "type": "Issuing",
        "status": "True",
        "reason": "ManuallyTriggered",
        "message": "asked for by a test",
        "lastTransitionTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "observedGeneration": held["metadata"]["generation"],
    }
    others = [one for one in held["status"].get("conditions", []) if one["type"] != "Issuing"]
    patch = json.dumps({"status": {"conditions": [*others, issuing]}})
    project.kubectl("patch", "certificate", certificate, "--subresource=status", "--type=merge", "-p", patch)


class SecureVisit(NamedTuple):
    """What a visitor met: the answer's status, 0 without one; the certificate's number; what went wrong."""

    method: str
    status: int
    serial: str = ""
    fault: str = ""


@dataclass
class SecureVisitors:
    """Each visit is a new connection, verified by one authority alone; half of what is sent is POST."""

    address: str
    host: str
    authority: Path
    count: int = 4
    pause: float = 0.02

    def __post_init__(self) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.load_verify_locations(self.authority)
        self._leave = Event()
        self._threads = ThreadPoolExecutor(self.count, thread_name_prefix="visitors")
        self._all: list[Future[None]] = []
        self.visits: list[SecureVisit] = []

    def __enter__(self) -> Self:
        requests = [PAGE_AND_API[position % len(PAGE_AND_API)] for position in range(self.count)]
        self._all = [self._threads.submit(self._come, request) for request in requests]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave.set()
        self._threads.shutdown()
        for visitor in self._all:
            visitor.result()

    @property
    def failures(self) -> list[SecureVisit]:
        return [visit for visit in list(self.visits) if visit.status != 200]

    @property
    def serials(self) -> set[str]:
        """The certificates that were met."""
        return {visit.serial for visit in list(self.visits) if visit.serial}

    def _come(self, request: Request) -> None:
        while not self._leave.wait(self.pause):
            self.visits.append(self._visit(request))

    def _visit(self, request: Request) -> SecureVisit:
        name, _, port = self.address.rpartition(":")
        message = request.encoded(self.host).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
        try:
            with (
                socket.create_connection((name, int(port)), timeout=10) as plain,
                self._context.wrap_socket(plain, server_hostname=self.host) as secure,
            ):
                serial = str((secure.getpeercert() or {}).get("serialNumber", ""))
                secure.sendall(message)
                answer = secure.recv(1024)
        except OSError as error:
            return SecureVisit(request.method, 0, fault=str(error))
        return SecureVisit(request.method, int(answer.split()[1]) if answer else 0, serial)
