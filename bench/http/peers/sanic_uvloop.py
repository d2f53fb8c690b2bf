"""Sanic in one process, which runs on uvloop and httptools."""

import os
from time import perf_counter
from typing import Any

import orjson
from sanic import HTTPResponse, Request, Sanic

from bench.http.peers.collection import keep_out_of_collections
from bench.http.peers.counting import Visits, open_visits
from bench.http.peers.headers import SECURITY_HEADERS, request_id_of
from bench.http.peers.page import ENVIRONMENT, page
from bench.http.peers.telemetry import METRICS_TYPE, metrics, record

application: Sanic[Any, Any] = Sanic("visits", configure_logging=False)
HTML = "text/html; charset=utf-8"


def shown(counter: int) -> HTTPResponse:
    body = orjson.dumps({"counter": counter, "environment": ENVIRONMENT})
    return HTTPResponse(body, content_type="application/json")


@application.before_server_start
async def connect(app: Sanic[Any, Any]) -> None:
    app.ctx.visits = open_visits()
    keep_out_of_collections()


def visits_of(request: Request) -> Visits:
    visits: Visits = request.app.ctx.visits
    return visits


@application.on_request
async def begin(request: Request) -> None:
    request.ctx.began = perf_counter()


@application.on_response
async def duties(request: Request, response: HTTPResponse) -> None:
    request_id = request_id_of(request.headers.get("X-Request-ID"))
    response.headers.update(SECURITY_HEADERS)
    response.headers["X-Request-ID"] = request_id
    record(
        request_id=request_id,
        method=request.method,
        route=request.uri_template or "unmatched",
        path=request.path,
        status=response.status,
        began=request.ctx.began,
        client=request.ip,
        user_agent=request.headers.get("User-Agent"),
    )


@application.get("/")
async def show_page(request: Request) -> HTTPResponse:
    return HTTPResponse(page(await visits_of(request).count()), content_type=HTML)


@application.get("/api/v1/counter")
async def show_counter(request: Request) -> HTTPResponse:
    return shown(await visits_of(request).read())


@application.post("/api/v1/counter")
async def count(request: Request) -> HTTPResponse:
    return shown(await visits_of(request).count())


@application.get("/metrics")
async def show_metrics(_: Request) -> HTTPResponse:
    return HTTPResponse(metrics(), content_type=METRICS_TYPE)


if __name__ == "__main__":
    application.run(
        host="127.0.0.1", port=int(os.environ["PORT"]), single_process=True, access_log=False, motd=False
    )
