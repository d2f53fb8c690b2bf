"""What of an exception may stand in a log: its kind and where it came from, never a value.

Neither locals nor the exception's own words are logged: the words often quote what they complain about (a
UnicodeDecodeError the bytes of a password, a ValueError the URL with one in it), and locals hold everything.
"""

import os
import traceback
from collections.abc import Iterator
from typing import Any

MOST_FRAMES = 30
"""The innermost ones, of each exception."""
MOST_EXCEPTIONS = 10
"""Of a chain or a group."""


def described(error: BaseException) -> list[dict[str, Any]]:
    """Describe an exception, what caused it, and what a group holds, for a log line."""
    seen: list[BaseException] = []
    return [_one(one) for one in _with_causes(error, seen)][:MOST_EXCEPTIONS]


def _with_causes(error: BaseException | None, seen: list[BaseException]) -> Iterator[BaseException]:
    while error is not None and not any(error is known for known in seen) and len(seen) < MOST_EXCEPTIONS:
        seen.append(error)
        yield error
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                yield from _with_causes(inner, seen)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _one(error: BaseException) -> dict[str, Any]:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    frames = traceback.extract_tb(error.__traceback__)[-MOST_FRAMES:]
    told: dict[str, Any] = {
        "type": name,
        "at": [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames],
    }
    if isinstance(error, OSError) and error.errno is not None:
        # The system's own words, which name no value.
        told["errno"] = os.strerror(error.errno)
    return told


def in_lines(descriptions: list[dict[str, Any]]) -> str:
    """Lay descriptions out for a person at a terminal."""
    lines = []
    for told in descriptions:
        lines.append(" ".join(filter(None, (told["type"], told.get("errno")))))
        lines += [f"  {place}" for place in told["at"]]
    return "\n".join(lines)
