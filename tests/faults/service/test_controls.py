"""The suite itself: a service, a counter or a Redis that does not keep its promises must turn a line red.

The other controls are the lines themselves with their fault switched off, see conftest.
"""

import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from dev.valkey import LOOPBACK, free_port
from tests.conftest import StartService
from tests.faults.service.changed_answers import ChangedAnswers
from tests.faults.service.conftest import FAILED, StartLine
from tests.faults.service.evidence import Evidence, starts, trouble
from tests.faults.service.redis_proxy import RedisProxy
from tests.faults.service.redis_servers import Server
from tests.faults.service.verdict import Broken
from tests.service import ROOT, Service

pytestmark = pytest.mark.control

SEQUENCE_CHECK = re.compile(r"^if tonumber\(ARGV\[1\]\) [=~]= .*?^end\n", re.DOTALL | re.MULTILINE)
OFTEN = 10

Expect = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def expect(record_property: Callable[[str, object], None]) -> Expect:
    """`with expect("doubled"):` the line in this block must fail for that, and for nothing else."""

    @contextmanager
    def failing(*columns: str) -> Iterator[None]:
        with pytest.raises(Broken) as broken:
            yield
        complaints = broken.value.complaints
        record_property(FAILED, "; ".join(complaints.values()))
        assert set(complaints) == set(columns), broken.value

    return failing


class OneInTwenty:
    """Changes one in twenty of the answers that show a number."""

    def __init__(self, change: Callable[[bytes], bytes]) -> None:
        self._change = change
        self._answers = itertools.count()

    def __call__(self, data: bytes) -> bytes:
        strikes = b'"counter"' in data and next(self._answers) % 20 == 10
        return self._change(data) if strikes else data


def says_500(data: bytes) -> bytes:
    return data.replace(b"HTTP/1.1 200 OK", b"HTTP/1.1 500 Internal Server Error")


def is_silent(_: bytes) -> bytes:
    return b""


def ends(_: bytes) -> bytes:
    raise ConnectionError


def while_degraded(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Change what /healthz says while Redis is away."""
    return lambda data: change(data) if data.endswith(b"degraded\n") else data


def says_503(data: bytes) -> bytes:
    return data.replace(b"HTTP/1.1 200 OK", b"HTTP/1.1 503 Service Unavailable")


def forgets_retry_after(data: bytes) -> bytes:
    return data.replace(b"Retry-After:", b"X-Something:")


@pytest.mark.parametrize(
    ("change", "columns"),
    [
        pytest.param(OneInTwenty(says_500), ["answers"], id="500"),
        pytest.param(OneInTwenty(is_silent), ["answers", "longest answer"], id="hangs"),
        pytest.param(OneInTwenty(ends), ["answers"], id="ends connections"),
        pytest.param(forgets_retry_after, ["answers"], id="no Retry-After"),
        pytest.param(while_degraded(says_503), ["/healthz"], id="healthz 503"),
        pytest.param(while_degraded(is_silent), ["/healthz", "longest probe"], id="healthz hangs"),
    ],
)
def test_a_service_that_answers_wrongly(
    server: Server,
    start_service: StartService,
    begin_line: StartLine,
    expect: Expect,
    change: Callable[[bytes], bytes],
    columns: list[str],
) -> None:
    service = start_service(server, REQUEST_TIMEOUT=1).wait_until_ready()
    with ChangedAnswers((LOOPBACK, service.port), change) as changed:
        service.port = changed.port
        with expect(*columns), begin_line("Redis stopped for 2 s", service, server, also=[503]) as line:
            line.watch(starts(server))
            server.stop()
            line.lasts(2)
            server.start()


@pytest.mark.parametrize(
    ("switch", "what"), [("loses_replies", "replies lost"), ("cuts_replies", "replies cut")]
)
def test_a_counter_without_the_sequence_check(
    proxy: RedisProxy,
    server: Server,
    begin_line: StartLine,
    expect: Expect,
    tmp_path: Path,
    transport: str,
    switch: str,
    what: str,
) -> None:
    shutil.copytree(ROOT / "app", tmp_path / "app")
    (script,) = (tmp_path / "app").rglob("count_batch.lua")
    unchecked, checks = SEQUENCE_CHECK.subn("", script.read_text())
    assert checks == 2
    script.write_text(unchecked)
    settings = {"REDIS_HOST": LOOPBACK, "REDIS_PORT": proxy.port, "REDIS_TIMEOUT": 0.2}
    settings |= {"ADMIN_PORT": free_port(), "HTTP_SERVER": transport}
    with closing(Service(settings=settings, folder=tmp_path)) as service:
        service.wait_until_ready()
        with expect("doubled"), begin_line(what, service, server) as line:
            line.watch(trouble(proxy, what))
            setattr(proxy, switch, 0.05)
            # Some of them carried no visits.
            line.sees(f"{what}, {OFTEN} times", lambda: proxy.strikes[what] >= OFTEN, 60)
            proxy.calm()


@pytest.mark.parametrize(("visits", "column"), [(-5, "lost"), (5, "doubled")])
def test_a_counter_that_somebody_else_moves(
    server: Server, start_line: StartLine, expect: Expect, visits: int, column: str
) -> None:
    with expect(column), start_line("the counter is moved") as line:
        line.watch(Evidence("commands", lambda: int(server.info("stats")["total_commands_processed"])))
        server.run("INCRBY", "counter", visits)
        line.visitors.await_answers(100)
