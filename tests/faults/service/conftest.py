"""Both products, services of the suite's own, and the table at the end."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.service.line import Record
from tests.faults.service.redis_proxy import RedisProxy
from tests.faults.service.redis_servers import REDIS_SERVER, Server, redis_version
from tests.faults.service.table import add_row, table
from tests.service import ROOT

ROWS = "SERVICE_FAULT_ROWS"
KEPT = ROOT / "docs" / "service-faults.md"
NO_REDIS = "no redis-server on PATH, and REDIS_SERVER is not set: on Debian, apt-get install redis-server"


def pytest_configure() -> None:
    if ROWS not in os.environ:
        os.environ[ROWS] = tempfile.mkstemp(suffix=".jsonl")[1]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = Path(os.environ[ROWS])
    if not rows.stat().st_size:
        return
    terminalreporter.section(f"service faults; redis is {redis_version() or 'not installed'}")
    terminalreporter.write(table(rows))
    if os.environ.get("KEEP_TABLE"):
        head = KEPT.read_text().split("\n| fault |")[0]
        KEPT.write_text(f"{head.rstrip()}\n\n{table(rows)}")


@pytest.fixture(params=["valkey", "redis"])
def product(request: pytest.FixtureRequest) -> str:
    if request.param == "redis" and REDIS_SERVER is None:
        pytest.skip(NO_REDIS)
    return str(request.param)


@pytest.fixture
def record() -> Record:
    return lambda row: add_row(Path(os.environ[ROWS]), row)


MakeServer = Callable[..., Server]


@pytest.fixture
def make_server(product: str, tmp_path: Path) -> Iterator[MakeServer]:
    """Start servers that end with the test: `make_server("--maxmemory", "3mb", kind=SentinelServer)`."""
    servers: list[Server] = []

    def make(*arguments: object, kind: type[Server] = Server) -> Server:
        server = kind(tmp_path / f"server-{len(servers)}", product, *arguments)  # type: ignore[arg-type]
        servers.append(server)
        server.start()
        return server

    yield make
    for server in reversed(servers):
        server.stop()


@pytest.fixture
def server(make_server: MakeServer) -> Server:
    return make_server()


@pytest.fixture
def proxy(server: Server) -> Iterator[RedisProxy]:
    proxy = RedisProxy(("127.0.0.1", server.port))
    with proxy:
        yield proxy
