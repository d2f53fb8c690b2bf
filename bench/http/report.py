"""The tables of docs/speed.md, from the raw results."""

import statistics
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

SHORT = (
    "**Short run**: one round of a few seconds, to see that everything works. These are no figures to "
    "compare by; `make bench-http` without `SHORT=1` makes them."
)
Run = dict[str, Any]


class Markers(NamedTuple):
    """Two comments in a document; what is made stands between them."""

    begin: str
    end: str


MARKERS = Markers("<!-- made by `make bench-http` -->", "<!-- end of what is made -->")


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def spread(values: list[float], digits: int) -> str:
    """Return the median, with the least and the most where there are several."""
    middle = number(median(values), digits)
    if len(values) == 1:
        return middle
    return f"{middle} ({number(min(values), digits)} to {number(max(values), digits)})"


def number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}".replace(",", " ")


def of_endpoint(server: dict[str, Any], endpoint: str, what: str) -> list[float]:
    """Return a figure of each round; nothing where a limit has no such endpoint."""
    return [run["endpoints"][endpoint][what] for run in server["runs"] if endpoint in run["endpoints"]]


def endpoints(raw: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(name for server in raw["servers"] for name in server["runs"][0]["endpoints"]))


def fastest_first(raw: dict[str, Any], endpoint: str) -> list[dict[str, Any]]:
    """Return the servers that have an endpoint, those with duties first."""
    measured = [server for server in raw["servers"] if of_endpoint(server, endpoint, "requests_a_second")]
    return sorted(
        measured,
        key=lambda server: (
            server["kind"] == "limit",
            -median(of_endpoint(server, endpoint, "requests_a_second")),
        ),
    )


def named(server: dict[str, Any]) -> str:
    name = str(server["name"])
    if server["kind"] == "service":
        return f"**{name}**"
    return f"{name} (a limit: no duties)" if server["kind"] == "limit" else name


def table(heads: list[str], rows: Iterable[list[str]]) -> str:
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def endpoint_table(raw: dict[str, Any], endpoint: str) -> str:
    columns: list[tuple[str, str, int]] = [
        ("requests a second", "requests_a_second", 0),
        ("median, ms", "p50_ms", 1),
        ("p99, ms", "p99_ms", 1),
        ("CPU a request, µs", "cpu_us", 0),
        ("Redis commands a visit", "commands", 2),
    ]
    rows = [
        [
            named(server),
            *(spread(of_endpoint(server, endpoint, what), digits) for _, what, digits in columns),
        ]
        for server in fastest_first(raw, endpoint)
    ]
    return f"`{endpoint}`\n\n{table(['', *(head for head, _, _ in columns)], rows)}"


def process_table(raw: dict[str, Any]) -> str:
    columns: list[tuple[str, Callable[[Run], float], int]] = [
        ("idle, MB", lambda run: run["idle_mb"], 1),
        ("after the load, MB", lambda run: run["loaded_mb"], 1),
        ("start to first 200, s", lambda run: run["ready_seconds"], 2),
    ]
    rows = [
        [
            named(server),
            *(spread([of(run) for run in server["runs"]], digits) for _, of, digits in columns),
            ", ".join(f"{name} {version}" for name, version in server["versions"].items()),
        ]
        for server in raw["servers"]
    ]
    heads = ["", *(head for head, _, _ in columns), "versions"]
    return f"The processes\n\n{table(heads, rows)}"


def conditions(raw: dict[str, Any]) -> str:
    machine, load = raw["machine"], raw["load"]
    several = load["rounds"] > 1
    times = f"{load['rounds']} rounds" if several else "One round"
    values = "; medians, with the least and the most of the rounds in brackets" * several
    return (
        f"{times} of {load['seconds']} s for each endpoint after 1 s of warming up; wrk {load['wrk']}, "
        f"{load['connections']} connections{values}. "
        f"{machine['cpu']}, {machine['cores']} cores "
        f"(load average before: {machine['load_average_before']}), Linux {machine['kernel']}, "
        f"Valkey {raw['valkey']['version']}, {raw['date']}. "
        f"Redis' own limit here: {spread(raw['valkey']['incr_a_second'], 0)} INCR a second, pipelined."
    )


def report(raw: dict[str, Any]) -> str:
    """Return the tables with what they were measured on."""
    parts = [endpoint_table(raw, endpoint) for endpoint in endpoints(raw)]
    parts += [process_table(raw), f"{conditions(raw)}\n"]
    return "\n".join([f"{SHORT}\n"] * raw["short"] + parts)


def put_between_markers(document: Path, text: str, markers: Markers) -> None:
    """Replace what a document has between two markers. Raises ValueError where it has none."""
    before, begin, rest = document.read_text().partition(markers.begin)
    _, end, after = rest.partition(markers.end)
    if not begin or not end:
        raise ValueError(
            f"{document} lacks '{markers.begin}' or, after it, '{markers.end}': "
            "put them where the tables belong"
        )
    document.write_text(f"{before}{markers.begin}\n\n{text}\n{markers.end}{after}")
