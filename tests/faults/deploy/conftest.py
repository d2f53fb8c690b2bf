"""Projects to break: one is installed per Helm version, and every fault must leave it serving."""

import json
import os
import re
import secrets
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.cluster import Cluster, Project
from tests.faults.deploy.deployment import Deployment, Run, Sources, folder_of_helm
from tests.faults.deploy.secrecy import assert_no_leak, password_of
from tests.faults.table import FaultTable
from tests.visitors import Visit, Visitors

TABLE = FaultTable("deploy")


def pytest_configure() -> None:
    TABLE.begin()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    red = [report for report in terminalreporter.stats.get("passed", []) if "control" in report.keywords]
    TABLE.show(terminalreporter, exitstatus, f"{kubernetes()}; {len(red)} controls failed as they must")


def kubernetes() -> str:
    asked = subprocess.run(["kubectl", "version", "-o", "json"], capture_output=True, text=True, check=False)
    told = json.loads(asked.stdout or "{}").get("serverVersion", {"gitVersion": "of an unknown version"})
    return f"Kubernetes {told['gitVersion']}"


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    return Cluster.from_environment()


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """The product at its last commit, with three pods, neither more nor fewer.

    So a pod that was replaced is told from one that the autoscaler added.
    """
    sources = Sources.of_head(tmp_path_factory.mktemp("sources") / "product")
    values = sources.folder / ".helm" / "values-dev.yaml"
    three = values.read_text().replace("maxReplicas: 4", "maxReplicas: 3")
    assert three != values.read_text()
    values.write_text(three)
    return sources


MakeDeployment = Callable[..., Deployment]


@pytest.fixture(scope="session")
def make_deployment(
    cluster: Cluster, sources: Sources, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeDeployment]:
    """A project that is deleted at the end: `make_deployment(helm=3)`.

    A new one with the product of today, where neither `project` nor `sources` says otherwise.
    """
    today = sources
    with ExitStack() as cleanup:

        def make(helm: int = 4, project: Project | None = None, sources: Sources = today) -> Deployment:
            project = project or Project(cluster, f"faults-{secrets.token_hex(3)}")
            cleanup.callback(project.delete)
            folder = folder_of_helm(helm, tmp_path_factory.mktemp("bin"))
            path = f"{folder}:{os.environ['PATH']}"
            return Deployment(project, sources, tmp_path_factory.mktemp("evidence"), {"PATH": path})

        yield make


@pytest.fixture(scope="session")
def installed_by_helm(make_deployment: MakeDeployment) -> Callable[[int], Deployment]:
    """The project of this Helm version, installed when first asked for."""
    installed: dict[int, Deployment] = {}

    def install(helm: int) -> Deployment:
        if helm not in installed:
            deployment = make_deployment(helm)
            run = deployment.run("1.0.0")
            assert run.wait() == 0, run.output
            installed[helm] = deployment
        return installed[helm]

    return install


@pytest.fixture
def installed(installed_by_helm: Callable[[int], Deployment]) -> Deployment:
    return installed_by_helm(4)


@pytest.fixture(params=[4, 3], ids=["helm4", "helm3"])
def installed_by_each(
    request: pytest.FixtureRequest, installed_by_helm: Callable[[int], Deployment]
) -> Deployment:
    return installed_by_helm(request.param)


class Line:
    """One line of the fault table: the deploy under the fault, and the load that ran meanwhile."""

    def __init__(self, deployment: Deployment, load: Visitors | None) -> None:
        self.deployment = deployment
        self.load = load
        self.run: Run | None = None
        self.outage: tuple[float, float] | None = None
        """From when to when (time.monotonic) nobody could be served, where the fault is such a one."""

    @property
    def answered(self) -> list[Visit]:
        """The visits that were answered meanwhile."""
        return self.load.answered if self.load else []


class Load(NamedTuple):
    """Visitors who come twice a second, half of them POST; and how many visits there are at least."""

    visitors: int
    least_a_second: int


STEADY = Load(visitors=18, least_a_second=20)
BUSY = Load(visitors=80, least_a_second=100)
"""For versions: what one answer in many shows must be seen. One line at a time is what two cores carry."""

NOTHING_CHANGED = (2, 3, 4, 5)
"""The exit statuses that say so."""


