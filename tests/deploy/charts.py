"""Render the charts with the real Helm, newest and oldest supported."""

import functools
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import Settings, load_settings

Document = dict[str, Any]
Values = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
# On machines that the pinned binaries do not run on, only the major version that is installed there.
HELMS = [helm for helm in ["helm", "helm3"] if (ROOT / ".tools" / helm).exists()]
ENVIRONMENTS = ["dev", "staging", "prod"]
SERVICE = ROOT / ".helm"
REDIS = ROOT / ".helm" / "redis"
CHARTS = [SERVICE, REDIS]
PROJECT = "shop"
DIGEST = "sha256:" + "0123456789abcdef" * 4
# Of the optional kinds, those that a test's cluster has.
API_VERSIONS = (
    "gateway.networking.k8s.io/v1,external-secrets.io/v1,"
    "monitoring.coreos.com/v1/PodMonitor,monitoring.coreos.com/v1/PrometheusRule"
)
# What only a deploy knows, and what PROD wants said in so many words.
DEPLOYED: dict[Path, Values] = {
    SERVICE: {
        "image": {"repository": "localhost:5000/visits", "tag": "1.0.0", "digest": DIGEST},
        "ingress": {"host": "x.test", "plainHTTP": "allowed"},
        "redis": {"singlePod": "allowed"},
    },
    REDIS: {},
}
# A Redis that somebody else runs, with a Secret that is there before.
EXTERNAL_REDIS: Values = {"redis": {"mode": "external", "host": "redis.test"}, "secret": {"mode": "existing"}}
# HTTPS of the Ingress: its own, and that of what stands before it.
INGRESS_TLS: Values = {"ingress": {"tls": {"enabled": True}}}
TLS_ENDS_ELSEWHERE: Values = {"ingress": {"tlsEndsElsewhere": True}}


def label(value: object) -> str:
    """A test case's value as part of its name."""
    return value.name if isinstance(value, Path) else str(value)


def merged(under: Values, over: Values) -> Values:
    """Merge as Helm merges values files."""
    result = {**under, **over}
    for name in under.keys() & over.keys():
        if isinstance(under[name], dict) and isinstance(over[name], dict):
            result[name] = merged(under[name], over[name])
    return result


def run(
    helm: str, chart: Path, environment: str, values: str, project: str, api_versions: str = API_VERSIONS
) -> subprocess.CompletedProcess[str]:
    release = project if chart == SERVICE else f"{project}-redis"
    command = [str(ROOT / ".tools" / helm), "template", release, str(chart), "--namespace", project]
    command += ["--api-versions", api_versions]
    command += ["--values", str(chart / f"values-{environment}.yaml"), "--values", "-"]
    return subprocess.run(command, input=values, capture_output=True, text=True, check=False)


@functools.cache
def rendered(helm: str, chart: Path, environment: str, values: str, project: str) -> str:
    result = run(helm, chart, environment, values, project)
    assert result.returncode == 0, result.stderr
    return result.stdout


def documents(
    chart: Path,
    environment: str = "dev",
    values: Values | None = None,
    helm: str = HELMS[0],
    project: str = PROJECT,
) -> list[Document]:
    """Render a chart for a deploy; `values` win over those of the environment and of the deploy."""
    text = rendered(helm, chart, environment, json.dumps(merged(DEPLOYED[chart], values or {})), project)
    return [document for document in yaml.safe_load_all(text) if document]


def document(
    chart: Path, kind: str, environment: str = "dev", values: Values | None = None, name: str | None = None
) -> Document:
    """The only object of a kind; where there are several, the one of this name, or of the release's."""
    found = [one for one in documents(chart, environment, values) if one["kind"] == kind]
    if name is not None or len(found) > 1:
        found = [one for one in found if one["metadata"]["name"] == (name or PROJECT)]
    (only,) = found
    return only


def workload(chart: Path, environment: str = "dev", values: Values | None = None) -> Document:
    return document(chart, "Deployment" if chart == SERVICE else "StatefulSet", environment, values)


def configuration(environment: str = "dev", values: Values | None = None) -> dict[str, str]:
    """The plain variables of the service's container, as Kubernetes hands them on: $$( is a plain $(."""
    variables = container(SERVICE, environment, values)["env"]
    return {one["name"]: one["value"].replace("$$(", "$(") for one in variables if "value" in one}


def pod(chart: Path, environment: str = "dev", values: Values | None = None) -> Document:
    template: Document = workload(chart, environment, values)["spec"]["template"]
    return template


def container(chart: Path, environment: str = "dev", values: Values | None = None) -> Document:
    (only,) = pod(chart, environment, values)["spec"]["containers"]
    found: Document = only
    return found


def refusal(
    chart: Path,
    values: Values,
    helm: str = HELMS[0],
    project: str = PROJECT,
    environment: str = "dev",
    api_versions: str = API_VERSIONS,
) -> str:
    """What Helm says when it refuses values; an error if it takes them."""
    given = json.dumps(merged(DEPLOYED[chart], values))
    result = run(helm, chart, environment, given, project, api_versions)
    assert result.returncode != 0, f"{chart.name} takes {values} for {project}"
    return result.stderr


def started(data: dict[str, str], monkeypatch: pytest.MonkeyPatch, secrets: Path) -> Settings:
    """Read a rendered configuration as the service does at its start."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in data.items():
        monkeypatch.setenv(name, value.replace("/run/secrets/visits", str(secrets)))
    return load_settings()
