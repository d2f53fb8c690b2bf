"""aiohttp, its C parser and writer, on uvloop."""

import os
from time import perf_counter

import orjson
import uvloop
from aiohttp import web
from aiohttp.typedefs import Handler

from bench.http.peers.collection import keep_out_of_collections
from bench.http.peers.counting import open_visits
from bench.http.peers.headers import SECURITY_HEADERS, request_id_of
from bench.http.peers.page import ENVIRONMENT, page
from bench.http.peers.telemetry import METRICS_TYPE, metrics, record


@web.middleware
async def duties(request: web.Request, handler: Handler) -> web.StreamResponse:
    began = perf_counter()
    request_id = request_id_of(request.headers.get("X-Request-ID"))
    try:
        response = await handler(request)
    except web.HTTPException as error:
        response = error
    response.headers.update(SECURITY_HEADERS)
    response.headers["X-Request-ID"] = request_id
    resource = request.match_info.route.resource
    record(
        request_id=request_id,
        method=request.method,
        route=resource.canonical if resource else "unmatched",
        path=request.path,
        status=response.status,
        began=began,
        client=request.remote,
        user_agent=request.headers.get("User-Agent"),
    )
    return response


def make_application() -> web.Application:
    visits = open_visits()
    keep_out_of_collections()

    def shown(counter: int) -> web.Response:
        body = orjson.dumps({"counter": counter, "environment": ENVIRONMENT})
        return web.Response(body=body, content_type="application/json")

    async def show_page(_: web.Request) -> web.Response:
        return web.Response(text=page(await visits.count()), content_type="text/html")

    async def show_counter(_: web.Request) -> web.Response:
        return shown(await visits.read())

    async def count(_: web.Request) -> web.Response:
        return shown(await visits.count())

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(body=metrics(), headers={"Content-Type": METRICS_TYPE})

    application = web.Application(middlewares=[duties])
    application.router.add_get("/", show_page)
    application.router.add_get("/api/v1/counter", show_counter)
    application.router.add_post("/api/v1/counter", count)
    application.router.add_get("/metrics", show_metrics)
    return application


if __name__ == "__main__":
    loop = uvloop.new_event_loop()
    web.run_app(
        make_application(),
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        access_log=None,
        print=None,
        loop=loop,
    )
