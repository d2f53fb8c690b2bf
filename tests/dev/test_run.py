"""`make run` as a process."""

import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dev.valkey import free_port
from tests.conftest import ValkeyServer
from tests.service import Service, eventually, run_to_end

StartRun = Callable[..., Service]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def start_run(data: Path) -> Iterator[StartRun]:
    runs: list[Service] = []

    def start(**settings: object) -> Service:
        runs.append(Service("dev.run", {"DATA_DIR": data} | settings))
        return runs[-1].wait_until_ready()

    yield start
    for run in runs:
        run.close()


def servers_on(data: Path) -> list[int]:
    """Return the processes that work in a data folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        # A server shows where it listens in its title; its folder is where it runs.
        if b"valkey-server" in command[0] and (process / "cwd").readlink() == data:
            found.append(int(process.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_counter_survives_and_everything_stops(
    start_run: StartRun, data: Path, number: signal.Signals
) -> None:
    first = start_run()
    assert [first.count(), first.count()] == [1, 2]
    assert len(servers_on(data)) == 1
    first.signal(number)
    assert first.wait() == 0
    assert servers_on(data) == []
    assert first.errors() == ""
    assert start_run().count() == 3


def test_it_says_where_it_listens(start_run: StartRun) -> None:
    port = free_port()
    run = start_run(HOST="localhost", PORT=port)
    assert run.line("listening")["url"] == f"http://localhost:{port}"


def test_a_second_run_on_the_same_data_is_refused(start_run: StartRun, data: Path) -> None:
    start_run()
    second = run_to_end("dev.run", DATA_DIR=data, PORT=0, ADMIN_PORT=0)
    assert second.returncode == 1
    assert second.stderr == (
        f"visits: {data} is in use by another run; stop that one first (Ctrl-C where it runs)\n"
    )


def test_a_killed_run_leaves_no_server(start_run: StartRun, data: Path) -> None:
    run = start_run()
    run.count()
    run.signal(signal.SIGKILL)
    run.wait()
    eventually(lambda: servers_on(data) == [], "the server has ended")
    assert start_run().count() == 2


def test_a_port_in_use_stops_valkey_too(data: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run_to_end("dev.run", DATA_DIR=data, HOST="127.0.0.1", PORT=port, ADMIN_PORT=0)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"visits: cannot listen on 127.0.0.1:{port}: ")
    assert len(ended.stderr.splitlines()) == 1
    assert servers_on(data) == []


def test_a_bad_setting_starts_nothing(data: Path) -> None:
    ended = run_to_end("dev.run", DATA_DIR=data, PORT="x")
    assert ended.returncode == 2
    assert ended.stderr == "visits: PORT is 'x', allowed: a whole number from 0 to 65535\n"
    assert not data.exists()


def test_a_given_redis_is_used(valkey: ValkeyServer, data: Path) -> None:
    run = Service("dev.run", {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": valkey.port, "DATA_DIR": data})
    try:
        assert run.wait_until_ready().count() == 1
        assert valkey.get("counter") == "1"
        assert not data.exists()
    finally:
        run.close()


@pytest.mark.parametrize("variable", ["REDIS_HOST", "REDIS_URL"])
def test_a_given_redis_that_refuses_is_one_line(variable: str) -> None:
    port = free_port()
    url = {"REDIS_URL": f"redis://:hidden@127.0.0.1:{port}"}
    where = url if variable == "REDIS_URL" else {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(port)}
    ended = run_to_end("dev.run", PORT=0, ADMIN_PORT=0, **where)
    assert ended.returncode == 1
    assert ended.stderr.startswith("visits: Redis does not answer (connection: ")
    assert len(ended.stderr.splitlines()) == 1
    assert "hidden" not in ended.stderr
