"""Labels stay bounded."""

from app.settings import Settings
from app.telemetry.metrics import Metrics


def test_methods_outside_the_standard_set_share_a_label() -> None:
    metrics = Metrics(Settings())
    for method in ("GET", "BREW", "A" * 100):
        metrics.observe_request(method, "/", 200, 0.01)
    text = metrics.render().decode()
    assert 'http_request_duration_seconds_count{method="GET",route="/",status="200"} 1.0' in text
    assert 'http_request_duration_seconds_count{method="other",route="/",status="200"} 2.0' in text
    assert "BREW" not in text


def test_two_sets_of_metrics_do_not_meet() -> None:
    one, two = Metrics(Settings()), Metrics(Settings())
    one.observe_request("GET", "/", 200, 0.01)
    assert 'route="/"' in one.render().decode()
    assert 'route="/"' not in two.render().decode()
