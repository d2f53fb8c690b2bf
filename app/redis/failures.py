"""What Redis' errors mean: a word for people and metrics, and whether the command may have been applied."""

import re

import structlog
from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ClusterError,
    ConnectionError as RedisConnectionError,
    InvalidResponse,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TimeoutError as RedisTimeoutError,
    TryAgainError,
)

log = structlog.get_logger(__name__)

REDIS_TROUBLE = (RedisError, RedisClusterException, OSError, TimeoutError)
"""What a command may raise when Redis, the network or the data is at fault."""

NOT_AN_INTEGER = "not an integer"
OVERFLOW = "overflow"
REFUSED_COMMAND = "refused command"
UNEXPECTED = "error"

REASONS: dict[str, str] = {
    "LOADING": "loading",
    "READONLY": "read only",
    "MASTERDOWN": "master down",
    "CLUSTERDOWN": "cluster down",
    "TRYAGAIN": "slot is moving",
    "BUSY": "busy",
    "NOREPLICAS": "too few replicas",
    "OOM": "out of memory",
    "MISCONF": "cannot persist",
    "NOAUTH": "authentication",
    "WRONGPASS": "authentication",
    "NOPERM": "authentication",
    "WRONGTYPE": NOT_AN_INTEGER,
}
"""By the code that an error reply begins with. Redis 6.2 wraps a script's errors: it may stand further on."""

NOTHING_APPLIED = frozenset(REASONS.values()) | {OVERFLOW}
"""Replies that Redis gives instead of running a command, or at a script's first write: nothing changed."""

MENDS_ITSELF = frozenset(
    {
        "connection",
        "protocol",
        "timeout",
        "loading",
        "read only",
        "master down",
        "cluster down",
        "slot is moving",
        "busy",
        "too few replicas",
    }
)
"""What may pass while a visitor waits. The rest takes a person, so the visitor is told at once."""

ELSEWHERE = frozenset(
    {"connection", "protocol", "timeout", "read only", "authentication", "master down", "too few replicas"}
)
"""Another server, or another password, may be right by now: only a new connection finds out. When a node of a
Cluster dies or hangs, redis-py itself does not always look for its successor: not after a command of several
keys such as DEL, and not after one that our own timeout ended."""

_CODE = re.compile(rf"(?:^|\s-?)({'|'.join(REASONS)})\b")

_REFUSALS = (AuthenticationError, NoPermissionError)
_CLASSES: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    ((RedisTimeoutError, TimeoutError), "timeout"),
    (_REFUSALS, "authentication"),
    (BusyLoadingError, "loading"),
    (ReadOnlyError, "read only"),
    (MasterDownError, "master down"),
    (ClusterDownError, "cluster down"),
    (TryAgainError, "slot is moving"),
    (OutOfMemoryError, "out of memory"),
    # redis-py followed MOVED, ASK and TRYAGAIN until it had enough: replies, so nothing was applied.
    (ClusterError, "slot is moving"),
    ((RedisConnectionError, RedisClusterException, OSError), "connection"),
    (InvalidResponse, "protocol"),
)

FAILURES = frozenset(
    {*REASONS.values(), *(word for _, word in _CLASSES), OVERFLOW, REFUSED_COMMAND, UNEXPECTED}
)
"""All that `failure_reason` may say."""


def failure_reason(error: BaseException) -> str:
    """Name what went wrong, in a small fixed set of words that suit a metric's label and a probe's answer.

    An error that nobody expects is logged, so that somebody learns of it.
    """
    error = _reply_behind(error)
    if isinstance(error, ResponseError):
        # Only here the words are Redis': other errors quote host names and paths.
        text = str(error)
        if NOT_AN_INTEGER in text:
            return NOT_AN_INTEGER
        if "overflow" in text:
            return OVERFLOW
        if "ACL failure in script" in text:
            return "authentication"
        if code := _CODE.search(text):
            return REASONS[code[1]]
    # Why each Sentinel gave no answer is told in this text alone.
    if isinstance(error, MasterNotFoundError) and AuthenticationError.__name__ in str(error):
        return "authentication"
    named = next((word for kind, word in _CLASSES if isinstance(error, kind)), None)
    if named is None and isinstance(error, ResponseError):
        named = REFUSED_COMMAND
    if named is None:
        log.error("unexpected error", exc_info=error)
    return named or UNEXPECTED


def _reply_behind(error: BaseException) -> BaseException:
    """Return the reply of which redis-py made an error of another kind; if there is none, the error."""
    # READONLY, where Sentinels say who is the master. The one is raised right upon the other: a connection
    # that did break has another error there.
    if isinstance(error, RedisConnectionError) and isinstance(error.__context__, ReadOnlyError):
        return error.__context__
    # No node of a Cluster told its slots, and before them no command is sent.
    if isinstance(error, RedisClusterException):
        behind: BaseException | None = error
        while behind is not None:
            if isinstance(behind, _REFUSALS):
                return behind
            behind = behind.__cause__ or behind.__context__
    return error
