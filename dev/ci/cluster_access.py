#!/usr/bin/env python3
"""Reach a cluster as this job, without a stored key: its API server trusts GitHub's tokens for jobs.

Writes the kube config that KUBECONFIG names; kubectl and helm then run `cluster_access.py token` for a token,
and again when it ends. CLUSTER_SERVER, CLUSTER_CA (PEM, base64) and CLUSTER_AUDIENCE say which cluster; no
secret is among them. docs/pipeline.md has what the API server must be told.
"""

import base64
import json
import os
import stat
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

NEEDED = ["KUBECONFIG", "CLUSTER_SERVER", "CLUSTER_CA", "CLUSTER_AUDIENCE"]
FROM_GITHUB = ["ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
API = "client.authentication.k8s.io/v1"
PAUSES = [0.5, 2.0]
"""Seconds before GitHub is asked again: every question to the cluster needs its token."""


def required(environment: Mapping[str, str], names: list[str], advice: str) -> None:
    missing = [name for name in names if not environment.get(name)]
    if missing:
        sys.exit(f"dev/ci/cluster_access.py: {', '.join(missing)} not set: {advice}")


def refuse_what_cannot_be_meant(environment: Mapping[str, str]) -> None:
    """kubectl would ask in plain text, or say only that it cannot connect."""
    if not environment["CLUSTER_SERVER"].startswith("https://"):
        sys.exit(
            f"dev/ci/cluster_access.py: CLUSTER_SERVER is {environment['CLUSTER_SERVER']}, allowed: https://…"
        )
    try:
        authority = base64.b64decode(environment["CLUSTER_CA"], validate=True)
    except ValueError:
        authority = b""
    if b"-----BEGIN CERTIFICATE-----" not in authority:
        sys.exit(
            "dev/ci/cluster_access.py: CLUSTER_CA is no certificate, allowed: PEM in base64, on one line"
        )


def kubeconfig(environment: Mapping[str, str]) -> dict[str, Any]:
    """JSON is YAML, too."""
    name = "pipeline"
    cluster = {
        "server": environment["CLUSTER_SERVER"],
        "certificate-authority-data": environment["CLUSTER_CA"],
    }
    command = {
        "apiVersion": API,
        "command": str(Path(__file__).resolve()),
        "args": ["token"],
        "env": [{"name": "CLUSTER_AUDIENCE", "value": environment["CLUSTER_AUDIENCE"]}],
        "interactiveMode": "Never",
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"exec": command}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def ends(token: str) -> str:
    """When a token ends, as Kubernetes writes times."""
    claims = token.split(".")[1]
    told = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    return datetime.fromtimestamp(told["exp"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def credential(environment: Mapping[str, str]) -> dict[str, Any]:
    url = f"{environment['ACTIONS_ID_TOKEN_REQUEST_URL']}&audience={quote(environment['CLUSTER_AUDIENCE'])}"
    headers = {"Authorization": f"bearer {environment['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - GitHub's own address
    for pause in [*PAUSES, None]:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - the same
                token = json.load(answer)["value"]
                break
        except (urllib.error.URLError, TimeoutError, KeyError, ValueError) as error:
            if pause is None:
                # Its words may quote what was sent.
                sys.exit(f"dev/ci/cluster_access.py: GitHub gave no token: {type(error).__name__}")
            time.sleep(pause)
    status = {"token": token, "expirationTimestamp": ends(token)}
    return {"apiVersion": API, "kind": "ExecCredential", "status": status}


def main(arguments: list[str]) -> None:
    if arguments == ["token"]:
        required(os.environ, FROM_GITHUB, "the job needs the permission id-token: write")
        print(json.dumps(credential(os.environ)))
        return
    required(os.environ, NEEDED, "set them as variables of the environment in the repository's settings")
    refuse_what_cannot_be_meant(os.environ)
    target = Path(os.environ["KUBECONFIG"])
    target.write_text(json.dumps(kubeconfig(os.environ), indent=2) + "\n")
    target.chmod(stat.S_IRUSR | stat.S_IWUSR)
    print(f"{target}: {os.environ['CLUSTER_SERVER']}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
