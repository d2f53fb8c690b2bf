"""What visitors do to the service, and versions that answer badly."""

from collections.abc import Iterator
from dataclasses import replace

from tests.alerts.scenario import QUIET, Bells, bells
from tests.faults.alerts.faults_of_redis import FAILED, WAITED
from tests.faults.alerts.ground import Ground, Line, again_and_again
from tests.faults.alerts.windows import RECENT
from tests.faults.bad_versions import BAD_VERSIONS
from tests.faults.service.clients import MALFORMED, VISIT, send_and_forget
from tests.visitors import Visitors

BY_NAME = {version.name: version for version in BAD_VERSIONS}
REFUSED = 'sum(increase(http_request_duration_seconds_count{route="refused"}[1m])) > 0'


def crowd(ground: Ground) -> Iterator[None]:
    """Many more come at once than there are places, as Redis takes its time."""
    ground.relay.delay = 0.3
    with Visitors(ground.pod.service.address, count=40, every=0.4) as more:
        yield
    ground.left += more.visits
    ground.relay.calm()


def malformed(ground: Ground) -> Iterator[None]:
    def send() -> None:
        for garbage in MALFORMED:
            send_and_forget(ground.pod.service, garbage)

    with again_and_again(send, 0.5):
        yield


def visitors_leave(ground: Ground) -> Iterator[None]:
    """They send a visit and close the connection before the answer."""

    def come_and_leave() -> None:
        with ground.pod.service.connect() as connection:
            connection.sendall(VISIT)

    with again_and_again(come_and_leave, 0.05):
        yield


def deployed(name: str, rings: Bells, **settings: object) -> Line:
    """A bad version takes the place of a good one, and is taken back."""

    def strike(ground: Ground) -> Iterator[None]:
        version = BY_NAME[name]
        good = ground.pod
        bad = ground.add_pod(version.write_into, **settings)
        ground.remove(good)
        yield
        ground.add_pod()
        ground.remove(bad)

    return Line(f"bad version: {name}", strike, rings, visitors=16)


MOVES_AFTER = 15.0
"""Seconds after which moves-to-another-port does."""
VERSIONS = [
    deployed("one-in-twenty-fails", FAILED),
    deployed("every-twentieth-is-slow", bells("VisitsLateSlowly ticket")),
    # Soon nobody finds a place any more, so nobody is counted either.
    deployed("places-leak", FAILED | bells("CounterStandsStill page"), MAX_IN_FLIGHT=50),
    replace(
        deployed("moves-to-another-port", bells("NoPodReady page")),
        # Its pod goes on saying that it is ready; that no probe comes is looked at over RECENT.
        slower=MOVES_AFTER + RECENT,
    ),
]
"""Those of which monitoring of the service can know."""

LINES = [
    Line(
        "more visitors at once than there are places",
        crowd,
        FAILED,
        may=WAITED,
        settings={"MAX_IN_FLIGHT": 12},
    ),
    Line("malformed requests", malformed, QUIET, shows=REFUSED),
    Line("visitors leave before the answer", visitors_leave, QUIET, may=WAITED),
    *VERSIONS,
]
