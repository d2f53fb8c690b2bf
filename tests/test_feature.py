"""Something else in the counter's place, by one argument of server.main: all around it works as before."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.valkey import free_port
from tests.service import Service, eventually
from tests.telemetry.scrape import scrape


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    (tmp_path / "kept").mkdir()
    settings = {"ADMIN_PORT": free_port(), "REDIS_TIMEOUT": 0.2, "REQUEST_TIMEOUT": 0.5}
    service = Service("tests.tally_service", {"TALLY_FOLDER": tmp_path / "kept", **settings})
    yield service.wait_until_ready()
    service.close()


def test_probes_ask_for_what_it_needs_and_its_absence_is_a_503(service: Service, tmp_path: Path) -> None:
    assert service.request("POST", "/tally").json == {"strokes": 1}
    assert service.get("/").status == 404
    (tmp_path / "kept").rename(tmp_path / "away")
    eventually(lambda: service.get("/readyz").body == b"disk: folder is gone\n", "not ready")
    assert service.get("/readyz").status == 503
    assert (service.get("/healthz").status, service.get("/healthz").body) == (200, b"degraded\n")
    answer = service.request("POST", "/tally")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json["detail"] == "The tally is not available right now; try again in a moment."
    service.line("tally unavailable", reason="folder is gone", route="/tally")
    (tmp_path / "away").rename(tmp_path / "kept")
    service.wait_until_ready()
    assert service.request("POST", "/tally").json == {"strokes": 2}


def test_a_drain_settles_and_closes_it(service: Service, tmp_path: Path) -> None:
    assert service.request("POST", "/tally").json == {"strokes": 1}
    service.signal(signal.SIGTERM)
    assert service.wait() == 0
    assert (tmp_path / "kept" / "tally").read_text() == "1"
    assert (tmp_path / "kept" / "closed").exists()


def test_it_has_its_own_metrics_and_reasons_and_the_counters_are_gone(
    service: Service, tmp_path: Path
) -> None:
    assert scrape(service).value("tally_strokes_total") == 0
    service.request("POST", "/tally")
    told = scrape(service)
    assert told.value("tally_strokes_total") == 1
    assert [name for name in told.names() if name.startswith(("visit", "redis"))] == []
    assert told.by("not_ready", "reason") == {
        "starting": 0,
        "draining": 0,
        "error": 0,
        "folder is gone": 0,
    }
    (tmp_path / "kept").rename(tmp_path / "away")
    eventually(lambda: service.get("/readyz").status == 503, "not ready")
    assert scrape(service).value("not_ready", reason="folder is gone") == 1


def test_a_handler_that_takes_too_long_is_counted(service: Service) -> None:
    assert scrape(service).value("http_request_timeouts_total") == 0
    assert service.get("/tally").status == 503
    service.line("request timed out", route="/tally")
    assert scrape(service).value("http_request_timeouts_total") == 1
