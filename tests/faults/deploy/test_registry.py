"""A registry that has a bad moment, or that keeps its tags for ever."""

import threading

import pytest

from tests.faults.deploy.conftest import fault
from tests.faults.deploy.deployment import Deployment
from tests.faults.deploy.http_relay import Asked, Said, http_relay
from tests.service import eventually


class BadMoment:
    """The next so many pulls by the nodes get this status; pushes and docker's own pulls never do."""

    def __init__(self, status: int, times: int) -> None:
        self._status = status
        self._left = times
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> Said | None:
        if not asked.headers.get("User-Agent", "").startswith("containerd/"):
            return None
        with self._lock:
            if self._left == 0:
                return None
            self._left -= 1
        return Said(self._status, '{"errors":[{"code":"UNAVAILABLE","message":"come again"}]}')


@pytest.mark.parametrize(
    ("status", "options", "where"),
    [(503, [], "candidate"), (429, ["--no-candidate"], "release")],
    ids=["503 for the candidate", "429 for the release"],
)
def test_it_refuses_some_pulls(installed: Deployment, status: int, options: list[str], where: str) -> None:
    cluster, name = installed.project.cluster, installed.project.name
    with http_relay(cluster.registry, BadMoment(status, times=3)) as relay:
        image = f"localhost:{relay.server_port}/{name}"
        with fault(f"registry answers {status} to some pulls for the {where}", installed, 0) as line:
            line.run = installed.run(f"16.0.{status}", *options, image=image)
        assert len(relay.struck) == 3, relay.struck
        assert relay.passed > 0
    # No later pod should have to pull through what is gone.
    installed.deploys(f"16.1.{status}", "--no-candidate")


class NeverOverwrites:
    """Refuses to give a tag that it holds another digest, as registries with immutable tags do."""

    def __init__(self) -> None:
        self._kept: set[str] = set()

    def __call__(self, asked: Asked) -> Said | None:
        if asked.method != "PUT" or "/manifests/" not in asked.path:
            return None
        tag = asked.path.rpartition("/")[2]
        if tag in self._kept:
            told = f"The image tag '{tag}' already exists and cannot be overwritten: the tag is immutable."
            error = f'{{"errors":[{{"code":"TAG_INVALID","message":"{told}"}}]}}'
            return Said(400, error, {"Content-Type": "application/json"})
        self._kept.add(tag)
        return None


def test_its_tags_are_immutable(installed: Deployment) -> None:
    with http_relay(installed.project.cluster.registry, NeverOverwrites()) as relay:
        image = f"localhost:{relay.server_port}/{installed.project.name}"
        installed.deploys("16.2.0", "--no-candidate", image=image)
        with installed.sources.edited("app/static/robots.txt", lambda text: text + "# other content\n"):
            with fault(
                "immutable tag, other content", installed, 4, "deploy what it holds: --no-build"
            ) as line:
                line.run = installed.run("16.2.0", image=image)
        assert [asked.path.rpartition("/")[2] for asked in relay.struck] == ["16.2.0"]
        name = "immutable tag, what it holds (--no-build)"
        with fault(name, installed, 0, "nothing: what runs is what was asked", changes_nothing=True) as line:
            line.run = installed.run("16.2.0", "--no-build", image=image)
    installed.deploys("16.2.1", "--no-candidate")
    eventually(lambda: len(installed.project.pods()) == 3, "three pods", 60)
