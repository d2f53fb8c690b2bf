"""How several workers end: each as one process does."""

import os
import signal
import time

import pytest

from tests.conftest import ValkeyServer
from tests.processes import runs
from tests.service import VISIT, eventually
from tests.visitors import Visitors
from tests.workers.conftest import StartWorkers
from tests.workers.workers import Workers


def await_both_drain(service: Workers) -> None:
    for worker in (0, 1):
        service.line("draining", worker=worker)


@pytest.mark.usefixtures("each_transport")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_drain_under_load_loses_nobody(
    valkey: ValkeyServer, start_workers: StartWorkers, number: signal.Signals
) -> None:
    """Visitors come on while both drain, as those do whom an entrance still sends."""
    service = start_workers(valkey, DRAIN_DELAY=0.5).wait_until_ready()
    service.wait_for_workers(2)
    with Visitors(service.address, count=16) as visitors:
        visitors.await_answers(200)
        service.signal(number)
        await_both_drain(service)
        assert service.get("/readyz").body == b"draining\n"
        visitors.await_answers(200)
    assert service.wait(20) == 0
    assert visitors.failures == []
    assert valkey.get("counter") == str(len(visitors.answered))
    # Whoever ends in peace leaves no record.
    assert valkey.run("KEYS", "*") == ["counter"]
    assert service.errors() == ""


@pytest.mark.usefixtures("each_transport")
def test_what_is_in_flight_on_each_is_answered(valkey: ValkeyServer, start_workers: StartWorkers) -> None:
    service = start_workers(valkey, REDIS_TIMEOUT=5, REQUEST_TIMEOUT=6).wait_until_ready()
    service.wait_for_workers(2)
    valkey.pause()
    held = [service.connect() for _ in range(12)]
    for connection in held:
        connection.sendall(VISIT)
    eventually(lambda: service.gauge("http_requests_in_flight") == 12, "in flight, on both together")
    service.signal(signal.SIGTERM)
    await_both_drain(service)
    waited = [line["in_flight"] for line in service.lines if line["event"] == "draining"]
    assert sum(waited) == 12
    valkey.resume()
    for connection in held:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.close()
    assert service.wait(20) == 0
    assert valkey.get("counter") == "12"


def test_a_second_signal_ends_all_at_once(valkey: ValkeyServer, start_workers: StartWorkers) -> None:
    service = start_workers(valkey, DRAIN_DELAY=60).wait_until_ready()
    workers = service.wait_for_workers(2)
    folder = service.metrics_folder()
    service.signal(signal.SIGTERM)
    await_both_drain(service)
    service.signal(signal.SIGTERM)
    assert service.wait(3) == 128 + signal.SIGTERM
    service.line("ended by a second signal", signal="SIGTERM")
    eventually(lambda: not any(map(runs, workers)), "no worker is left")
    assert not folder.exists()


def test_ctrl_c_drains_once(valkey: ValkeyServer, start_workers: StartWorkers) -> None:
    """A terminal sends SIGINT to the arbiter and the workers alike."""
    service = start_workers(valkey, through=["setsid"], DRAIN_DELAY=1).wait_until_ready()
    service.wait_for_workers(2)
    began = time.monotonic()
    os.killpg(service.process.pid, signal.SIGINT)
    await_both_drain(service)
    assert service.count() == 1
    assert service.wait(20) == 0
    assert time.monotonic() - began > 1
    assert len([line for line in service.lines if line["event"] == "stopped"]) == 2


def test_a_drain_that_does_not_end_is_ended(valkey: ValkeyServer, start_workers: StartWorkers) -> None:
    service = start_workers(valkey, DRAIN_TIMEOUT=0.3, REDIS_TIMEOUT=8, REQUEST_TIMEOUT=9).wait_until_ready()
    service.wait_for_workers(2)
    valkey.pause()
    with service.connect() as connection:
        connection.sendall(VISIT)
        eventually(lambda: service.gauge("http_requests_in_flight") == 1, "in flight")
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
    service.line("drain timed out", in_flight=1)


def test_workers_whose_arbiter_is_killed_drain(valkey: ValkeyServer, start_workers: StartWorkers) -> None:
    """Nobody would watch them, or end them."""
    service = start_workers(valkey).wait_until_ready()
    workers = service.wait_for_workers(2)
    folder = service.metrics_folder()
    service.process.kill()
    await_both_drain(service)
    eventually(lambda: not any(map(runs, workers)), "no worker is left")
    assert not folder.exists()


def test_the_metrics_of_workers_before_a_reload_go_with_the_last_one(
    valkey: ValkeyServer, start_workers: StartWorkers
) -> None:
    """Those of before had places that nobody has now."""
    service = start_workers(valkey).wait_until_ready()
    before = service.wait_for_workers(2)
    folder = service.metrics_folder()
    service.signal(signal.SIGHUP)
    service.wait_without(before)
    workers = service.wait_for_workers(2)
    assert {file.stem for file in folder.glob("*.pid")} == {"2", "3"}
    service.process.kill()
    eventually(lambda: not any(map(runs, workers)), "no worker is left")
    assert not folder.exists()


def test_a_signal_while_redis_is_away_drains_too(valkey: ValkeyServer, start_workers: StartWorkers) -> None:
    valkey.stop()
    service = start_workers(valkey)
    service.line("waiting for redis", worker=1)
    service.signal(signal.SIGTERM)
    assert service.wait() == 0
