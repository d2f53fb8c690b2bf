"""Admin `GET /metrics`: for Prometheus."""

from app.handlers.base import BaseHandler
from app.handlers.routes import Route, route
from app.telemetry.metrics import Metrics


class MetricsHandler(BaseHandler):
    """The text format, fresh at every scrape."""

    route = "/metrics"
    is_probe = True

    def initialize(self, metrics: Metrics) -> None:
        self.metrics = metrics

    def get(self) -> None:
        self.set_header("Content-Type", self.metrics.CONTENT_TYPE)
        self.write(self.metrics.render())

    def head(self) -> None:
        self.get()


def metrics_routes(metrics: Metrics) -> list[Route]:
    return [route(MetricsHandler, metrics=metrics)]
