"""One scrape for all workers."""

import os
import re
import signal
from collections import Counter

from tests.conftest import ValkeyServer
from tests.service import eventually
from tests.visitors import PAGE, Visitors
from tests.workers.conftest import StartWorkers


def test_a_scrape_has_what_all_of_them_count(valkey: ValkeyServer, start_workers: StartWorkers) -> None:
    service = start_workers(valkey, WORKERS=3).wait_until_ready()
    service.wait_for_workers(3)
    visits = 0
    for number, _ in enumerate(service.each_alone(), 1):
        for _ in range(number):
            visits += 1
            assert service.count() == visits
        # Whoever answers tells of all.
        assert service.requests("/") == visits
    lines = Counter(line["worker"] for line in service.lines if line.get("route") == "/")
    assert sorted(lines.values()) == [1, 2, 3]
    text = service.metrics()
    assert re.findall(r'_bucket{le="\+Inf",method="GET",route="/",status="200"} (\S+)', text) == ["6.0"]
    assert text.count("\nbuild_info{") == 1


def test_a_scrape_under_load_is_exact_after_it(valkey: ValkeyServer, start_workers: StartWorkers) -> None:
    service = start_workers(valkey).wait_until_ready()
    service.wait_for_workers(2)
    with Visitors(service.address, count=12, requests=[PAGE]) as visitors:
        visitors.await_answers(300)
        assert service.requests("/") > 0
    assert service.requests("/") == len(visitors.answered)


def test_what_dead_workers_counted_stays_and_is_counted_on(
    valkey: ValkeyServer, start_workers: StartWorkers
) -> None:
    service = start_workers(valkey).wait_until_ready()
    visits = 0
    for _ in range(3):
        workers = service.wait_for_workers(2)
        with Visitors(service.address, count=8, requests=[PAGE]) as visitors:
            visitors.await_answers(50)
        visits += len(visitors.answered)
        assert service.requests("/") == visits
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        service.wait_without(workers)
    service.wait_for_workers(2)
    assert service.requests("/") == visits == int(valkey.get("counter") or 0)
    # Places, not processes, have files.
    assert len(list(service.metrics_folder().glob("histogram_*.db"))) == 2


def test_gauges_are_of_those_who_live(valkey: ValkeyServer, start_workers: StartWorkers) -> None:
    service = start_workers(valkey, REQUEST_TIMEOUT=1).wait_until_ready()
    service.wait_for_workers(2)
    eventually(lambda: service.gauge("ready") == 1, "all are ready")
    # No probe asks: each worker does by itself.
    valkey.stop()
    eventually(lambda: service.gauge("ready") == 0, "none is")
    valkey.start()
    eventually(lambda: service.gauge("ready") == 1, "all are again")


def test_processes_are_told_apart(valkey: ValkeyServer, start_workers: StartWorkers) -> None:
    service = start_workers(valkey).wait_until_ready()
    service.wait_for_workers(2)
    memory = r'process_resident_memory_bytes{worker="(\w+)"}'
    assert sorted(re.findall(memory, service.metrics())) == ["0", "1", "arbiter"]
    assert service.metrics().count("# TYPE process_resident_memory_bytes gauge") == 1


def test_redis_failures_of_all_are_added_up(valkey: ValkeyServer, start_workers: StartWorkers) -> None:
    service = start_workers(valkey, REQUEST_TIMEOUT=1).wait_until_ready()
    service.wait_for_workers(2)
    valkey.stop()
    eventually(lambda: service.get("/").status == 503, "a failure")
    assert re.search(r'^redis_failures_total{reason="connection"} [1-9]', service.metrics(), re.MULTILINE)


def test_visits_refusals_and_connections_of_all_are_added_up(
    valkey: ValkeyServer, start_workers: StartWorkers
) -> None:
    service = start_workers(valkey, WORKERS=2).wait_until_ready()
    service.wait_for_workers(2)
    assert service.gauge("visits_counted_total") == 0
    visitors = []
    for _ in service.each_alone():
        service.count()
        service.raw_exchange(b"GARBAGE\r\n\r\n")
        visitors.append(service.connect())
        # Who is alone takes it in before the others run again.
        visitors[-1].sendall(b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert visitors[-1].recv(65536).startswith(b"HTTP/1.1 200 ")
    assert service.gauge("visits_counted_total") == service.gauge("visit_batch_size_sum") == 2
    assert re.search(r'^http_requests_refused_total{reason="invalid"} 2', service.metrics(), re.MULTILINE)
    eventually(lambda: service.gauge("http_connections_open") == 2, "both are there")
    eventually(
        lambda: (service.gauge("event_loop_lag_seconds_count") or 0) > 0, "the loop's lag was looked at"
    )
    for visitor in visitors:
        visitor.close()
