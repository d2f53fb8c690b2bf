"""A job's token for the cluster, from a server in GitHub's place."""

import base64
import json
import os
import stat
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.faults.deploy.certificates import certificate_for

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "dev" / "ci" / "cluster_access.py"
AUTHORITY = "-----BEGIN CERTIFICATE-----\nanyone\n-----END CERTIFICATE-----\n"
CLUSTER = {
    "CLUSTER_SERVER": "https://cluster.test",
    "CLUSTER_CA": base64.b64encode(AUTHORITY.encode()).decode(),
    "CLUSTER_AUDIENCE": "https://cluster.test/x",
}
CLAIMS = (
    base64.urlsafe_b64encode(json.dumps({"exp": 1767225600, "sub": "repo"}).encode()).decode().rstrip("=")
)
TOKEN = f"header.{CLAIMS}.signature"


class GitHub(BaseHTTPRequestHandler):
    """Gives a token to whoever has the job's own."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        known = self.headers["Authorization"] == "bearer of-the-job"
        self.send_response(200 if known else 401)
        self.end_headers()
        self.wfile.write(json.dumps({"value": TOKEN}).encode() if known else b"of-the-job")

    def log_message(self, *_: object) -> None:
        """Not in the tests' output."""


@pytest.fixture
def github() -> Iterator[dict[str, str]]:
    GitHub.asked = []
    with HTTPServer(("127.0.0.1", 0), GitHub) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/token?api-version=2"
        yield {"ACTIONS_ID_TOKEN_REQUEST_URL": url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-job"}
        server.shutdown()
        thread.join()


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = {"PATH": os.environ["PATH"], "no_proxy": "127.0.0.1"}
    return subprocess.run(list(command), env=path | environment, capture_output=True, text=True, check=False)


def test_kubectl_is_told_how_to_get_a_token(tmp_path: Path, github: dict[str, str]) -> None:
    """By the kube config alone, as kubectl would run it."""
    config = tmp_path / "kubeconfig"
    done = run(str(SCRIPT), KUBECONFIG=str(config), **CLUSTER)
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    written = json.loads(config.read_text())
    assert written["clusters"][0]["cluster"]["server"] == "https://cluster.test"
    assert written["contexts"][0]["name"] == written["current-context"] == "pipeline"
    plugin = written["users"][0]["user"]["exec"]
    given = {one["name"]: one["value"] for one in plugin["env"]}
    answered = run(plugin["command"], *plugin["args"], **given, **github)
    assert json.loads(answered.stdout) == {
        "apiVersion": plugin["apiVersion"],
        "kind": "ExecCredential",
        "status": {"token": TOKEN, "expirationTimestamp": "2026-01-01T00:00:00Z"},
    }
    assert GitHub.asked == ["/token?api-version=2&audience=https%3A//cluster.test/x"]


class ApiServer(BaseHTTPRequestHandler):
    """Answers anybody, and remembers as whom they came."""

    came: list[str | None]

    def do_GET(self) -> None:
        self.came.append(self.headers["Authorization"])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Not in the tests' output."""


def test_the_real_kubectl_comes_with_the_token(tmp_path: Path, github: dict[str, str]) -> None:
    ApiServer.came = []
    certificate = certificate_for("localhost", tmp_path / "tls")
    config = str(tmp_path / "kubeconfig")
    with HTTPServer(("127.0.0.1", 0), ApiServer) as server:
        server.socket = certificate.context().wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever)
        thread.start()
        authority = base64.b64encode(certificate.file.read_bytes()).decode()
        where = {"CLUSTER_SERVER": f"https://localhost:{server.server_port}", "CLUSTER_CA": authority}
        assert run(str(SCRIPT), KUBECONFIG=config, **(CLUSTER | where)).returncode == 0
        kubectl = str(ROOT / ".tools" / "kubectl")
        home = {"HOME": str(tmp_path), "NO_PROXY": "localhost"}
        asked = run(kubectl, "get", "--raw", "/readyz", KUBECONFIG=config, **home, **github)
        server.shutdown()
        thread.join()
    assert asked.stdout == "ok", asked.stderr
    assert ApiServer.came == [f"Bearer {TOKEN}"]


def test_github_that_is_away_for_a_moment_is_asked_again(
    github: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each question to the cluster needs a token, and a Helm without one is a failed release."""
    answer = GitHub.do_GET

    def away_once(self: GitHub) -> None:
        if self.asked:
            answer(self)
        else:
            self.asked.append(self.path)
            self.send_error(503)

    monkeypatch.setattr(GitHub, "do_GET", away_once)
    done = run(str(SCRIPT), "token", **CLUSTER, **github)
    assert done.returncode == 0, done.stderr
    assert len(GitHub.asked) == 2


@pytest.mark.parametrize(
    "wrong", [{"CLUSTER_SERVER": "cluster.test:6443"}, {"CLUSTER_CA": "-----BEGIN CERTIFICATE-----"}]
)
def test_a_cluster_that_cannot_be_meant_is_refused(tmp_path: Path, wrong: dict[str, str]) -> None:
    """Without https:// kubectl asks in plain text and as nobody, and says only that it cannot connect."""
    done = run(str(SCRIPT), KUBECONFIG=str(tmp_path / "kubeconfig"), **(CLUSTER | wrong))
    assert done.returncode == 1
    assert all(name in done.stderr for name in wrong)


def test_a_refusal_is_one_line_without_secrets(github: dict[str, str]) -> None:
    done = run(str(SCRIPT), "token", **CLUSTER, **(github | {"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "another"}))
    assert done.returncode == 1
    assert done.stderr == "dev/ci/cluster_access.py: GitHub gave no token: HTTPError\n"


@pytest.mark.parametrize(
    ("arguments", "names", "advice"),
    [
        ([], "KUBECONFIG, CLUSTER_SERVER, CLUSTER_CA, CLUSTER_AUDIENCE", "variables of the environment"),
        (["token"], "ACTIONS_ID_TOKEN_REQUEST_URL, ACTIONS_ID_TOKEN_REQUEST_TOKEN", "id-token: write"),
    ],
)
def test_what_is_missing_is_named(arguments: list[str], names: str, advice: str) -> None:
    done = run(str(SCRIPT), *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(f"dev/ci/cluster_access.py: {names} not set: ")
    assert advice in done.stderr
