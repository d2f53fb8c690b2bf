"""Traces of several workers: each has a thread that exports, begun after the fork."""

import signal

from tests.conftest import ValkeyServer
from tests.telemetry.collector import collecting
from tests.workers.conftest import StartWorkers


def test_each_worker_exports_its_own(valkey: ValkeyServer, start_workers: StartWorkers) -> None:
    with collecting() as collector:
        # Nothing leaves before the drain.
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": 60_000}
        service = start_workers(valkey, **variables)
        service.wait_for_workers(2)
        for _ in service.each_alone():
            service.count()
        service.signal(signal.SIGTERM)
        assert service.wait(30) == 0
        requests, batches = collector.named("GET /"), collector.named("EVALSHA count_batch")
    assert len(requests) == len(batches) == 2
    assert len({str(span.resource["service.instance.id"]) for span in requests}) == 2
    assert {span.ids for span in requests} == {link for batch in batches for link in batch.links}
    assert len({line["worker"] for line in service.lines if "trace_id" in line}) == 2
