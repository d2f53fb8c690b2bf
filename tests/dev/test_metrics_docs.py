"""docs/metrics.md says what the service shows: one process, and several."""

import re

import pytest

from app.http.connections import MADE_ROOM, NO_ROOM, UNREAD
from app.http.policy import RefusedBecause
from dev import metrics_docs
from dev.metrics_docs import PAGE, REASONS, all_of_them, families, labels_of, unit_of, written
from dev.valkey import free_port
from tests.conftest import StartService, ValkeyServer
from tests.workers.conftest import StartWorkers, start_workers

__all__ = ["start_workers"]


def documented() -> set[str]:
    return set(
        re.findall(
            r"^\| `([a-z_]+)` \| \S.* \| (?:counter|gauge|histogram) \|", PAGE.read_text(), re.MULTILINE
        )
    )


def shown(text: str) -> set[str]:
    return set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text() == written(), "run `make docs`"


def test_a_process_shows_what_is_documented(valkey: ValkeyServer, start_service: StartService) -> None:
    service = start_service(valkey, ADMIN_PORT=free_port()).wait_until_ready()
    service.count()
    assert shown(service.metrics()) == documented() - {"workers"}


def test_workers_show_what_is_documented(valkey: ValkeyServer, start_workers: StartWorkers) -> None:
    service = start_workers(valkey).wait_until_ready()
    service.wait_for_workers(2)
    garbage = {name for name in documented() if name.startswith("python_gc_")}
    named = {re.sub(r"_total$", "", name) for name in documented() - garbage}
    assert {re.sub(r"_total$", "", name) for name in shown(service.metrics())} == named


def test_every_reason_is_explained() -> None:
    for reason in (*RefusedBecause, MADE_ROOM, NO_ROOM, UNREAD):
        assert f"| `{reason}` |" in REASONS


def test_a_metric_without_a_unit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_docs, "UNITS", ())
    with pytest.raises(SystemExit, match="ready has no unit"):
        unit_of("ready")


def test_a_label_shows_its_values() -> None:
    registry, _ = all_of_them()
    (refused,) = (one for one, _ in families(registry) if one.name == "http_requests_refused")
    assert labels_of(refused, {}) == "**reason**: `full`, `host`, `invalid`, `too large`, `too slow`"
