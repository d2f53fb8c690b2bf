"""What the arbiter does about workers that die, hang or cannot start, and at signals."""

import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from dev.valkey import free_port
from tests.conftest import ValkeyServer
from tests.processes import runs
from tests.service import VISIT, eventually, run_to_end
from tests.visitors import BROKEN, UNREACHED, Visitors
from tests.workers.conftest import StartWorkers
from tests.workers.workers import Workers

DRAINS_LONG = {"REQUEST_TIMEOUT": 20, "DRAIN_TIMEOUT": 20}


def hold_on_each(service: Workers, stack: ExitStack) -> None:
    """Let each worker have a visitor who waits for Redis."""
    for _ in service.each_alone():
        stack.enter_context(service.connect()).sendall(VISIT)
        # Whoever is alone takes the visitor in before it answers this.
        assert service.get("/healthz").status == 200


def reload_as(environment: str, service: Workers, secrets: Path) -> None:
    """Let it read another ENVIRONMENT, which tests/workers/spoiled.py goes by."""
    (secrets / "ENVIRONMENT").write_text(environment)
    service.signal(signal.SIGHUP)


@pytest.mark.usefixtures("each_transport")
def test_killed_workers_are_replaced_and_every_answer_is_counted_once(
    valkey: ValkeyServer, start_workers: StartWorkers
) -> None:
    service = start_workers(valkey).wait_until_ready()
    with Visitors(service.address, count=24) as visitors:
        for _ in range(4):
            visitors.await_answers(100)
            victim = min(service.wait_for_workers(2))
            os.kill(victim, signal.SIGKILL)
            service.wait_without({victim})
        service.wait_for_workers(2)
        visitors.await_answers(100)
    numbers = [visit.number for visit in visitors.answered]
    value = int(valkey.get("counter") or 0)
    assert len(set(numbers)) == len(numbers)
    assert max(number or 0 for number in numbers) <= value
    # At most those who were in flight at a worker that was killed have no answer; each may have been counted.
    assert set(visitors.statuses()) <= {200, BROKEN}
    assert len(visitors.failures) <= 4 * 24
    assert len(visitors.answered) <= value <= len(visitors.sent)
    assert not any(visit.status == UNREACHED for visit in visitors.visits)


@pytest.mark.usefixtures("each_transport")
def test_sighup_replaces_all_workers_and_no_visitor_notices(
    valkey: ValkeyServer, start_workers: StartWorkers
) -> None:
    """Who goes says nothing to /readyz, though DRAIN_DELAY is set: nobody has to be sent elsewhere."""
    service = start_workers(valkey, DRAIN_DELAY=5).wait_until_ready()
    before = service.wait_for_workers(2)
    readiness = []
    with Visitors(service.address, count=16) as visitors:
        visitors.await_answers(100)
        service.signal(signal.SIGHUP)
        while any(map(runs, before)):
            readiness.append(service.get("/readyz").status)
        after = service.wait_for_workers(2)
        visitors.await_answers(100)
    assert before.isdisjoint(after)
    assert visitors.failures == []
    assert set(readiness) == {200}
    assert valkey.get("counter") == str(len(visitors.answered))


def test_sighup_retires_nobody_before_as_many_others_serve(
    valkey: ValkeyServer, start_workers: StartWorkers
) -> None:
    service = start_workers(valkey).wait_until_ready()
    before = service.wait_for_workers(2)
    service.signal(signal.SIGHUP)
    service.wait_without(before)
    service.wait_for_workers(2)
    serving: list[int] = []
    for line in service.lines:
        if line["event"] in {"listening", "stopping"}:
            step = 1 if line["event"] == "listening" else -1
            serving.append((serving[-1] if serving else 0) + step)
    assert (len(serving), serving[-1]) == (6, 2)
    assert min(serving[1:]) == 2


