"""What the counter tells whoever follows visits on their way. It knows nothing of how that is done."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol


class BatchTrace(Protocol):
    """One batch on its way."""

    def end(self, *, counted: bool) -> None:
        """Hear that it is settled."""


class Traces(Protocol):
    """Asked in the task of a visit for what it is known by, and told of batches in theirs."""

    def visit(self) -> object | None:
        """Return what the present visit is known by, None if nobody follows it."""

    def batch(self, size: int, visits: Sequence[object]) -> AbstractContextManager[BatchTrace]:
        """Follow a batch of so many visits; `visits` are those of them that are followed themselves."""
