"""What the service is for, as everything around it knows it: a team replaces this and keeps the rest."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from app.handlers.routes import Route
from app.health import Check


@dataclass(frozen=True)
class Feature:
    """Made by one function, which app/server.py names in one place."""

    routes: Sequence[Route]
    """Served beside the probes and /version. Their handlers raise Unavailable for what is not there."""
    needs: str
    """What it cannot do without, in a word for probes and logs."""
    check: Check
    reasons: Collection[str]
    """Every word with which `check` may say why not: the label of a metric, which is to have few values."""
    settle: Sequence[Callable[[], Awaitable[None]]]
    """Awaited at the end of a drain, when nothing is in flight: what requests may have left unfinished."""
    aclose: Callable[[], Awaitable[None]]
