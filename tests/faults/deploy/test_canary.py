"""One password is looked for wherever a deploy could leave it: processes, files, logs, objects, answers."""

import secrets
from dataclasses import replace
from pathlib import Path

import pytest

from tests.canary import Search
from tests.faults.deploy import conftest
from tests.faults.deploy.conftest import MakeDeployment, fault_without_visitors
from tests.faults.deploy.deployment import Deployment, Sources
from tests.faults.deploy.kubeconfig import apply
from tests.faults.deploy.secrecy import (
    look_at_answers,
    look_at_helm,
    look_at_objects,
    look_into_pods,
    password_of,
    running_pods,
)
from tests.faults.deploy.values import crashes, values_file
from tests.process_trace import ProcessTrace
from tests.service import eventually

PLANT = """
plant() {
  local planted encoded template='{{.data.REDIS_PASSWORD | base64decode}}'
  planted=$("${kubectl[@]}" get secret "$secret_name" -o go-template="$template")
  encoded=$(printf 'a%s' "$planted" | base64 | tr -d '\\n')
  /bin/echo "$planted" >/dev/null
  PLANTED=$planted /bin/true
  printf %s "$planted" >"$work/deleted-with-its-folder"
  printf %s "$planted" >"$HOME/left"
  note "planted: $planted"
  "${kubectl[@]}" create configmap planted --from-literal=encoded="$encoded"
}
"""


