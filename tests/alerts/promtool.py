"""The chart's alerts as Prometheus' own tool reads them: `promtool`, from PATH."""

import functools
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.charts import SERVICE, Document, Values, document, merged

NEEDS_PROMTOOL = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not on PATH: it comes with Prometheus 3"
)
RULES_ON: Values = {"monitoring": {"rules": {"enabled": True, "scrapedElsewhere": True}}}
EVERYTHING: Values = merged(
    RULES_ON,
    {
        "monitoring": {
            "podMonitor": {"enabled": True},
            "dashboard": {"enabled": True},
            "rules": {
                "kubeStateMetrics": True,
                "certManager": True,
                "certificateNames": "shop-.+",
                "redisExporter": 'namespace="shop"',
                "entrance": {
                    "requests": 'nginx_ingress_controller_requests{host="x.test"}',
                    "failed": 'nginx_ingress_controller_requests{host="x.test",status=~"5.."}',
                },
            },
        }
    },
)
"""Whatever the alerts may need is there."""


@functools.cache
def _rules(values: str) -> list[Document]:
    (group,) = document(SERVICE, "PrometheusRule", values=json.loads(values))["spec"]["groups"]
    rules: list[Document] = group["rules"]
    return rules


def rules(values: Values | None = None) -> list[Document]:
    """The alerts that these values render, in order."""
    return _rules(json.dumps(merged(RULES_ON, values or {})))


def rules_file(folder: Path, values: Values | None = None) -> Path:
    return written(folder, rules(values))


def written(folder: Path, rules: list[Document]) -> Path:
    """Write rules as a file that Prometheus reads."""
    file = folder / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "shop", "rules": rules}]}))
    return file


def promtool(*arguments: str) -> str:
    """Return what it says; an error unless it ends with 0."""
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
