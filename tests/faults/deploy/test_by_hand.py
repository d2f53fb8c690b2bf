"""What people do to a project beside deploy.sh, before a deploy and in the middle of one."""

from pathlib import Path

from tests.faults.deploy.conftest import BUSY, fault, fault_without_visitors
from tests.faults.deploy.deployment import Deployment
from tests.faults.deploy.kubeconfig import apply
from tests.faults.deploy.values import crashes, other_digest, values_file
from tests.service import eventually


def test_somebody_paused_it(installed: Deployment) -> None:
    deployment = f"deployment/{installed.project.name}"
    installed.project.kubectl("rollout", "pause", deployment)
    try:
        with fault("Deployment paused by hand", installed, 3, "is paused") as line:
            line.run = installed.run("13.0.0")
    finally:
        installed.project.kubectl("rollout", "resume", deployment)
    assert f"rollout resume deployment {installed.project.name}" in line.run.output


def test_somebody_scaled_it_to_nothing(installed: Deployment) -> None:
    """Nobody is served then, and a deploy is not what changes that."""
    deployment = f"deployment/{installed.project.name}"
    installed.project.kubectl("scale", deployment, "--replicas=0")
    try:
        eventually(lambda: installed.project.pods() == [], "no pods", 60)
        state = installed.state()
        with fault_without_visitors("scaled to 0 pods by hand", installed, 3, "scaled to 0 pods") as line:
            line.run = installed.run("13.1.0")
        assert installed.state() == state
    finally:
        installed.project.kubectl("scale", deployment, "--replicas=3")
        eventually(lambda: len(installed.project.pods()) == 3, "three pods", 120)
        eventually(lambda: installed.project.get("/readyz").status == 200, "the ingress knows them", 60)
    assert f"scale deployment {installed.project.name} --replicas 3" in line.run.output


def test_the_secret_lacks_the_key(installed: Deployment, tmp_path: Path) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "theirs"}}
    apply(installed.project, {**secret, "stringData": {"PASSWORD": "under another name"}})
    values = values_file(tmp_path, {"secret": {"mode": "existing", "name": "theirs"}})
    says = "the secret «theirs» has no key REDIS_PASSWORD; it has: PASSWORD"
    with fault("the Secret lacks the key", installed, 3, says) as line:
        line.run = installed.run("13.2.0", "--values", str(values))
    assert "under another name" not in line.run.output


def verified(deployment: Deployment) -> list[str]:
    """The revisions that --history calls verified."""
    history = deployment.run_script(deployment.project.name, "--history").output
    return [line.split()[1] for line in history.splitlines() if line.startswith("verified ")]


def test_somebody_upgrades_in_the_middle(installed: Deployment) -> None:
    """Their revision has not been asked anything: it is not the one that is called verified."""
    chart = str(installed.sources.folder / ".helm")
    with fault("helm upgrade by hand in the middle of a deploy", installed, 0, load=BUSY) as line:
        line.run = installed.start("13.3.0", "--no-candidate")
        line.run.await_step("watch")
        ours = installed.revision().split()[0]
        options = ["--reuse-values", "--set-string", "annotations.changed-by=hand"]
        installed.helm("upgrade", installed.project.name, chart, *options)
        theirs = installed.revision().split()[0]
        assert int(theirs) == int(ours) + 1
        line.run.wait()
    assert ours in verified(installed)
    assert theirs not in verified(installed)


def test_the_record_is_lost(installed: Deployment) -> None:
    """Without it nobody knows what was verified; what served before comes back all the same."""
    installed.deploys("13.4.0", "--no-candidate")
    record = f"{installed.project.name}-deploy"
    installed.project.kubectl("delete", "configmap", record)
    with installed.sources.edited("app/__main__.py", crashes):
        says = "was restored (no record says that it was verified)"
        with fault("record of what was verified deleted", installed, 8, says, load=BUSY) as line:
            line.run = installed.run("13.4.1", "--no-candidate")
    with fault("the deploy after the record was lost", installed, 0) as line:
        line.run = installed.run("13.4.2")
    assert verified(installed) == [installed.revision().split()[0]]


def test_the_host_changes_and_the_version_fails(installed: Deployment) -> None:
    """The version before is asked under the host that it had."""
    project = installed.project
    image = f"{project.cluster.registry}/{project.name}"
    new_host = f"new-{project.host}"
    arguments = [image, "13.5.0", project.name, new_host, "dev", "--no-candidate"]
    before = installed.serving()
    with installed.sources.edited("app/handlers/version.py", other_digest):
        says = f"the smoke test of http://{new_host} through "
        with fault_without_visitors("another host, and the version fails", installed, 9, says) as line:
            line.run = installed.run_script(*arguments, DEPLOY_SMOKE_SECONDS="8")
    assert f"all answers from http://{project.host} through " in line.run.output
    assert "was restored and verified" in line.run.output
    assert installed.serving() == before
