"""The picture of the dashboard: each query asked as Grafana asks it, and none that finds nothing."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from dev import dashboard_run
from dev.prometheus import Prometheus, PrometheusError, Series, is_here


class Answers(Prometheus):
    """What a Prometheus found."""

    def __init__(self, *found: Series) -> None:
        self.found = list(found)
        self.asked: list[str] = []

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        self.asked.append(f"{expression} from {start:g} to {end:g} by {step:g}")
        return self.found


def found(values: Sequence[str], **labels: str) -> Series:
    return {"metric": labels, "values": [[100 + 5 * at, value] for at, value in enumerate(values)]}


TARGET = {"expr": "rate(some_total[$__rate_interval])", "legendFormat": "{{status}} of {{ pod }}"}


def test_a_query_is_asked_as_grafana_does() -> None:
    prometheus = Answers(found(["1", "2.5"], status="200", pod="shop-1"))
    drawn = dashboard_run.series(prometheus, TARGET, 100, 105)
    assert prometheus.asked == ["rate(some_total[20s]) from 100 to 105 by 5"]
    assert drawn == [{"name": "200 of shop-1", "values": [(100, 1.0), (105, 2.5)]}]


def test_what_cannot_be_divided_is_a_gap() -> None:
    (drawn,) = dashboard_run.series(Answers(found(["NaN", "+Inf", "3"])), TARGET, 100, 110)
    assert drawn["values"] == [(100, None), (105, None), (110, 3.0)]


@pytest.mark.parametrize("nothing", [Answers(), Answers(found(["NaN", "NaN"]))])
def test_a_query_that_finds_nothing_is_an_error(nothing: Answers) -> None:
    with pytest.raises(PrometheusError, match=r"no series: rate\(some_total\[20s\]\)"):
        dashboard_run.series(nothing, TARGET, 100, 105)


def test_targets_are_called_as_the_operator_calls_them(tmp_path: Path) -> None:
    configuration, labels = dashboard_run.scrape(tmp_path / "targets.json")
    assert configuration["job_name"] == "shop/shop"
    assert configuration["metrics_path"] == "/metrics"
    assert labels == {"namespace": "shop", "container": "visits", "endpoint": "admin"}


def test_without_prometheus_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["dashboard_run", str(tmp_path / "found.json")])
    assert dashboard_run.main() == 1
    assert "prometheus is not on PATH: install Prometheus 3" in capsys.readouterr().err
    assert not (tmp_path / "found.json").exists()


@pytest.mark.skipif(not is_here(), reason="prometheus is not on PATH: it comes with Prometheus 3")
class TestPrometheus:
    def test_it_answers_and_refuses(self, tmp_path: Path) -> None:
        with Prometheus(tmp_path / "prometheus", {}) as prometheus:
            (one,) = prometheus.query("vector(2)", at=100)
            assert one["value"] == [100, "2"]
            (several,) = prometheus.query_range("vector(3)", 100, 110, 5)
            assert several["values"] == [[100, "3"], [105, "3"], [110, "3"]]
            with pytest.raises(PrometheusError, match="parse error"):
                prometheus.query("rate(")

    def test_it_says_why_it_did_not_start(self, tmp_path: Path) -> None:
        with pytest.raises(PrometheusError, match=r"did not start .*nonsense"):
            with Prometheus(tmp_path / "prometheus", {"nonsense": 1}):
                pass
