"""BlackSheep on granian: a Rust server, one worker, its Python side on uvloop."""

import os
from collections.abc import Awaitable, Callable
from time import perf_counter

import orjson
from blacksheep import Application, Content, Request, Response, get, post
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes

from bench.http.peers.collection import keep_out_of_collections
from bench.http.peers.counting import open_visits
from bench.http.peers.headers import SECURITY_HEADERS, request_id_of
from bench.http.peers.page import ENVIRONMENT, page
from bench.http.peers.telemetry import METRICS_TYPE, metrics, record

HEADERS = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]


def make_application() -> Application:
    application = Application()
    visits = open_visits()
    keep_out_of_collections()

    async def duties(request: Request, handler: Callable[[Request], Awaitable[Response]]) -> Response:
        began = perf_counter()
        given = request.get_first_header(b"x-request-id")
        request_id = request_id_of(given.decode("latin-1") if given else None)
        response = await handler(request)
        response.headers.add_many([*HEADERS, (b"X-Request-ID", request_id.encode())])
        agent = request.get_first_header(b"user-agent")
        # Middlewares run where a route matches, and these routes are plain paths.
        path = request.url.path.decode()
        record(
            request_id=request_id,
            method=request.method,
            route=path,
            path=path,
            status=response.status,
            began=began,
            client=request.client_ip,
            user_agent=agent.decode("latin-1") if agent else None,
        )
        return response

    application.middlewares.append(duties)

    def shown(counter: int) -> Response:
        body = orjson.dumps({"counter": counter, "environment": ENVIRONMENT})
        return Response(200, content=Content(b"application/json", body))

    @get("/")
    async def show_page() -> Response:
        text = page(await visits.count()).encode()
        return Response(200, content=Content(b"text/html; charset=utf-8", text))

    @get("/api/v1/counter")
    async def show_counter() -> Response:
        return shown(await visits.read())

    @post("/api/v1/counter")
    async def count() -> Response:
        return shown(await visits.count())

    @get("/metrics")
    async def show_metrics() -> Response:
        return Response(200, content=Content(METRICS_TYPE.encode(), metrics()))

    application.router.apply_routes()
    return application


if __name__ == "__main__":
    Granian(
        f"{__spec__.name}:make_application",
        factory=True,
        address="127.0.0.1",
        port=int(os.environ["PORT"]),
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        loop=Loops.uvloop,
        runtime_mode=RuntimeModes.st,
        workers=1,
        log_enabled=False,
    ).serve()
