"""The products, servers and services of the suite's own, and the table at the end."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from tests.conftest import StartService
from tests.faults.service.line import LONGEST_ANSWER, Line, Record, fault
from tests.faults.service.products import NO_REDIS, Product, redises, valkey
from tests.faults.service.redis_proxy import RedisProxy
from tests.faults.service.redis_servers import Server
from tests.faults.table import FaultTable
from tests.visitors import PAUSE

TABLE = FaultTable("service")


def pytest_configure(config: pytest.Config) -> None:
    TABLE.begin()
    config.addinivalue_line("markers", "any_product: the server is not what breaks here, one product will do")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    TABLE.show(terminalreporter)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Lines run on every product, those of `any_product` on Valkey."""
    if "product" not in metafunc.fixturenames:
        return
    lines = [pytest.param(product, id=str(product).replace(" ", "-")) for product in (valkey(), *redises())]
    if len(lines) == 1:
        lines.append(pytest.param(None, marks=pytest.mark.skip(reason=NO_REDIS), id="redis"))
    if metafunc.definition.get_closest_marker("any_product"):
        del lines[1:]
    metafunc.parametrize("product", lines)


@pytest.fixture
def record() -> Record:
    return TABLE.add


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
def start_line(server: Server, start_service: StartService, record: Record) -> StartLine:
    """One line with a service of its own: `with start_line("Redis paused", REDIS_TIMEOUT=0.2) as line`.

    Settings go to the service, as does `through`, the rest to `fault`.
    """

    @contextmanager
    def start(
        name: str,
        through: Sequence[str] = (),
        *,
        ends: bool = False,
        longest: float = LONGEST_ANSWER,
        pause: float = PAUSE,
        **settings: object,
    ) -> Iterator[Line]:
        service = start_service(server, through, **settings).wait_until_ready()
        with fault(name, service, server, record, ends=ends, longest=longest, pause=pause) as line:
            yield line

    return start


@pytest.fixture
def proxy(server: Server) -> Iterator[RedisProxy]:
    proxy = RedisProxy(("127.0.0.1", server.port))
    with proxy:
        yield proxy
