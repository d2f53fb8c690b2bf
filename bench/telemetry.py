"""What log, metrics and traces cost a request, in CPU time of this process: `python -m bench.telemetry`.

Too little to be seen in the load of a whole service, whose rounds differ by more. So what a request calls on
its way is called here by itself: by turns, in batches as of a busy event loop, with lines that go nowhere and
spans that a collector in another process takes. The threads that export are in it.
"""

import asyncio
import contextvars
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from app.http.policy import RequestPolicy, make_policy
from app.settings import Settings
from app.telemetry.logs import configure_logs
from app.telemetry.metrics import Metrics
from app.telemetry.requests import RequestTelemetry
from app.telemetry.spans import Tracing
from app.telemetry.tracing import Sampling
from tests.telemetry.collector import collecting

ROUNDS = 9
REQUESTS = 16_000
"""Of one variant in one round."""
A_TURN = 16
"""Requests that one turn of the event loop answers."""
PROXY = "10.0.0.1"
HEADERS = HTTPHeaders(
    {
        "Host": "visits.example.com",
        "User-Agent": "curl/8.5.0",
        "Accept": "*/*",
        "X-Forwarded-For": "192.0.2.7, 10.0.0.2",
    }
)
REQUEST_ID = "8d0c1f0b5e6b4d6d8f0f6f4d2c9b7a11"
NOTHING = "nothing"

Variant = Callable[[], None]


def collect(told: Pipe) -> None:
    """Be a collector until this process is ended."""
    with collecting() as collector:
        told.send(collector.endpoint)
        told.recv()


@contextmanager
def collector() -> Iterator[str]:
    """Run a collector in a process of its own; yield its address."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=collect, args=(there,))
    process.start()
    yield here.recv()
    here.send("end")
    process.join()


async def measure(variants: dict[str, Variant], settle: Callable[[], object]) -> dict[str, list[float]]:
    """Return what a request costs in each variant, in microseconds of CPU time, by rounds.

    `settle` returns when the threads have done what a variant left to them.
    """
    measured: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(ROUNDS + 1):
        for name, variant in variants.items():
            began = time.process_time()
            for _ in range(REQUESTS // A_TURN):
                for _ in range(A_TURN):
                    # Each request has a context of variables of its own.
                    contextvars.copy_context().run(variant)
                await asyncio.sleep(0)
            settle()
            spent = (time.process_time() - began) * 1e6 / REQUESTS
            # The first round warms up.
            if number:
                measured[name].append(spent)
    return measured


def nothing() -> None:
    """What a request costs here without any of it."""


def reporting(telemetry: RequestTelemetry, policy: RequestPolicy) -> Variant:
    def report() -> None:
        telemetry.record(
            request_id=REQUEST_ID,
            method="GET",
            route="/",
            target="/",
            status=200,
            seconds=0.00123,
            client=policy.client_address(PROXY, HEADERS),
            user_agent=HEADERS["User-Agent"],
        )

    return report


def tracing_by(tracing: Tracing, policy: RequestPolicy) -> Variant:
    start_line = RequestStartLine("GET", "/", "HTTP/1.1")
    request = HTTPServerRequest(headers=HEADERS, start_line=start_line)

    def trace() -> None:
        client = policy.client_address(PROXY, HEADERS)
        span = tracing.begin(request, "/", client, REQUEST_ID)
        if span is not None:
            span.end(200)

    return trace


def told(measured: dict[str, list[float]]) -> Iterator[str]:
    for name, spent in measured.items():
        more = sorted(one - none for one, none in zip(spent, measured[NOTHING], strict=True))
        yield f"{name:32} {statistics.median(more):7.2f} µs a request ({more[0]:.2f} to {more[-1]:.2f})"


def main() -> None:
    settings = Settings(log_format="json", trusted_proxies=(ip_network("10.0.0.0/8"),))
    policy = make_policy(settings)
    # What is told goes where it always does; the access lines do not.
    output, sys.stdout = sys.stdout, Path(os.devnull).open("w")  # noqa: SIM115 - open until the process ends
    configure_logs(settings)
    metrics = Metrics(settings)
    every_day: dict[str, Variant] = {
        NOTHING: nothing,
        "metrics": lambda: metrics.observe_request("GET", "/", 200, 0.00123),
        "metrics and access line": reporting(RequestTelemetry(metrics), policy),
    }
    for line in told(asyncio.run(measure(every_day, nothing))):
        print(line, file=output)
    with collector() as endpoint:
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
        tracings = {
            f"traces, {ratio:.0%} sampled": Tracing(settings, Sampling(follows_parent=True, ratio=ratio))
            for ratio in (0, 0.01, 1)
        }

        def export() -> None:
            for tracing in tracings.values():
                tracing._processor.force_flush()

        variants = {name: tracing_by(tracing, policy) for name, tracing in tracings.items()}
        for line in told(asyncio.run(measure({NOTHING: nothing, **variants}, export))):
            print(line, file=output)


if __name__ == "__main__":
    main()
