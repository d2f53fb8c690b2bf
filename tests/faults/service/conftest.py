"""The products, servers and services of the suite's own, the controls, and the table at the end."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest

from app.settings import Settings
from dev.valkey import free_port
from tests.conftest import TRANSPORTS, StartService
from tests.faults.service.line import Line, Record, fault
from tests.faults.service.products import NO_REDIS, Product, redises, valkey
from tests.faults.service.redis_proxy import RedisProxy
from tests.faults.service.redis_servers import Server
from tests.faults.service.verdict import DidNotStrike
from tests.faults.table import FaultTable
from tests.service import Service
from tests.visitors import PAGE_AND_API, PAUSE, Request

TABLE = FaultTable("service")
LONGEST_TEST = 180.0
"""Seconds; the longest line takes a fifth of it."""
DEFAULT_TRANSPORT: str = Settings.model_fields["http_server"].default
FAILED = "failed"
"""What a control reports, with how its line failed."""


def pytest_configure(config: pytest.Config) -> None:
    TABLE.begin()
    config.addinivalue_line("markers", "any_product: the server is not what breaks here, one product will do")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Lines run on every product, or if `any_product` on Valkey: there with each transport, and once with
    their fault switched off."""
    if "product" not in metafunc.fixturenames:
        return
    on_valkey = name_of(valkey())
    if metafunc.definition.get_closest_marker("control"):
        metafunc.parametrize(("product", "fault_is_on"), [pytest.param(valkey(), True, id=on_valkey)])
        return
    cases = [
        pytest.param(valkey(), transport, True, id=f"{on_valkey}-{transport}") for transport in TRANSPORTS
    ]
    if not metafunc.definition.get_closest_marker("any_product"):
        cases += [
            pytest.param(product, DEFAULT_TRANSPORT, True, id=name_of(product)) for product in redises()
        ]
        if not redises():
            skipped = pytest.mark.skip(reason=NO_REDIS)
            cases.append(pytest.param(None, DEFAULT_TRANSPORT, True, marks=skipped, id="redis"))
    must_fail = pytest.mark.xfail(
        raises=DidNotStrike, strict=True, reason="control: its fault is switched off"
    )
    cases.append(pytest.param(valkey(), DEFAULT_TRANSPORT, False, marks=must_fail, id="switched-off"))
    metafunc.parametrize(("product", "transport", "fault_is_on"), cases)


def name_of(product: Product) -> str:
    return str(product).replace(" ", "-")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(LONGEST_TEST))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    controls = dict(failed_controls(terminalreporter))
    if controls:
        terminalreporter.section("controls, and how each of them failed as it must")
        terminalreporter.write("".join(f"{name}: {how}\n" for name, how in sorted(controls.items())))
    products = ", ".join(map(str, (valkey(), *redises())))
    TABLE.show(terminalreporter, exitstatus, f"{products}; {len(controls)} controls failed as they must")


def failed_controls(terminal: pytest.TerminalReporter) -> Iterator[tuple[str, str]]:
    """Yield the name of each control that ran, and why its line failed."""
    for report in terminal.stats.get("xfailed", []):
        yield report.nodeid.rpartition("::")[2], report.longrepr.reprcrash.message.partition(": ")[2]
    for report in terminal.stats.get("passed", []):
        yield from (
            (report.nodeid.rpartition("::")[2], how) for what, how in report.user_properties if what == FAILED
        )


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    return (lambda _: None) if request.node.get_closest_marker("control") else TABLE.add


@pytest.fixture
def transport() -> str:
    """Which one serves: of a line, each."""
    return DEFAULT_TRANSPORT


@pytest.fixture
def start_service(start_service: StartService, transport: str) -> StartService:
    """As everywhere, and with metrics: they are what shows that a fault struck."""

    def start(*place: Any, **settings: object) -> Service:  # noqa: ANN401 - as start_service takes them
        own = {"ADMIN_PORT": free_port(), "HTTP_SERVER": transport}
        return start_service(*place, **(own | settings))

    return start


Kind = TypeVar("Kind", bound=Server)


class MakeServer(Protocol):
    """Starts a server that ends with the test: `make_server(Server, "--maxmemory", "3mb")`."""

    def __call__(self, kind: type[Kind], *arguments: object) -> Kind: ...


@pytest.fixture
def make_server(product: Product, tmp_path: Path) -> Iterator[MakeServer]:
    servers: list[Server] = []

    def make(kind: type[Kind], *arguments: object) -> Kind:
        server = kind(tmp_path / f"server-{len(servers)}", product, *arguments)  # type: ignore[arg-type]
        servers.append(server)
        server.start()
        return server

    yield make
    for server in reversed(servers):
        server.stop()


@pytest.fixture
def server(make_server: MakeServer) -> Server:
    return make_server(Server)


StartLine = Callable[..., AbstractContextManager[Line]]


@pytest.fixture
def begin_line(record: Record, *, fault_is_on: bool) -> StartLine:
    """`fault` for a service that runs: `with begin_line("its name", service, server) as line`."""
    return partial(fault, record=record, is_on=fault_is_on)


@pytest.fixture
def start_line(server: Server, start_service: StartService, begin_line: StartLine) -> StartLine:
    """One line with a service of its own: `with start_line("Redis paused", REDIS_TIMEOUT=0.2) as line`.

    Settings go to the service, as does `through`, the rest to `fault`.
    """

    @contextmanager
    def start(
        name: str,
        through: Sequence[str] = (),
        *,
        also: Sequence[int] = (),
        ends: bool = False,
        pause: float = PAUSE,
        requests: Sequence[Request] = PAGE_AND_API,
        **settings: object,
    ) -> Iterator[Line]:
        service = start_service(server, through, **settings).wait_until_ready()
        with begin_line(name, service, server, also=also, ends=ends, pause=pause, requests=requests) as line:
            yield line

    return start


@pytest.fixture
def proxy(server: Server) -> Iterator[RedisProxy]:
    proxy = RedisProxy(("127.0.0.1", server.port))
    with proxy:
        yield proxy
