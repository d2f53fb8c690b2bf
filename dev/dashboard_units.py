"""Numbers as Grafana writes them."""

from collections.abc import Callable, Sequence
from typing import Any

MIB = 2.0**20


def shortened(number: float) -> str:
    """With three digits at most: 0.25, 3, 12k."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{suffix}"
    return f"{number:.3g}"


def seconds(number: float) -> str:
    return f"{number:.3g} s" if number >= 1 or number == 0 else f"{number * 1000:.3g} ms"


Writer = Callable[[float], str]
UNITS: dict[str, Writer] = {
    "short": shortened,
    "reqps": lambda number: f"{shortened(number)} req/s",
    "ops": lambda number: f"{shortened(number)} ops/s",
    "s": seconds,
    "percentunit": lambda number: f"{number:.3%}".rstrip("0%").rstrip(".") + " %" if number else "0 %",
    "bytes": lambda number: f"{number / MIB:.3g} MiB",
}
"""Grafana's units, as it writes them."""


def most(series: Sequence[dict[str, Any]], *, is_stacked: bool) -> float:
    """The highest number of all, or of all that are on top of each other."""
    at: dict[float, float] = {}
    for one in series:
        for moment, value in one["values"]:
            at[moment] = (
                (at.get(moment, 0) + (value or 0)) if is_stacked else max(at.get(moment, 0), value or 0)
            )
    return max(at.values(), default=0)
