"""One deploy at a time."""

import secrets
from pathlib import Path

from tests.faults.deploy.conftest import fault
from tests.faults.deploy.deployment import Deployment
from tests.faults.deploy.kubeconfig import apply
from tests.faults.deploy.values import never_ready


def take_lease(deployment: Deployment) -> None:
    """Somebody else's lease, in the place of whatever is there."""
    apply(
        deployment.project,
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": f"{deployment.project.name}-deploy"},
            "spec": {
                "holderIdentity": "somebody@elsewhere",
                "leaseDurationSeconds": 30,
                "acquireTime": "2026-01-01T00:00:00.000000Z",
                "renewTime": "2026-01-01T00:00:00.000000Z",
            },
        },
    )


def test_two_deploys_at_once(installed: Deployment, tmp_path: Path) -> None:
    values = str(never_ready(installed, tmp_path))
    says = "another deploy holds the lock: "
    with fault("two deploys at once", installed, 5, says, changes_nothing=False) as line:
        first = installed.start("2.0.0", "--no-candidate", "--values", values, "--timeout", "60")
        first.await_step("watch")
        line.run = installed.run("2.0.1")
        assert not first.ended, "the first one did not hold the lock all the time"
        assert first.wait() == 8, first.output


def test_the_second_deploy_waits_for_a_short_one(installed: Deployment) -> None:
    with fault("a second deploy while a short one runs", installed, 0, "waiting for the deploy of") as line:
        first = installed.start("2.1.0", "--no-candidate")
        first.await_step("build")
        line.run = installed.run("2.1.1", "--no-candidate")
        assert first.wait() == 0, first.output
    assert installed.project.get("/version").json["version"] == "2.1.1"


def test_an_expired_lock_is_taken_over(installed: Deployment) -> None:
    with fault("lock expired", installed, 0, "took over the lock that somebody@elsewhere") as line:
        take_lease(installed)
        line.run = installed.run("2.2.0", "--no-candidate")


def test_the_lock_is_lost_in_the_middle(installed: Deployment) -> None:
    # A layer that no run before has left in the builder's cache.
    waiting = f"RUN sleep 14 && : {secrets.token_hex(4)}\nUSER "
    slow = installed.sources.edited("Dockerfile", lambda text: text.replace("USER ", waiting))
    with (
        fault("lock lost in the middle", installed, 5, "lost its lock", lock_is_free=False) as line,
        slow,
    ):
        line.run = installed.start("2.3.0")
        line.run.await_step("build")
        take_lease(installed)
        line.run.wait()
    assert "] push" not in line.run.output, "it went on without the lock"
    # Somebody else's lease is not ours to delete.
    assert installed.lock_holder() == "somebody@elsewhere"
    installed.project.kubectl("delete", "lease", f"{installed.project.name}-deploy", "--ignore-not-found")
