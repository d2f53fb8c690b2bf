"""Which of the two formats a client asks for (RFC 9110, section 12.5.1)."""

from typing import Literal

Format = Literal["html", "json"]

_TYPES: dict[str, Format] = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "application/json": "json",
    "application/problem+json": "json",
}


def preferred(accept: str, otherwise: Format) -> Format:
    """Return the format with the higher weight in an Accept header; `otherwise` when it decides nothing."""
    weights: dict[Format, float] = {"html": 0.0, "json": 0.0}
    for entry in accept.split(","):
        media_type, *parameters = (part.strip().lower() for part in entry.split(";"))
        if media_type in _TYPES:
            name = _TYPES[media_type]
            weights[name] = max(weights[name], _weight(parameters))
    if weights["html"] == weights["json"]:
        return otherwise
    return "html" if weights["html"] > weights["json"] else "json"


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
