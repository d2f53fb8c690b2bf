"""Each bad version of the deploy's suite is bad as its description says, and the version of now is not."""

import contextlib
import http.client
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from redis import Redis

from dev.valkey import LOOPBACK, free_port
from tests.faults.bad_versions import BAD_VERSIONS, STAMP, BadVersion, Visible, replaced
from tests.service import PATIENCE, ROOT, Answer, Service, eventually
from tests.visitors import COUNT, Visitors

API = "/api/v1/counter"
PLACES = 20
GROWTH = 15 * 1024**2
BY_NAME = {version.name: version for version in BAD_VERSIONS}
SOONER = {
    "moves-to-another-port": ("app/server.py", "call_later(15.0, ", "call_later(0.2, "),
    "memory-grows": ("app/server.py", "asyncio.sleep(1)", "asyncio.sleep(0.1)"),
}
"""What would take too long here."""


@dataclass
class Pods:
    """The processes of one version, all with the same counter."""

    folder: Path
    redis: Redis
    key: str
    running: list[Service] = field(default_factory=list)

    def start(self, **settings: object) -> Service:
        where = {"REDIS_HOST": LOOPBACK, "REDIS_PORT": self.redis.connection_pool.connection_kwargs["port"]}
        more = {"COUNTER_KEY": self.key, "ENVIRONMENT": "TEST", "MAX_IN_FLIGHT": PLACES}
        # Of its own, as some versions move to another one beside it.
        service = Service(settings={"PORT": free_port()} | where | more | settings, folder=self.folder)
        self.running.append(service)
        return service.wait_until_ready()

    @property
    def first(self) -> Service:
        return self.running[0] if self.running else self.start()

    @property
    def value(self) -> int:
        """What Redis has."""
        return int(self.redis.get(self.key) or 0)

    def counted_by(self, method: str, path: str) -> int:
        before = self.value
        assert self.first.request(method, path).status == 200
        return self.value - before


def page(service: Service, **headers: str) -> Answer:
    return service.get("/", Accept="text/html", **headers)


def one_in_twenty_fails(pods: Pods) -> bool:
    statuses = Counter(pods.first.get(API).status for _ in range(300))
    return set(statuses) == {200, 500} and statuses[500] < 45


def page_counts_twice(pods: Pods) -> bool:
    return (pods.counted_by("GET", "/"), pods.counted_by("POST", API)) == (2, 1)


def head_counts(pods: Pods) -> bool:
    return pods.counted_by("HEAD", "/") == 1


def post_forbidden(pods: Pods) -> bool:
    return (pods.first.request("POST", API).status, page(pods.first).status) == (403, 200)


def page_cached(pods: Pods) -> bool:
    return page(pods.first).headers["Cache-Control"] == "public, max-age=300"


def page_of_another_environment(pods: Pods) -> bool:
    assert pods.first.get(API).json["environment"] == "TEST"
    return b'<span id="environment">LOCAL</span>' in page(pods.first).body


def stylesheet_refused(pods: Pods) -> bool:
    answer = pods.first.get("/static/style.css")
    return answer.headers["Content-Type"] == "text/plain" and b"{" in answer.body


def every_twentieth_is_slow(pods: Pods) -> bool:
    seconds = []
    for _ in range(20):
        began = time.monotonic()
        pods.first.count()
        seconds.append(time.monotonic() - began)
    return sum(one > 3.9 for one in seconds) == 1


def counter_is_text(pods: Pods) -> bool:
    return isinstance(pods.first.get(API).json["counter"], str) and isinstance(pods.first.count(), int)


def page_truncated(pods: Pods) -> bool:
    pods.first.count()
    try:
        return not page(pods.first).body
    except http.client.IncompleteRead as error:
        return error.expected == 1


def other_languages_fail(pods: Pods) -> bool:
    statuses = [page(pods.first, Accept_Language=language).status for language in ("en-US,en", "fr-FR,fr")]
    return statuses == [page(pods.first).status, 500]


def second_request_waits(pods: Pods) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, pods.first.port)
    seconds = []
    for _ in range(2):
        began = time.monotonic()
        connection.request("GET", API)
        assert connection.getresponse().read()
        seconds.append(time.monotonic() - began)
    connection.close()
    return seconds[0] < 1.9 <= seconds[1]


def memory_grows(pods: Pods) -> bool:
    def resident() -> int:
        status = Path(f"/proc/{pods.first.process.pid}/status").read_text()
        found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
        assert found
        return int(found[1]) * 1024

    pods.first.count()
    before = resident()
    return holds_within(2.0, lambda: resident() > before + GROWTH)


def places_leak(pods: Pods) -> bool:
    statuses = [pods.first.get(API).status for _ in range(PLACES + 1)]
    assert statuses[0] == 200
    assert pods.first.get("/readyz").status == 200
    return statuses[-1] == 503


def moves_to_another_port(pods: Pods) -> bool:
    def is_refused() -> bool:
        try:
            pods.first.connect().close()
        except ConnectionRefusedError:
            return pods.first.process.poll() is None
        return False

    pods.first.count()
    return holds_within(1.0, is_refused)


def same_number_under_load(pods: Pods) -> bool:
    assert len({pods.first.count() for _ in range(5)}) == 5
    with Visitors(pods.first.address, count=8, requests=[COUNT]) as visitors:
        visitors.await_answers(200)
    return max(Counter(visit.number for visit in visitors.answered).values()) > 1


