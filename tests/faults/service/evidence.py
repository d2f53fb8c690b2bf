"""What shows that a fault struck, asked of the very thing that it struck."""

from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from tests.faults.service.redis_proxy import RedisProxy
from tests.faults.service.redis_servers import Server
from tests.service import Service


@dataclass(frozen=True)
class Evidence:
    """Something that happens when the fault strikes, and how often it has happened so far."""

    what: str
    count: Callable[[], int]


def starts(server: Server) -> Evidence:
    """As the server's own log tells."""
    log = server.folder / "valkey.log"
    return Evidence("Redis started again", lambda: log.read_text().count("Ready to accept connections"))


def stops(server: Server) -> Evidence:
    """As the kernel saw it, see Server.pause."""
    return Evidence("Redis stood still", lambda: server.pauses)


def promotion(replica: Server) -> Evidence:
    return Evidence("replica promoted", lambda: int(replica.is_master()))


def error_replies(server: Server, code: str) -> Evidence:
    """Errors that the server answered with, by its own count since it started."""

    def count() -> int:
        told = server.info("errorstats").get(f"errorstat_{code}", {"count": 0})
        return int(told["count"])

    return Evidence(f"Redis said {code}", count)


def failures(service: Service, reason: str) -> Evidence:
    """Commands and pings that failed, by the service's own count."""
    return Evidence(
        f"the service noted «{reason}»",
        lambda: sum_of_samples(service, "redis_failures_total", reason=reason),
    )


def refusals(service: Service) -> Evidence:
    """Requests that reached no handler, by the service's own count."""
    return Evidence("requests refused", lambda: requests(service, route="refused"))


def requests(service: Service, **labels: str) -> int:
    """Requests that were answered so far, by the service's own count."""
    return sum_of_samples(service, "http_request_duration_seconds_count", **labels)


def trouble(proxy: RedisProxy, what: str) -> Evidence:
    """What the network between the service and Redis did."""
    return Evidence(what, lambda: proxy.strikes[what])


def end(service: Service, code: int) -> Evidence:
    """The process has ended with this code, or by this signal if it is negative."""
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return Evidence(f"ended with {how}", lambda: int(service.process.poll() == code))


def sum_of_samples(service: Service, name: str, **labels: str) -> int:
    return int(
        sum(
            sample.value
            for family in text_string_to_metric_families(service.metrics())
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )
    )
