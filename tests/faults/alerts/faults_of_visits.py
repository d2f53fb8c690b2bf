"""What visitors do to the service, and versions that answer badly."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

from tests.alerts.scenario import QUIET, Bells, bells
from tests.faults.alerts.faults_of_redis import FAILED, WAITED
from tests.faults.alerts.ground import Ground, Line, again_and_again
from tests.faults.alerts.pods import REQUEST_TIMEOUT
from tests.faults.alerts.windows import RECENT
from tests.faults.bad_versions import BAD_VERSIONS
from tests.faults.service.clients import LAST_VISIT, MALFORMED, VISIT, send_and_forget
from tests.service import parse_answers
from tests.visitors import Visitors

BY_NAME = {version.name: version for version in BAD_VERSIONS}
HELD = "sum(max_over_time(http_connections_idle[1m])) > {}"
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


def send_slowly(ground: Ground) -> Iterator[None]:
    """Two hundred connections that send a byte of a header every half second, from beginning to end."""
    with ExitStack() as stack:
        slow = [stack.enter_context(ground.pod.service.connect()) for _ in range(200)]

        def a_byte_each() -> None:
            for connection in slow:
                connection.send(b"x")

        for connection in slow:
            connection.send(b"GET / HTTP/1.1\r\nX-Slow: ")
        with again_and_again(a_byte_each, 0.5):
            yield


def idle(ground: Ground) -> Iterator[None]:
    """Two thousand connections on which nothing is asked."""
    with ExitStack() as stack:
        for number in range(2000):
            stack.enter_context(ground.pod.service.connect())
            if number % 10 == 0:
                time.sleep(0.01)
        yield


def pipelined(ground: Ground) -> Iterator[None]:
    """Fifty visits at once on one connection."""

    def visits_at_once() -> None:
        answers = parse_answers(ground.pod.service.raw_exchange(VISIT * 49 + LAST_VISIT))
        assert [answer.status for answer in answers] == [200] * 50

    with again_and_again(visits_at_once, 0.2):
        yield


def deployed(name: str, rings: Bells, *, pods: int = 1, **settings: object) -> Line:
    """A bad version takes the place of a good one, and is taken back."""

    def strike(ground: Ground) -> Iterator[None]:
        version = BY_NAME[name]
        good = list(ground.pods)
        bad = [ground.add_pod(version.write_into, **settings) for _ in range(pods)]
        for pod in good:
            ground.remove(pod)
        yield
        for _ in range(pods):
            ground.add_pod()
        for pod in bad:
            ground.remove(pod)

    return Line(f"bad version: {name}", strike, rings, pods=pods, visitors=16 // pods)


STARTING = 10.0
"""Seconds that two processes may take to start, before which nothing is wrong."""
MOVES_AFTER = 15.0
"""Seconds after which moves-to-another-port does."""
VERSIONS = [
    deployed("one-in-twenty-fails", FAILED),
    deployed("every-twentieth-is-slow", bells("VisitsLateSlowly ticket")),
    # Soon nobody finds a place any more, so nobody is counted either.
    deployed("places-leak", FAILED | bells("CounterStandsStill page"), MAX_IN_FLIGHT=50),
    replace(
        # The first that counts is the only one that may: at the other, visitors wait until they are given up.
        deployed("only-the-first-pod-counts", FAILED | bells("RedisRefuses ticket"), pods=2),
        may=WAITED,
        slower=REQUEST_TIMEOUT + STARTING,
    ),
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
    Line("200 clients send a byte at a time", send_slowly, QUIET, may=WAITED, shows=HELD.format(150)),
    Line("2000 idle connections", idle, QUIET, may=WAITED, shows=HELD.format(1900)),
    Line(
        # Those who are idle give way to those who ask, also to the connection to Redis.
        "more connections than file descriptors",
        idle,
        QUIET,
        may=WAITED,
        through=lambda _: ["prlimit", "--nofile=160"],
        shows="sum(increase(http_connections_dropped_total[1m])) > 1000",
    ),
    Line("50 requests at once on each connection", pipelined, QUIET, may=WAITED),
    Line("visitors leave before the answer", visitors_leave, QUIET, may=WAITED),
    *VERSIONS,
]