def test_the_old_workers_stay_if_the_new_ones_cannot_start(
    valkey: ValkeyServer, start_workers: StartWorkers, tmp_path: Path
) -> None:
    service = start_workers(valkey, "tests.workers.spoiled", SECRETS_DIR=tmp_path).wait_until_ready()
    before = service.wait_for_workers(2)
    reload_as("SPOILED", service, tmp_path)
    service.line("not reloaded", complaint="5 workers in a row ended before they served")
    eventually(lambda: service.pids() == before, "only the old ones are left")
    assert service.count() == 1
    reload_as("MENDED", service, tmp_path)
    service.wait_without(before)
    service.wait_for_workers(2)
    assert service.get("/api/v1/counter").json["environment"] == "MENDED"


def test_of_a_reload_that_fails_nothing_is_left(
    valkey: ValkeyServer, start_workers: StartWorkers, tmp_path: Path
) -> None:
    """Neither the one new worker that serves, nor the settings for who is started later."""
    service = start_workers(valkey, "tests.workers.spoiled", SECRETS_DIR=tmp_path).wait_until_ready()
    before = service.wait_for_workers(2)
    reload_as("HALF", service, tmp_path)
    service.line("not reloaded")
    eventually(lambda: service.pids() == before, "only the old ones are left")
    os.kill(min(before), signal.SIGKILL)
    service.wait_without({min(before)})
    service.wait_for_workers(2)
    assert service.get("/api/v1/counter").json["environment"] == "DEV"


def test_an_old_worker_that_dies_in_a_reload_that_fails_is_replaced(
    valkey: ValkeyServer, start_workers: StartWorkers, tmp_path: Path
) -> None:
    service = start_workers(valkey, "tests.workers.spoiled", SECRETS_DIR=tmp_path).wait_until_ready()
    before = service.wait_for_workers(2)
    reload_as("SPOILED", service, tmp_path)
    os.kill(min(before), signal.SIGKILL)
    service.line("not reloaded")
    assert max(before) in service.wait_for_workers(2)
    assert service.get("/api/v1/counter").json["environment"] == "DEV"


def test_the_old_workers_stay_however_many_new_ones_end_at_once(
    valkey: ValkeyServer, start_workers: StartWorkers, tmp_path: Path
) -> None:
    settings = {"WORKERS": 10, "SECRETS_DIR": tmp_path}
    service = start_workers(valkey, "tests.workers.spoiled", **settings).wait_until_ready()
    before = service.wait_for_workers(10)
    reload_as("SPOILED", service, tmp_path)
    eventually(lambda: len(service.pids()) == 20, "the new ones start")
    with service.frozen():
        eventually(lambda: service.pids() == before, "they have ended")
    service.line("not reloaded", complaint="5 workers in a row ended before they served")
    # One that ends everything would not hear this.
    service.signal(signal.SIGUSR1)
    service.line("signal refused")
    assert service.wait_for_workers(10) == before


def test_who_dies_while_retired_ones_drain_is_replaced(
    valkey: ValkeyServer, start_workers: StartWorkers
) -> None:
    service = start_workers(valkey, **DRAINS_LONG).wait_until_ready()
    old = service.wait_for_workers(2)
    valkey.pause()
    with ExitStack() as stack:
        hold_on_each(service, stack)
        service.signal(signal.SIGHUP)
        for worker in (0, 1):
            service.line("draining", worker=worker)
        new = service.pids() - old
        for one in new:
            os.kill(one, signal.SIGKILL)
        eventually(lambda: len(service.pids() - old - new) == 2, "replaced")
        assert old <= service.pids()


def test_one_more_starts_while_one_drains(valkey: ValkeyServer, start_workers: StartWorkers) -> None:
    service = start_workers(valkey, **DRAINS_LONG).wait_until_ready()
    old = service.wait_for_workers(2)
    valkey.pause()
    with ExitStack() as stack:
        hold_on_each(service, stack)
        service.signal(signal.SIGTTOU)
        service.line("draining")
        service.signal(signal.SIGTTIN)
        eventually(lambda: len(service.pids() - old) == 1, "started")
        assert old <= service.pids()


