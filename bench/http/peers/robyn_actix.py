"""Robyn: its Rust server (Actix), one process, one worker."""

import os
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

import orjson
from robyn import Request, Response, Robyn

from bench.http.peers.collection import keep_out_of_collections
from bench.http.peers.counting import open_visits
from bench.http.peers.headers import SECURITY_HEADERS, request_id_of
from bench.http.peers.page import ENVIRONMENT, page
from bench.http.peers.telemetry import METRICS_TYPE, metrics, record

application = Robyn(__file__)
application.config.disable_openapi = True
visits = open_visits()
keep_out_of_collections()
# Added on the Rust side.
for name, value in SECURITY_HEADERS.items():
    application.set_response_header(name, value)

Handler = Callable[[Request], Awaitable[Response]]


def duties(route: str, content_type: str, handler: Callable[[], Awaitable[Any]]) -> Handler:
    """A wrapper and not before_request and after_request, each of which crosses from Rust to Python again."""

    async def with_duties(request: Request) -> Response:
        began = perf_counter()
        request_id = request_id_of(request.headers.get("x-request-id"))
        body = await handler()
        headers = {"Content-Type": content_type, "X-Request-ID": request_id}
        record(
            request_id=request_id,
            method=request.method,
            route=route,
            path=request.url.path,
            status=200,
            began=began,
            client=request.ip_addr,
            user_agent=request.headers.get("user-agent"),
        )
        return Response(200, headers, body)

    return with_duties


def shown(counter: int) -> bytes:
    return orjson.dumps({"counter": counter, "environment": ENVIRONMENT})


async def show_page() -> str:
    return page(await visits.count())


async def show_counter() -> bytes:
    return shown(await visits.read())


async def count() -> bytes:
    return shown(await visits.count())


async def show_metrics() -> bytes:
    return metrics()


application.get("/")(duties("/", "text/html; charset=utf-8", show_page))
application.get("/api/v1/counter")(duties("/api/v1/counter", "application/json", show_counter))
application.post("/api/v1/counter")(duties("/api/v1/counter", "application/json", count))
application.get("/metrics")(duties("/metrics", METRICS_TYPE, show_metrics))

if __name__ == "__main__":
    application.start(host="127.0.0.1", port=int(os.environ["PORT"]), _check_port=False)
