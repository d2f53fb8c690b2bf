"""`python -m app` with WORKERS."""

import os
import signal
import socket
from pathlib import Path

import pytest

from app.workers.cores import usable_cores
from dev.valkey import free_port
from tests.conftest import StartService, ValkeyServer
from tests.service import PATIENCE, ROOT, Service, run_to_end, run_without
from tests.workers.conftest import StartWorkers


@pytest.mark.parametrize("workers", [{}, {"WORKERS": 1}])
def test_one_process_loads_nothing_of_it(workers: dict[str, int]) -> None:
    service = Service("tests.workers.loaded", workers | {"REDIS_PORT": free_port()})
    try:
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
        assert service.raw[-1] == "loaded: []\n"
    finally:
        service.close()


@pytest.mark.skipif(usable_cores() < 2, reason="needs two cores")
def test_none_means_one_a_core(valkey: ValkeyServer, start_workers: StartWorkers) -> None:
    two = ",".join(map(str, sorted(os.sched_getaffinity(0))[:2]))
    service = start_workers(valkey, through=["taskset", "--cpu-list", two], WORKERS=0)
    service.wait_for_workers(2)


def test_on_one_core_none_means_one_process(valkey: ValkeyServer, start_service: StartService) -> None:
    core = min(os.sched_getaffinity(0))
    service = start_service(valkey, through=["taskset", "--cpu-list", str(core)], WORKERS=0)
    assert service.wait_until_ready().count() == 1
    assert not any(line["logger"].startswith("gunicorn") for line in service.lines)


def test_without_gunicorn_it_is_said_how_to_get_it() -> None:
    ended = run_without("gunicorn", WORKERS=2, PORT=0, ADMIN_PORT=0)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "visits: WORKERS is 2, which needs Gunicorn, and that is not installed; install it with "
        "`pip install --require-hashes -r requirements-workers.txt`, or set WORKERS to 1\n"
    )
    assert "\ngunicorn==" in (ROOT / "requirements-workers.txt").read_text()


@pytest.mark.parametrize("setting", ["PORT", "ADMIN_PORT"])
def test_a_port_in_use_is_the_same_clear_line(setting: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        given = {"HOST": "127.0.0.1", "PORT": 0, "ADMIN_PORT": 0, "WORKERS": 2} | {setting: port}
        ended = run_to_end("app", **given)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"visits: cannot listen on 127.0.0.1:{port}: Address already in use; "
        f"stop what listens there, or set {setting} to another port\n"
    )


def test_it_listens_as_one_process_does(valkey: ValkeyServer, start_workers: StartWorkers) -> None:
    """On all addresses of a name, and without an admin listener where there is to be none."""
    service = start_workers(valkey, HOST="localhost", PORT=free_port(), ADMIN_PORT=0).wait_until_ready()
    assert service.line("listening", worker=1)["url"] == f"http://localhost:{service.port}"
    assert "admin_url" not in service.line("listening", worker=0)
    for family, *_, address in socket.getaddrinfo("localhost", service.port, type=socket.SOCK_STREAM):
        with socket.socket(family) as client:
            client.connect(address)


def test_systemd_is_told(valkey: ValkeyServer, start_workers: StartWorkers, tmp_path: Path) -> None:
    """As a unit with Type=notify asks for (docs/workers.md)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE)
        start_workers(valkey, NOTIFY_SOCKET=tmp_path / "notify")
        assert systemd.recv(1024).startswith(b"READY=1\n")
