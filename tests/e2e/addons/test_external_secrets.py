"""The password from a store, by the real External Secrets Operator, while visitors come."""

import json
import re
import secrets
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.addons.conftest import MakeProject, Values, ValuesFile
from tests.e2e.addons.store import (
    Store,
    await_secret,
    forget_password,
    secret_value,
    start_redis,
)
from tests.e2e.charts.installation import built_image
from tests.e2e.cluster import ROOT, Cluster, Project, kubectl, shown
from tests.service import eventually
from tests.visitors import Visitors


def from_store(store: Store, key: str, prop: str = "password", **more: object) -> Values:
    """Values that take the password from this key of the store."""
    data = [{"secretKey": "REDIS_PASSWORD", "remoteRef": {"key": key, "property": prop}}]
    given = {"store": {"name": store.name}, "refreshInterval": "2s", "data": data}
    # As many pods as at first: one that the autoscaler adds would look like one that was replaced.
    pods = {"autoscaling": {"maxReplicas": 3}}
    return {"secret": {"mode": "externalSecret", "externalSecret": given}, **pods, **more}


def secret_name(project: Project) -> str:
    return f"{project.name}-redis-auth"


def external_secrets(project: Project) -> list[str]:
    listed = project.kubectl("get", "externalsecrets", "-o", "jsonpath={.items[*].metadata.name}")
    return sorted(listed.split())


def await_no_candidates(project: Project, *left: str) -> None:
    """The candidate's Secret is collected once its ExternalSecret is gone, a moment after the deploy."""
    eventually(lambda: external_secrets(project) == sorted(left), f"the ExternalSecrets left: {left}", 30)
    name = f"{project.name}-candidate"
    eventually(
        lambda: project.kubectl("get", "secret", name, "--ignore-not-found") == "",
        "no candidate's Secret",
        60,
    )


