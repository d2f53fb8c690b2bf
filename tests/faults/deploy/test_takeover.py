"""A project that the scripts of an earlier version deployed: today's take it over, and can give it back."""

import json
import time

import pytest

from tests.faults.deploy.conftest import MakeDeployment, fault
from tests.faults.deploy.deployment import Deployment, Sources

BEFORE_CANDIDATES = "07964f2"
"""The last commit whose records, lock and charts knew neither a candidate nor the origin of a rollback."""

WAITED_THEN = 2.0
"""REQUEST_TIMEOUT of that version."""


@pytest.fixture
def installed_before(make_deployment: MakeDeployment, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Two versions deployed by the scripts of then, so that there is a verified one to go back to."""
    then = Sources.of_commit(BEFORE_CANDIDATES, tmp_path_factory.mktemp("then") / "product")
    deployment = make_deployment(sources=then)
    for tag in ["0.8.0", "0.9.0"]:
        run = deployment.run(tag)
        assert run.process.returncode == 0, run.output
    return deployment


def replica_sets(deployment: Deployment) -> set[str]:
    return set(deployment.project.kubectl("get", "replicasets", "-o", "name").split())


def redis_revisions(deployment: Deployment) -> set[str]:
    """The versions of Redis' pod that there were."""
    listed = json.loads(deployment.project.kubectl("get", "controllerrevisions", "-o", "json"))["items"]
    return {item["metadata"]["name"] for item in listed}


def test_taken_over(installed_before: Deployment, make_deployment: MakeDeployment, sources: Sources) -> None:
    then = installed_before
    now = make_deployment(project=then.project)
    assert now.sources == sources
    counted = then.project.get("/").json["counter"]
    sets, redis = replica_sets(then), redis_revisions(then)
    volume = then.project.kubectl("get", "pvc", "-o", "jsonpath={..volumeName}")

    with fault("a project of the scripts before candidates", now, 0, "the candidate answered well") as line:
        line.run = now.start("1.0.0")
        line.run.await_step("Redis")
        began = time.monotonic()
        line.run.await_line("statefulset .*: complete")
        # Redis restarts once, for longer than the 2 s that a visit of that version waits.
        line.outage = began, time.monotonic() + WAITED_THEN
    assert len(replica_sets(now) - sets) == 1, "the pods were rolled more than once"
    assert len(redis_revisions(now) - redis) <= 1, "Redis was rolled more than once"
    assert now.project.kubectl("get", "pvc", "-o", "jsonpath={..volumeName}") == volume
    kept = now.project.get("/api/v1/counter").json["counter"]
    assert isinstance(counted, int)
    assert isinstance(kept, int)
    assert kept >= counted + len(line.answered)

    with fault("the same again: nothing changes", now, 0, "nothing: what runs is what was asked") as line:
        line.run = now.run("1.0.0")
    with fault("--rollback to what the scripts before deployed", now, 0, ":0.9.0 serves") as line:
        line.run = now.run_script(now.project.name, "--rollback")
    assert now.project.get("/version").json["version"] == "0.9.0"
