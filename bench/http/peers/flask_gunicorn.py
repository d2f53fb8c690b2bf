"""Flask on gunicorn: one worker of threads (gthread), redis-py's threaded client."""

import os
from time import perf_counter

import orjson
from flask import Flask, Response, g, render_template, request
from redis import Redis

from bench.http.peers.collection import keep_out_of_collections
from bench.http.peers.headers import SECURITY_HEADERS, request_id_of
from bench.http.peers.telemetry import METRICS_TYPE, metrics, record

ENVIRONMENT = "DEV"
application = Flask(__name__)
redis = Redis(port=int(os.environ["REDIS_PORT"]), socket_timeout=None)
keep_out_of_collections()


@application.before_request
def begin() -> None:
    g.began = perf_counter()


@application.after_request
def duties(response: Response) -> Response:
    request_id = request_id_of(request.headers.get("X-Request-ID"))
    response.headers.update(SECURITY_HEADERS)
    response.headers["X-Request-ID"] = request_id
    record(
        request_id=request_id,
        method=request.method,
        route=request.url_rule.rule if request.url_rule else "unmatched",
        path=request.path,
        status=response.status_code,
        began=g.began,
        client=request.remote_addr,
        user_agent=request.headers.get("User-Agent"),
    )
    return response


def shown(counter: int) -> Response:
    body = orjson.dumps({"counter": counter, "environment": ENVIRONMENT})
    return Response(body, mimetype="application/json")


@application.get("/")
def show_page() -> str:
    return render_template("page.html", counter=redis.incr("counter"), environment=ENVIRONMENT)


@application.get("/api/v1/counter")
def show_counter() -> Response:
    return shown(int(redis.get("counter") or 0))


@application.post("/api/v1/counter")
def count() -> Response:
    return shown(redis.incr("counter"))


@application.get("/metrics")
def show_metrics() -> Response:
    return Response(metrics(), content_type=METRICS_TYPE)