def revisions(project: Project) -> list[int]:
    command = ["helm", "--namespace", project.name, "history", project.name, "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [one["revision"] for one in json.loads(done.stdout)]


def pod_states(project: Project) -> dict[str, str]:
    """Of each of the service's pods, how often it was restarted."""
    path = "jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].restartCount}{'\\n'}{end}"
    listed = project.kubectl("get", "pods", "-l", "app.kubernetes.io/name=visits", "-o", path)
    return dict(line.split() for line in listed.splitlines())


def await_mounted(project: Project, pod: str, value: str) -> None:
    """The kubelet renews the files at its next look at the pod, within a minute or two."""
    asked = ["exec", pod, "--", "cat", "/run/secrets/visits/REDIS_PASSWORD"]
    eventually(lambda: project.kubectl(*asked) == value, f"{pod} has the new value", 180)


def visitors(project: Project) -> Visitors:
    return Visitors(project.cluster.ingress, project.host, count=8, pause=0.02)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_EXTERNAL_SECRET_SECONDS", "10")
    monkeypatch.setenv("DEPLOY_CANDIDATE_SECONDS", "20")


def test_a_first_install_waits_for_the_store_and_leaves_nothing_in_vain(
    store: Store, make_project: MakeProject, values_file: ValuesFile
) -> None:
    project = make_project()
    values = values_file(from_store(store, project.name))
    refused = project.deploy("1.0.0", "--values", values)
    assert refused.returncode == 3
    assert "could not get secret data from provider" in refused.stderr
    await_no_candidates(project)
    assert project.kubectl("get", "secret", secret_name(project), "--ignore-not-found") == ""

    store.put(project.name, password=secrets.token_hex(16))
    deployed = project.deploy("1.0.0", "--values", values)
    assert deployed.returncode == 0, deployed.stderr
    assert project.get("/").status == 200
    await_no_candidates(project, secret_name(project))
    metadata = json.loads(project.kubectl("get", "secret", secret_name(project), "-o", "json"))["metadata"]
    assert "ownerReferences" not in metadata
    assert metadata["labels"].items() >= {"deploy/project": project.name}.items()
    assert "app.kubernetes.io/instance" not in metadata["labels"]

    again = project.deploy("1.0.0", "--values", values)
    assert again.returncode == 0, again.stderr
    assert revisions(project) == [1]
    plan = project.deploy("1.0.0", "--values", values, "--plan")
    assert plan.returncode == 0, plan.stdout
    moved = values_file(from_store(store, project.name, prop="other"))
    plan = project.deploy("1.0.0", "--values", moved, "--plan")
    assert plan.returncode == 20
    assert f"~ ExternalSecret/{secret_name(project)}" in plan.stdout


@pytest.fixture(scope="module")
def deployed(store: Store, make_project: MakeProject, values_file: ValuesFile) -> Project:
    """A project whose bundled Redis has the password that the store holds."""
    project = make_project()
    store.put(project.name, password=secrets.token_hex(16))
    done = project.deploy("1.0.0", "--values", values_file(from_store(store, project.name)))
    assert done.returncode == 0, done.stderr
    return project


@pytest.fixture
def unharmed(deployed: Project) -> Iterator[Project]:
    """Visitors come all the while; nobody fails, no pod is replaced, and the password stays."""
    eventually(lambda: len(deployed.pods()) >= 3, "three pods are ready", 60)
    pods, password = pod_states(deployed), secret_value(deployed.name, secret_name(deployed))
    spec = ["get", "externalsecret", secret_name(deployed), "-o", "jsonpath={.spec}"]
    asked = deployed.kubectl(*spec)
    with visitors(deployed) as load:
        yield deployed
        load.await_answers(50)
    assert load.failures == []
    assert pod_states(deployed) == pods
    assert secret_value(deployed.name, secret_name(deployed)) == password
    assert deployed.kubectl(*spec) == asked
    await_no_candidates(deployed, secret_name(deployed))
    print(f"{len(load.visits)} requests meanwhile, 0 failed", flush=True)


def test_a_key_that_is_missing_ends_the_deploy_before_anything_changes(
    store: Store, unharmed: Project, values_file: ValuesFile
) -> None:
    values = values_file(from_store(store, unharmed.name, prop="absent"))
    done = unharmed.deploy("1.1.0", "--values", values)
    assert done.returncode == 3
    assert "gives no secret" in done.stderr
    assert "absent" in done.stderr


def test_a_store_that_may_not_be_read_is_told_as_such(
    store: Store, unharmed: Project, values_file: ValuesFile
) -> None:
    store.refuse()
    try:
        done = unharmed.deploy("1.1.0", "--values", values_file(from_store(store, unharmed.name)))
    finally:
        store.allow()
        store.await_ready()
    assert done.returncode == 3
    assert re.search("forbidden|not ready", done.stderr)


def test_a_store_that_is_away_takes_the_password_from_nobody(
    store: Store, unharmed: Project, values_file: ValuesFile
) -> None:
    values = values_file(from_store(store, unharmed.name))
    store.go_away()
    try:
        done = unharmed.deploy("1.1.0", "--values", values)
        ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
        asked = ["get", "externalsecret", secret_name(unharmed), "-o", ready]
        eventually(lambda: unharmed.kubectl(*asked) == "False", "the refresh failed, too", 60)
    finally:
        store.come_back()
    assert done.returncode == 3
    assert re.search("refused|not ready", done.stderr)


def test_a_password_that_redis_refuses_is_found_by_the_candidate(
    store: Store, unharmed: Project, values_file: ValuesFile
) -> None:
    """The pods' Secret never holds it: their next connect to Redis would fail."""
    wrong = f"{unharmed.name}-wrong"
    store.put(wrong, password=secrets.token_hex(16))
    done = unharmed.deploy("1.0.0", "--values", values_file(from_store(store, wrong)))
    assert done.returncode == 3
    assert "Redis does not let the candidate count" in done.stderr


def test_into_a_store_and_back_again_nobody_fails_and_the_password_stays(
    store: Store, make_project: MakeProject, values_file: ValuesFile
) -> None:
    project = make_project()
    first = project.deploy("1.0.0")
    assert first.returncode == 0, first.stderr
    password = secret_value(project.name, secret_name(project))
    store.put(project.name, password=password)
    with visitors(project) as load:
        taken = project.deploy("1.0.0", "--values", values_file(from_store(store, project.name)))
        assert taken.returncode == 0, taken.stderr
        assert external_secrets(project) == [secret_name(project)]
        load.await_answers(50)
        back = shown("./deploy.sh", project.name, "--rollback", "--ingress", project.cluster.ingress)
        assert back.returncode == 0, back.stderr
        eventually(lambda: external_secrets(project) == [], "no ExternalSecret", 30)
        assert secret_value(project.name, secret_name(project)) == password
        # Whoever starts now needs the Secret.
        project.kubectl("delete", "pod", project.pods()[0])
        eventually(lambda: len(project.pods()) >= 3, "a pod that is new is ready", 90)
        load.await_answers(50)
    assert load.failures == []
    print(f"{len(load.visits)} requests into a store and back, 0 failed", flush=True)

    again = project.deploy("1.0.0", "--values", values_file(from_store(store, project.name)))
    assert again.returncode == 0, again.stderr
    gone = shown("./deploy.sh", project.name, "--uninstall", "--yes")
    assert gone.returncode == 0, gone.stderr
    eventually(lambda: external_secrets(project) == [], "no ExternalSecret", 30)
    assert secret_value(project.name, secret_name(project)) == password


def test_a_value_that_is_rotated_replaces_no_pod_and_fails_nobody(
    store: Store, make_project: MakeProject, values_file: ValuesFile
) -> None:
    """Redis takes both for a while; then the old one is withdrawn, and everybody must log in again."""
    project, old, new = make_project(), secrets.token_hex(16), secrets.token_hex(16)
    elsewhere = f"{project.name}-elsewhere"
    try:
        host = start_redis(elsewhere, old, new)
        store.put(project.name, password=old)
        values = from_store(store, project.name, redis={"mode": "external", "host": host})
        done = project.deploy("1.0.0", "--values", values_file(values))
        assert done.returncode == 0, done.stderr
        pods = pod_states(project)
        with visitors(project) as load:
            store.put(project.name, password=new)
            await_secret(project.name, secret_name(project), new)
            for pod in project.pods():
                await_mounted(project, pod, new)
            forget_password(elsewhere, old, new)
            load.await_answers(200)
        assert load.failures == []
        assert pod_states(project) == pods
        assert set(pods.values()) == {"0"}
        print(f"{len(load.visits)} requests while the password changed, 0 failed", flush=True)
    finally:
        kubectl("delete", "namespace", elsewhere, "--ignore-not-found", "--wait=false")


def test_the_charts_come_up_as_a_gitops_tool_applies_them(
    store: Store, cluster: Cluster, make_project: MakeProject, values_file: ValuesFile
) -> None:
    """`helm template | kubectl apply`, both charts at once: neither Helm's releases nor deploy.sh."""
    project, image = make_project(), built_image(cluster)
    store.put(project.name, password=secrets.token_hex(16))
    values = from_store(store, project.name, ingress={"host": project.host})
    values["image"] = {"repository": image.repository, "digest": image.digest}
    kubectl("create", "namespace", project.name)
    project.kubectl("label", "namespace", project.name, "pod-security.kubernetes.io/enforce=restricted")
    for release, chart, file in (
        (project.name, ".helm", values_file(values)),
        (f"{project.name}-redis", ".helm/redis", f"{ROOT}/.helm/redis/values-dev.yaml"),
    ):
        command = ["helm", "template", release, chart, "--namespace", project.name, "--no-hooks"]
        command += ["--api-versions", "external-secrets.io/v1", "--values", file]
        rendered = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        applied = ["kubectl", "--namespace", project.name, "apply", "-f", "-"]
        done = subprocess.run(applied, input=rendered, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    project.kubectl("rollout", "status", f"statefulset/{project.name}-redis", "--timeout=180s")
    project.kubectl("rollout", "status", f"deployment/{project.name}", "--timeout=180s")
    eventually(lambda: project.get("/").status == 200, "the page answers", 60)
