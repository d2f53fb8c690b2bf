"""What may happen to the service's processes, and in a rollout."""

import signal
from collections.abc import Iterator
from pathlib import Path

from tests.alerts.scenario import QUIET, bells
from tests.faults.alerts.faults_of_redis import FAILED, WAITED
from tests.faults.alerts.ground import Ground, Line, again_and_again
from tests.faults.bad_versions import replaced

RESTARTED = "sum(changes(process_start_time_seconds[1m])) > 0"
ENDLESS_DRAIN = {"DRAIN_DELAY": 120}


def nothing(_: Ground) -> Iterator[None]:
    yield


def gone(ground: Ground) -> Iterator[None]:
    """The last pod ends as by the kernel, and does not come back for now."""
    ground.pods[-1].kill()
    yield
    ground.pods[-1].start_again()


def frozen(ground: Ground) -> Iterator[None]:
    """As by a debugger or a throttled CPU."""
    with ground.pod.service.frozen():
        yield


def not_there(ground: Ground) -> Iterator[None]:
    """As with no replicas, or pods that were never scheduled: there is nothing to scrape."""
    ground.prometheus.see({})
    ground.pod.kill()
    yield
    ground.pod.start_again()
    ground.look()


def killed_once(ground: Ground) -> Iterator[None]:
    ground.pod.restart()
    yield


def killed_again_and_again(ground: Ground) -> Iterator[None]:
    with again_and_again(ground.pods[-1].restart, 4):
        yield


def drains(ground: Ground) -> Iterator[None]:
    """The only pod is told to end, and no other takes its place."""
    ground.pod.service.signal(signal.SIGTERM)
    yield
    ground.pod.restart()


def never_ready(sources: Path) -> None:
    server = sources / "app" / "server.py"
    asks = "    await health.become_ready()\n    log.info("
    waits = "    await asyncio.get_running_loop().create_future()\n"
    server.write_text(replaced(server.read_text(), asks, waits + asks))


def new_version_is_never_ready(ground: Ground) -> Iterator[None]:
    pod = ground.add_pod(never_ready)
    yield
    ground.remove(pod)


def two_versions(ground: Ground) -> Iterator[None]:
    """A rollout that stands still in the middle."""
    pod = ground.add_pod(VERSION="2.0.0")
    yield
    ground.remove(pod)


def rollout(ground: Ground) -> Iterator[None]:
    """An ordinary one: the new pod comes, the old one drains."""
    old = ground.pod
    new = ground.add_pod(VERSION="2.0.0")
    new.await_answers(20)
    old.service.signal(signal.SIGTERM)
    old.service.wait(30)
    ground.remove(old)
    yield


LINES = [
    Line("nothing breaks", nothing, QUIET),
    Line("SIGKILL under load, started again", killed_once, QUIET, shows=RESTARTED),
    Line("an ordinary rollout", rollout, QUIET, shows='build_info{version="2.0.0"}'),
    Line("the only process killed, not started again", gone, bells("NoPodSeen page")),
    Line("the only process does not run", frozen, bells("NoPodSeen page"), may=WAITED),
    Line("no pod is there", not_there, bells("NoPodSeen page")),
    Line(
        "the only process killed again and again",
        killed_again_and_again,
        bells("PodRestarts ticket"),
        may=WAITED,
    ),
    Line(
        "one of two processes killed, not started again",
        gone,
        bells("PodRestarts ticket"),
        pods=2,
        visitors=4,
    ),
    Line(
        "one of two processes killed again and again",
        killed_again_and_again,
        bells("PodRestarts ticket"),
        may=WAITED,
        pods=2,
        visitors=4,
    ),
    Line(
        "the only pod ends slowly, and none comes",
        drains,
        bells("NoPodReady page"),
        may=FAILED,
        settings=ENDLESS_DRAIN,
    ),
    Line("new version never becomes ready", new_version_is_never_ready, bells("RolloutStuck ticket")),
    Line("a rollout stands still in the middle", two_versions, bells("RolloutStuck ticket")),
]
