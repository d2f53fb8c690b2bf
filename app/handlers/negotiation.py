"""Which of the two formats a client asks for (RFC 9110, section 12.5.1)."""

from functools import lru_cache
from typing import Literal

Format = Literal["html", "json"]

_TYPES: dict[Format, tuple[str, ...]] = {
    "html": ("text/html", "application/xhtml+xml"),
    "json": ("application/json", "application/problem+json"),
}
"""Those of one format, the usual one first: a range with a star speaks of that one."""
LONGEST_KEPT = 256
"""Characters of an Accept header whose answer is kept; browsers send about 100."""


def preferred(accept: str, otherwise: Format) -> Format:
    """Return the format with the higher weight in an Accept header; `otherwise` when it decides nothing."""
    return (_kept if len(accept) <= LONGEST_KEPT else _preferred)(accept) or otherwise


def _preferred(accept: str) -> Format | None:
    ranges: dict[str, float] = {}
    for entry in accept.split(","):
        media_range, *parameters = (part.strip().lower() for part in entry.split(";"))
        ranges[media_range] = max(ranges.get(media_range, 0.0), _weight(parameters))
    html, json = (_weight_of(types, ranges) for types in _TYPES.values())
    if html == json:
        return None
    return "html" if html > json else "json"


_kept = lru_cache(maxsize=64)(_preferred)


def _weight_of(types: tuple[str, ...], ranges: dict[str, float]) -> float:
    """Return the weight of the most specific range that fits: the type itself, then type/*, then */*."""
    named = [ranges[media_type] for media_type in types if media_type in ranges]
    if named:
        return max(named)
    kind = types[0].partition("/")[0]
    return ranges.get(f"{kind}/*", ranges.get("*/*", 0.0))


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                return 0.0
            return weight if 0.0 <= weight <= 1.0 else 0.0
    return 1.0
