"""Something else in the counter's place, by one argument of server.main: all around it works as before."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service import Service, eventually


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    (tmp_path / "kept").mkdir()
    service = Service("tests.tally_service", {"TALLY_FOLDER": tmp_path / "kept"})
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