def counts_in_the_process(pods: Pods) -> bool:
    pods.first.count()
    second = pods.start()
    # Each is right by itself, counted in turns they are not.
    numbers = [service.count() for service in (pods.first, second, pods.first, second)]
    assert numbers[0] < numbers[2]
    assert numbers[1] < numbers[3]
    return numbers != sorted(numbers)


def only_the_first_pod_counts(pods: Pods) -> bool:
    pods.first.count()
    second = pods.start(REQUEST_TIMEOUT=1)
    assert second.get(API).status == 200
    return second.request("POST", API).status == 503


def exits_at_once(pods: Pods) -> bool:
    service = pods.start(ADMIN_PORT=free_port())
    with service.connect() as visitor:
        visitor.sendall(f"POST {API} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n".encode())
        visitor.sendall(b"Content-Type: application/json\r\n\r\n{")
        eventually(lambda: service.in_flight() == 1, "the request is under way")
        service.signal(signal.SIGTERM)
        eventually(
            lambda: service.has_said("draining") or service.process.poll() is not None,
            "it drains or has ended",
        )
        with contextlib.suppress(BrokenPipeError):
            visitor.sendall(b"}")
        try:
            answer = visitor.recv(1024)
        except ConnectionResetError:
            answer = b""
    assert service.wait() == 0
    return not answer


def redirects_behind_a_proxy(pods: Pods) -> bool:
    assert page(pods.first).status == 200
    answer = page(
        pods.first, X_Forwarded_For="192.0.2.1", X_Forwarded_Proto="https", Host="visits.example.com"
    )
    return (answer.status, answer.headers["Location"]) == (301, "https://visits.example.com/")


def stamp_of(service: Service, method: str, path: str) -> str | None:
    """Read the header alone: some bodies are broken."""
    connection = http.client.HTTPConnection(LOOPBACK, service.port, timeout=PATIENCE)
    connection.request(method, path)
    with connection.getresponse() as response:
        stamp = response.getheader(STAMP)
    connection.close()
    return stamp


def holds_within(seconds: float, condition: Callable[[], bool]) -> bool:
    try:
        eventually(condition, "", seconds)
    except AssertionError:
        return False
    return True


PROOFS: Mapping[str, Callable[[Pods], bool]] = {
    proof.__name__.replace("_", "-"): proof
    for proof in (
        one_in_twenty_fails,
        page_counts_twice,
        head_counts,
        post_forbidden,
        page_cached,
        page_of_another_environment,
        stylesheet_refused,
        every_twentieth_is_slow,
        counter_is_text,
        page_truncated,
        other_languages_fail,
        second_request_waits,
        memory_grows,
        places_leak,
        moves_to_another_port,
        same_number_under_load,
        counts_in_the_process,
        only_the_first_pod_counts,
        exits_at_once,
        redirects_behind_a_proxy,
    )
}
"""Each tells whether the pods are bad as the version of that name is."""


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The sources, to be edited."""
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.fixture(scope="module")
def good(server: Redis) -> Iterator[Pods]:
    """The version of now."""
    yield from _pods(ROOT, server, "good")


@pytest.fixture
def bad(version: BadVersion, copied: Path, server: Redis) -> Iterator[Pods]:
    version.write_into(copied)
    if version.name in SOONER:
        path, late, soon = SOONER[version.name]
        (copied / path).write_text(replaced((copied / path).read_text(), late, soon))
    yield from _pods(copied, server, version.name)


def _pods(folder: Path, server: Redis, key: str) -> Iterator[Pods]:
    pods = Pods(folder, server, key)
    yield pods
    for service in pods.running:
        service.close()


def test_twenty() -> None:
    assert len(BAD_VERSIONS) == len(BY_NAME) == 20
    assert {version.visible for version in BAD_VERSIONS} == set(Visible)
    assert PROOFS.keys() == BY_NAME.keys()


@pytest.mark.parametrize("version", BAD_VERSIONS, ids=BY_NAME)
def test_every_edit_changes_its_file(version: BadVersion) -> None:
    for path, edit in version.edits.items():
        assert edit((ROOT / path).read_text()) != (ROOT / path).read_text()


def test_an_edit_of_sources_that_have_changed_is_an_error(copied: Path) -> None:
    (copied / "app/handlers/page.py").write_text("")
    with pytest.raises(ValueError, match="change the edit"):
        BY_NAME["head-counts"].write_into(copied)


@pytest.mark.parametrize("version", BAD_VERSIONS, ids=BY_NAME)
def test_it_is_bad_as_described_and_says_so_in_every_answer(version: BadVersion, bad: Pods) -> None:
    # Before the proof, which may leave it unable to answer.
    requests: list[tuple[str, str]] = [
        *(("GET", path) for path in ("/", API, "/no/such", "/static/style.css", "/readyz", "/healthz")),
        ("POST", API),
        # Refused before any handler is asked.
        ("GET", "/" + "x" * 17000),
    ]
    assert [stamp_of(bad.first, *request) for request in requests] == [version.name] * len(requests)
    assert PROOFS[version.name](bad)


@pytest.mark.parametrize("name", BY_NAME)
def test_the_version_of_now_is_not(name: str, good: Pods) -> None:
    assert not PROOFS[name](good)