class Watched:
    """A deployment whose deploys are traced, each with `bash -x`, in a home and a folder for temporary files
    of its own."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self._deployment = deployment
        self._folder = folder
        self._traces: list[ProcessTrace] = []
        self.home = folder / "home"
        self.temporary = folder / "temporary"
        self.home.mkdir()
        self.temporary.mkdir()

    def next_deploy(self) -> Deployment:
        """The deployment, to be used for one deploy."""
        trace = ProcessTrace(self._folder / f"trace-{len(self._traces)}")
        self._traces.append(trace)
        # On a descriptor of its own, because deploy.sh reads what its programs say on stderr.
        shown = self._folder / f"shown-{len(self._traces)}"
        begin = ["bash", "-c", 'exec env BASH_XTRACEFD=7 "$@" 7>"$0"', str(shown)]
        places = {"HOME": str(self.home), "TMPDIR": str(self.temporary)}
        return replace(
            self._deployment,
            through=(*begin, *trace.command(), "bash", "-x"),
            environment=self._deployment.environment | places,
        )

    def look(self, search: Search) -> None:
        """At everything that is left of the deploys, and what is there of the project."""
        for trace in self._traces:
            trace.look(search)
        search.look_at_files("home", self.home)
        search.look_at_files("temporary", self.temporary)
        search.look_at_files("sources", self._deployment.sources.folder)
        search.look_at_files("evidence", self._deployment.evidence)
        look_at_helm(search, self._deployment)
        look_at_objects(search, self._deployment.project)
        look_into_pods(search, self._deployment.project)

    def look_with_redis_away(self, search: Search) -> None:
        project = self._deployment.project
        project.kubectl("scale", "statefulset", f"{project.name}-redis", "--replicas=0")
        eventually(lambda: not running_pods(project, "redis"), "Redis is gone", 90)
        answers = look_at_answers(search, project)
        assert "GET /: 503" in answers, answers
        assert "GET /readyz: 503" in answers, answers
        look_into_pods(search, project)


EVERYWHERE = [
    "output",
    "arguments of",
    "environment of",
    "written to",
    "home",
    "sources",
    "evidence",
    "Helm's records",
    "helm get all of",
    "kubectl get pods",
    "kubectl describe deployments.apps",
    "kubectl get events",
    "logs of",
    "processes of",
    "answers",
]


def give(deployment: Deployment, password: str, folder: Path) -> list[str]:
    """Put a password of a person into the Secret; returns the options of a deploy that uses it."""
    name = deployment.project.name
    deployment.project.kubectl("create", "namespace", name)
    labels = [f"deploy/project={name}", "deploy/environment=dev"]
    deployment.project.kubectl("label", "namespace", name, *labels)
    # The Secret that the tests know, so that every one of them looks for this one.
    metadata = {"name": f"{name}-redis-auth"}
    data = {"REDIS_PASSWORD": password}
    apply(
        deployment.project, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
    )
    secret = {"mode": "existing", "name": f"{name}-redis-auth"}
    return ["--values", str(values_file(folder, {"secret": secret}))]


@pytest.mark.parametrize("by_person", [False, True], ids=["generated", "given by a person"])
def test_no_secret_is_seen(make_deployment: MakeDeployment, tmp_path: Path, *, by_person: bool) -> None:
    deployment = make_deployment()
    # Another one each time: this file is among the sources that are looked at.
    given = f"pa/ss+w=&%41@:?#{secrets.token_hex(12)}\\é'$(id)" if by_person else ""
    watched = Watched(deployment, tmp_path)
    options = give(deployment, given, tmp_path) if given else []
    told = "looking for the password everywhere" + (" (one with signs)" if given else "")
    with fault_without_visitors(told, watched.next_deploy(), 0) as line:
        line.run = line.deployment.run("1.0.0", *options)
    outputs = [line.run.output]
    with deployment.sources.edited("app/__main__.py", crashes):
        # Evidence is saved of a candidate, and of a revision that is then rolled back.
        for tag, *more in [["1.0.1"], ["1.0.2", "--no-candidate"]]:
            failed = watched.next_deploy().run(tag, *options, *more)
            assert failed.process.returncode == 8, failed.output
            outputs.append(failed.output)
    password = password_of(deployment)
    assert password == given or (not given and len(password) == 48)
    search = Search(password)
    search.look("output", "".join(outputs))
    watched.look(search)
    watched.look_with_redis_away(search)
    search.assert_clean()
    for place in EVERYWHERE:
        assert search.looked_at(place), f"nobody looked at {place}"
    for tool in ["bash", "helm", "kubectl", "docker"]:
        assert any(one.startswith("arguments of") and one.endswith(f"/{tool}") for one in search.places), tool
    # `bash -x` shows what is no program; and what is deleted at the end was seen before.
    assert search.looked_at(f"written to {tmp_path}/shown-1") == 1
    assert search.looked_at(f"written to {watched.temporary}/") > 4
    assert search.looked_at("evidence, ") > 4


@pytest.mark.control
def test_a_planted_password_is_found_everywhere(
    make_deployment: MakeDeployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conftest.TABLE, "add", lambda _: None)
    # Sources of its own, in which the password's places are planted.
    sources = Sources.of_head(tmp_path / "product")
    deployment = make_deployment(sources=sources)
    folder = tmp_path / "watched"
    folder.mkdir()
    watched = Watched(deployment, folder)
    main = sources.folder / "deploy.sh"
    step = "    step candidate test_candidate\n"
    assert main.read_text().count(step) == 1
    main.write_text(
        main.read_text().replace(step, f"    plant\n{step}").replace("\nparse_", f"{PLANT}\nparse_", 1)
    )
    version = sources.folder / "app" / "__main__.py"
    told = "print(open('/run/secrets/visits/REDIS_PASSWORD').read(), flush=True)\n"
    version.write_text(version.read_text().replace("\nimport", f"\n{told}import", 1))
    run = watched.next_deploy().run("1.0.0")
    assert run.process.returncode == 0, run.output
    search = Search(password_of(deployment))
    search.look("output", run.output)
    watched.look(search)
    for place in [
        "output",
        "arguments of /bin/echo",
        "environment of /bin/true",
        f"written to {folder}/shown-1",
        f"written to {watched.temporary}/",
        "home, left",
        "kubectl get configmaps: in base64",
        "kubectl describe configmaps: in base64",
        "logs of pod/",
    ]:
        assert search.found_in(place), f"not found: {place}; found: {search.found}"
    with pytest.raises(AssertionError, match="the password was found"):
        search.assert_clean()
