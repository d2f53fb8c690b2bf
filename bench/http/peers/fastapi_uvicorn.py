"""FastAPI on uvicorn with uvloop and httptools."""

import os
from time import perf_counter

import orjson
import uvicorn
from fastapi import FastAPI, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bench.http.peers.collection import keep_out_of_collections
from bench.http.peers.counting import open_visits
from bench.http.peers.headers import SECURITY_HEADERS, request_id_of
from bench.http.peers.page import ENVIRONMENT, page
from bench.http.peers.telemetry import METRICS_TYPE, metrics, record

HEADERS = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]


class Duties:
    """A plain ASGI middleware: the decorator @app.middleware("http") costs several times as much."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = perf_counter()
        given = agent = None
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                given = value.decode("latin-1")
            elif name == b"user-agent":
                agent = value.decode("latin-1")
        request_id = request_id_of(given)
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] += [*HEADERS, (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            route = scope.get("route")
            record(
                request_id=request_id,
                method=scope["method"],
                route=route.path if route else "unmatched",
                path=scope["path"],
                status=status,
                began=began,
                client=scope["client"][0],
                user_agent=agent,
            )


application = FastAPI(openapi_url=None)
application.add_middleware(Duties)
visits = open_visits()
keep_out_of_collections()


def shown(counter: int) -> Response:
    body = orjson.dumps({"counter": counter, "environment": ENVIRONMENT})
    return Response(body, media_type="application/json")


@application.get("/")
async def show_page() -> Response:
    return Response(page(await visits.count()), media_type="text/html")


@application.get("/api/v1/counter")
async def show_counter() -> Response:
    return shown(await visits.read())


@application.post("/api/v1/counter")
async def count() -> Response:
    return shown(await visits.count())


@application.get("/metrics")
async def show_metrics() -> Response:
    return Response(metrics(), headers={"content-type": METRICS_TYPE})


if __name__ == "__main__":
    uvicorn.run(
        application,
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )
