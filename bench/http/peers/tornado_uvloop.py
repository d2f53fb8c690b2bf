"""Tornado as it comes, with uvloop, and with its own templates: this service's."""

import asyncio
import os
from pathlib import Path
from time import perf_counter

import orjson
import uvloop
from tornado.web import Application, RequestHandler

from bench.http.peers.collection import keep_out_of_collections
from bench.http.peers.counting import Visits, open_visits
from bench.http.peers.headers import SECURITY_HEADERS, request_id_of
from bench.http.peers.telemetry import METRICS_TYPE, metrics, record

APP = Path(__file__).resolve().parents[3] / "app"
ENVIRONMENT = "DEV"


class Handler(RequestHandler):
    """Identity and headers."""

    route = "unmatched"
    request_id: str

    def set_default_headers(self) -> None:
        self.request_id = request_id_of(self.request.headers.get("X-Request-ID"))
        for name, value in SECURITY_HEADERS.items():
            self.set_header(name, value)
        self.set_header("X-Request-ID", self.request_id)

    def compute_etag(self) -> str | None:
        return None

    @property
    def visits(self) -> Visits:
        visits: Visits = self.settings["visits"]
        return visits


class PageHandler(Handler):
    """The page."""

    route = "/"

    async def get(self) -> None:
        self.render("page.html", counter=await self.visits.count(), environment=ENVIRONMENT)


class CounterHandler(Handler):
    """The counter."""

    route = "/api/v1/counter"

    async def get(self) -> None:
        self.show(await self.visits.read())

    async def post(self) -> None:
        self.show(await self.visits.count())

    def show(self, counter: int) -> None:
        self.set_header("Content-Type", "application/json")
        self.finish(orjson.dumps({"counter": counter, "environment": ENVIRONMENT}))


class MetricsHandler(Handler):
    """The histogram."""

    route = "/metrics"

    def get(self) -> None:
        self.set_header("Content-Type", METRICS_TYPE)
        self.finish(metrics())


def log_request(handler: RequestHandler) -> None:
    assert isinstance(handler, Handler)  # noqa: S101 - this application has no other
    request = handler.request
    record(
        request_id=handler.request_id,
        method=str(request.method),
        route=handler.route,
        path=request.path,
        status=handler.get_status(),
        # Tornado notes time.time(); request_time() is how long ago that is.
        began=perf_counter() - request.request_time(),
        client=request.remote_ip,
        user_agent=request.headers.get("User-Agent"),
    )


async def main() -> None:
    application = Application(
        [("/", PageHandler), ("/api/v1/counter", CounterHandler), ("/metrics", MetricsHandler)],
        default_handler_class=Handler,
        template_path=str(APP / "templates"),
        static_path=str(APP / "static"),
        log_function=log_request,
        visits=open_visits(),
    )
    keep_out_of_collections()
    application.listen(int(os.environ["PORT"]), "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