def test_sighup_reads_settings_anew_unless_they_are_bad(
    valkey: ValkeyServer, start_workers: StartWorkers, tmp_path: Path
) -> None:
    (tmp_path / "ENVIRONMENT").write_text("FIRST")
    service = start_workers(valkey, SECRETS_DIR=tmp_path).wait_until_ready()
    first = service.wait_for_workers(2)
    (tmp_path / "ENVIRONMENT").write_text("SECOND")
    service.signal(signal.SIGHUP)
    eventually(lambda: first.isdisjoint(service.pids()), "replaced", 20)
    second = service.wait_for_workers(2)
    assert service.get("/api/v1/counter").json["environment"] == "SECOND"
    (tmp_path / "MAX_IN_FLIGHT").write_text("many")
    service.signal(signal.SIGHUP)
    service.line("not reloaded", complaint="MAX_IN_FLIGHT is 'many', allowed: a whole number, 1 or more")
    assert service.wait_for_workers(2) == second


def test_one_worker_more_and_one_less(valkey: ValkeyServer, start_workers: StartWorkers) -> None:
    service = start_workers(valkey).wait_until_ready()
    service.wait_for_workers(2)
    service.signal(signal.SIGTTIN)
    service.wait_for_workers(3)
    with Visitors(service.address, count=8) as visitors:
        visitors.await_answers(50)
        service.signal(signal.SIGTTOU)
        service.wait_for_workers(2)
    assert visitors.failures == []
    assert len([line for line in service.lines if line["event"] == "stopped"]) == 1


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_signals_without_sense_here_are_refused(start_workers: StartWorkers, number: signal.Signals) -> None:
    service = start_workers()
    workers = service.wait_for_workers(2)
    service.signal(number)
    service.line("signal refused", signal=number.name)
    assert service.wait_for_workers(2) == workers


def test_a_frozen_worker_is_killed_and_replaced(valkey: ValkeyServer, start_workers: StartWorkers) -> None:
    service = start_workers(valkey, module="tests.workers.impatient").wait_until_ready()
    frozen = min(service.wait_for_workers(2))
    os.kill(frozen, signal.SIGSTOP)
    eventually(lambda: not runs(frozen), "killed", 20)
    service.wait_for_workers(2)
    assert service.count() == 1


def test_of_a_worker_whose_loop_hangs_the_log_says_where(
    valkey: ValkeyServer, start_workers: StartWorkers
) -> None:
    service = start_workers(valkey, module="tests.workers.impatient").wait_until_ready()
    before = service.wait_for_workers(2)
    with service.connect() as connection:
        connection.sendall(b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n")
        hung = service.line("the event loop hangs")
    assert hung["at"][-1].endswith(" in hang")
    eventually(lambda: len(before & service.pids()) == 1, "the other one stays")
    service.wait_for_workers(2)


def test_neither_an_outage_of_redis_nor_a_drain_is_taken_for_a_hung_loop(
    valkey: ValkeyServer, start_workers: StartWorkers
) -> None:
    """Old workers drain and new ones start, all of them for longer than a loop may hang."""
    service = start_workers(valkey, module="tests.workers.impatient", **DRAINS_LONG).wait_until_ready()
    old = service.wait_for_workers(2)
    valkey.pause()
    with ExitStack() as stack:
        held = [stack.enter_context(service.connect()) for _ in range(8)]
        for connection in held:
            connection.sendall(VISIT)
        eventually(lambda: service.gauge("http_requests_in_flight") == 8, "in flight")
        service.signal(signal.SIGHUP)
        began = time.monotonic()
        while time.monotonic() - began < 5:
            assert service.get("/healthz").status == 200
        # Whoever has none of them has ended.
        assert service.pids() & old
        valkey.resume()
        for connection in held:
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    service.wait_without(old)
    service.wait_for_workers(2)
    assert not service.has_said("the event loop hangs")


@pytest.mark.parametrize("end_by", ["exception", "SIGKILL"])
def test_workers_that_cannot_start_are_not_tried_for_ever(end_by: str) -> None:
    ended = run_to_end(
        "tests.workers.failing", WORKERS=2, PORT=0, ADMIN_PORT=free_port(), HOST="127.0.0.1", END_BY=end_by
    )
    assert ended.returncode == 1
    assert " workers in a row ended before they served" in ended.stdout
    assert 5 <= ended.stdout.count("Booting worker") <= 6
    assert "swordfish" not in ended.stdout + ended.stderr
    assert ended.stderr == ""