@contextmanager
def fault(
    name: str,
    deployment: Deployment,
    status: int,
    says: str = "",
    *,
    serves_before: bool = True,
    changes_nothing: bool | None = None,
    lock_is_free: bool = True,
    load: Load = STEADY,
) -> Iterator[Line]:
    """Visitors keep asking while the block breaks something and sets `line.run`; then the deploy is judged.

    It must end with `status` and say `says`; no request may fail, but for a 503 in `line.outage`; unless
    it ended with 0 the version before must serve; the lock must be free, no candidate left, and no secret
    in what it printed, saved or gave to Helm. Where its status says that nothing was changed, or
    `changes_nothing` does, the same revisions, ReplicaSets and pods are there as before.
    """
    changes_nothing = status in NOTHING_CHANGED if changes_nothing is None else changes_nothing
    before, state = deployment.serving(), deployment.state()
    with coming_to(deployment, load) as visitors:
        line = Line(deployment, visitors)
        yield line
        assert line.run is not None
        line.run.wait()
        visitors.await_answers(10)
    record(name, line)
    judge(line, status, says, lock_is_free=lock_is_free)
    failed = [visit for visit in visitors.failures if not is_of_outage(visit, line.outage)]
    assert not failed, told(failed, line)
    assert_rate(visitors, load, line.outage)
    if serves_before and status != 0:
        assert deployment.serving() == before
    if changes_nothing:
        assert deployment.state() == state


def is_of_outage(visit: Visit, outage: tuple[float, float] | None) -> bool:
    return outage is not None and visit.status == 503 and outage[0] <= visit.ended <= outage[1]


def told(failed: list[Visit], line: Line) -> str:
    """Who failed how, and when by the deploy's own clock."""
    assert line.run is not None
    kinds = Counter(f"{visit.method} {visit.status}" for visit in failed)
    times = [
        f"{visit.began - line.run.started:.1f} to {visit.ended - line.run.started:.1f}" for visit in failed
    ]
    return f"failed: {dict(kinds)}, at the seconds {times}, of:\n{line.run.output}"


@contextmanager
def coming_to(deployment: Deployment, load: Load) -> Iterator[Visitors]:
    """Visitors of a deployment; the block begins when they are answered."""
    ingress, host = deployment.project.cluster.ingress, deployment.project.host
    with Visitors(ingress, host, count=load.visitors, every=0.5) as visitors:
        visitors.await_answers(load.visitors)
        yield visitors


def assert_rate(visitors: Visitors, load: Load, outage: tuple[float, float] | None = None) -> None:
    """A fault that few visitors could have met proves little; in an outage each of them waits."""
    visits = visitors.visits
    seconds = max(visit.ended for visit in visits) - min(visit.began for visit in visits)
    began, ended = outage or (0.0, 0.0)
    rate = sum(not began <= visit.began <= ended for visit in visits) / (seconds - (ended - began))
    assert rate >= load.least_a_second


@contextmanager
def fault_without_visitors(name: str, deployment: Deployment, status: int, says: str = "") -> Iterator[Line]:
    """The same where nothing is installed yet, or nobody can be served."""
    line = Line(deployment, None)
    yield line
    assert line.run is not None
    line.run.wait()
    record(name, line)
    judge(line, status, says)


def judge(line: Line, status: int, says: str, *, lock_is_free: bool = True) -> None:
    run, deployment = line.run, line.deployment
    assert run is not None
    assert run.process.returncode == status, run.output
    assert says in run.output, run.output
    assert not lock_is_free or deployment.lock_holder() == "", "the lock is still held"
    assert not lock_is_free or deployment.candidate() == "", "the candidate was left"
    password = password_of(deployment)
    if line.load is None and status != 0 and not password:
        # Refused before there was one.
        return
    assert password, "there is no password to look for"
    assert_no_leak(deployment, run.output, password)


def record(name: str, line: Line) -> None:
    run, load = line.run, line.load
    assert run is not None
    helm = (
        "3"
        if "helm3" in str(Path(line.deployment.environment["PATH"].split(":")[0], "helm").resolve())
        else "4"
    )
    told = without_names(run.message.replace(line.deployment.project.name, "visits"))
    TABLE.add(
        {
            "fault": name,
            "helm": helm,
            "exit": str(run.process.returncode),
            "requests meanwhile": str(len(load.visits) if load else 0),
            "failed": str(len(load.failures) if load else 0),
            "met a bad version": str(len(load.met_bad_version) if load else 0),
            "seconds": f"{run.seconds:.0f}",
            "what it said": told.replace("deploy.sh: ", ""),
        }
    )


def without_names(told: str) -> str:
    """A table that is kept names neither the machine, the cluster nor the registry that it was made on."""
    told = told.replace(f"{os.environ['REGISTRY']}/", "")
    told = re.sub(r"context( is)? «(?!production)[^»]+»", r"context\1 «test»", told)
    return re.sub(r"[\w.-]+@[\w-]+-\d+-\d+", "somebody@machine", told)
