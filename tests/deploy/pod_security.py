"""The restricted profile of the Kubernetes Pod Security Standards, as a list of what a pod violates.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/, baseline and restricted, for
Linux pods.
"""

from collections.abc import Iterator
from typing import Any

Spec = dict[str, Any]

SECCOMP = {"RuntimeDefault", "Localhost"}
VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
SELINUX_TYPES = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
}


def violations(pod: Spec) -> list[str]:
    """Say what of a pod's spec the restricted profile forbids; empty means it is admitted."""
    context = pod.get("securityContext", {})
    found = [*of_host(pod), *of_volumes(pod), *of_either("pod", context)]
    found += [
        f"sysctl {sysctl['name']}" for sysctl in context.get("sysctls", []) if sysctl["name"] not in SYSCTLS
    ]
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in pod.get(kind, []):
            found += of_container(container, context)
    return found


def of_host(pod: Spec) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(name):
            yield name


def of_volumes(pod: Spec) -> Iterator[str]:
    for volume in pod.get("volumes", []):
        for kind in volume.keys() - {"name"} - VOLUMES:
            yield f"volume {volume['name']}: {kind}"


def of_either(name: str, context: Spec) -> Iterator[str]:
    """Rules for a security context of a pod or of a container."""
    if context.get("runAsUser") == 0:
        yield f"{name}: runAsUser 0"
    if context.get("windowsOptions", {}).get("hostProcess"):
        yield f"{name}: hostProcess"
    selinux = context.get("seLinuxOptions", {})
    if selinux.get("type") not in SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield f"{name}: seLinuxOptions"
    if context.get("appArmorProfile", {}).get("type", "RuntimeDefault") not in SECCOMP:
        yield f"{name}: appArmorProfile"
    if context.get("seccompProfile", {}).get("type", "RuntimeDefault") not in SECCOMP:
        yield f"{name}: seccompProfile"


def of_container(container: Spec, pod_context: Spec) -> Iterator[str]:
    name = container["name"]
    context = container.get("securityContext", {})
    yield from of_either(name, context)
    if context.get("runAsNonRoot", pod_context.get("runAsNonRoot")) is not True:
        yield f"{name}: runAsNonRoot"
    if "seccompProfile" not in context and "seccompProfile" not in pod_context:
        yield f"{name}: seccompProfile missing"
    if context.get("privileged"):
        yield f"{name}: privileged"
    if context.get("allowPrivilegeEscalation") is not False:
        yield f"{name}: allowPrivilegeEscalation"
    if context.get("procMount", "Default") != "Default":
        yield f"{name}: procMount"
    capabilities = context.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []):
        yield f"{name}: capabilities not dropped"
    if set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield f"{name}: capabilities added"
    if any(port.get("hostPort") for port in container.get("ports", [])):
        yield f"{name}: hostPort"
    yield from of_handlers(container)


def of_handlers(container: Spec) -> Iterator[str]:
    """A probe or hook that names a host could reach through the node (forbidden since Kubernetes 1.34)."""
    lifecycle = container.get("lifecycle", {})
    handlers = [container.get(probe, {}) for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
    handlers += [lifecycle.get(hook, {}) for hook in ("postStart", "preStop")]
    for handler in handlers:
        if any(handler.get(kind, {}).get("host") for kind in ("httpGet", "tcpSocket")):
            yield f"{container['name']}: host of a probe or hook"
