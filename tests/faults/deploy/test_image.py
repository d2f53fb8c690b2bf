"""Build and push, what they leave in the registry, and when the pods roll."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.faults.deploy.conftest import fault
from tests.faults.deploy.deployment import Deployment
from tests.faults.tcp_proxy import TcpProxy


def test_the_build_fails(installed: Deployment) -> None:
    with fault("build fails", installed, 4, "could not be built") as line:
        with installed.sources.edited("Dockerfile", lambda text: text.replace("USER ", "RUN false\nUSER ")):
            line.run = installed.run("1.1.0")


class Refuses(BaseHTTPRequestHandler):
    """A registry that knows the user, and does not let them push."""

    def answer(self) -> None:
        body = b'{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}'
        self.send_response(200 if self.path == "/v2/" else 403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = answer  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        pass


@contextmanager
def refusing_registry() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"localhost:{server.server_port}"
        server.shutdown()


def test_the_registry_refuses_the_push(installed: Deployment) -> None:
    with refusing_registry() as registry, fault("registry refuses the push", installed, 4, "denied") as line:
        line.run = installed.run("1.1.0", image=f"{registry}/visits")


def test_the_push_is_cut(installed: Deployment) -> None:
    host, _, port = installed.project.cluster.registry.partition(":")
    with TcpProxy((host, int(port)), upload_limit=50_000) as proxy:
        with fault("push cut in the middle", installed, 4, "docker push") as line:
            line.run = installed.run("1.1.0", image=f"localhost:{proxy.port}/{installed.project.name}-cut")
        assert proxy.uploaded > 50_000


def test_the_image_is_missing(installed: Deployment) -> None:
    with fault("image missing (--no-build)", installed, 4, "docker pull") as line:
        line.run = installed.run("9.9.9", "--no-build")


def test_no_build_deploys_what_the_registry_holds(installed: Deployment) -> None:
    installed.deploys("1.2.0", "--no-candidate")
    digest = installed.serving()
    installed.deploys("1.2.1", "--no-candidate")
    with fault("an older tag again (--no-build)", installed, 0) as line:
        line.run = installed.run("1.2.0", "--no-build")
    assert installed.serving() == digest


def test_nothing_changed(installed: Deployment) -> None:
    installed.deploys("1.3.0", "--no-candidate")
    planned = installed.run("1.3.0", "--plan")
    assert planned.process.returncode == 0, planned.output
    says = "nothing: what runs is what was asked"
    with fault("nothing changed", installed, 0, says, changes_nothing=True) as line:
        line.run = installed.run("1.3.0")


def test_same_tag_with_other_content(installed: Deployment) -> None:
    """What the tag pointed to before keeps a tag of its own, so that the registry keeps it for a rollback."""
    installed.deploys("1.4.0", "--no-candidate")
    before = installed.serving()
    with installed.sources.edited("app/static/robots.txt", lambda text: text + "# other content\n"):
        planned = installed.run("1.4.0", "--plan")
        assert planned.process.returncode == 20, planned.output
        with fault("same tag with other content", installed, 0) as line:
            line.run = installed.run("1.4.0")
    assert installed.serving() != before
    tagged = digests_by_tag(installed.project.cluster.registry, installed.project.name)
    assert tagged["1.4.0"] == installed.serving()
    assert before in tagged.values()


def digests_by_tag(registry: str, repository: str) -> dict[str, str]:
    accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    digests = {}
    with closing(HTTPConnection(registry, timeout=10)) as connection:
        connection.request("GET", f"/v2/{repository}/tags/list")
        for tag in json.loads(connection.getresponse().read())["tags"]:
            connection.request("HEAD", f"/v2/{repository}/manifests/{tag}", headers=accept)
            answer = connection.getresponse()
            answer.read()
            digests[tag] = answer.headers["Docker-Content-Digest"]
    return digests


def test_other_tag_with_the_same_content(installed: Deployment) -> None:
    installed.deploys("1.5.0", "--no-candidate")
    with fault("other tag with the same content", installed, 0) as line:
        line.run = installed.run("1.5.1")
    assert installed.project.get("/version").json["version"] == "1.5.1"


@pytest.mark.parametrize("tag", ["1.10", "58467965"])
def test_numeric_tags_keep_their_digits(installed: Deployment, tag: str) -> None:
    with fault(f"numeric tag ({tag})", installed, 0) as line:
        line.run = installed.run(tag, "--no-candidate")
    assert installed.project.get("/version").json["version"] == tag
