"""One word for every error."""

from pathlib import Path

import pytest
from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterError,
    ConnectionError as RedisConnectionError,
    DataError,
    InvalidResponse,
    NoPermissionError,
    ReadOnlyError,
    RedisClusterException,
    ResponseError,
    TimeoutError as RedisTimeoutError,
)
from structlog.testing import capture_logs

from app.redis.failures import MENDS_ITSELF, NOTHING_APPLIED, failure_reason

MISLEADING = ["overflow", "not an integer", "OOM", "READONLY"]


@pytest.mark.parametrize("words", MISLEADING)
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (RedisConnectionError, "connection"),
        (RedisTimeoutError, "timeout"),
        (TimeoutError, "timeout"),
        (ConnectionResetError, "connection"),
        (RedisClusterException, "connection"),
        (AuthenticationError, "authentication"),
        (BusyLoadingError, "loading"),
        (InvalidResponse, "protocol"),
        (DataError, "error"),
        (RuntimeError, "error"),
    ],
)
def test_words_that_are_not_redis_own_mean_nothing(kind: type[Exception], reason: str, words: str) -> None:
    """They may be a host's name or a path. 'Nothing was applied' would be a false and a costly conclusion."""
    for text in (words, f"Error 111 connecting to {words}:6379.", f"no such file: /run/{words} /ca.pem"):
        assert failure_reason(kind(text)) == reason


def test_a_lost_connection_may_have_been_applied(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="overflow") as raised:
        (tmp_path / "overflow").read_text()
    assert failure_reason(raised.value) == "connection"
    for reason in ("connection", "protocol", "timeout", "error", "refused command"):
        assert reason not in NOTHING_APPLIED


def on_top_of(*errors: Exception) -> BaseException:
    """Return the last, as if each had been raised while the one before it was handled."""
    raised: BaseException | None = None
    for error in errors:
        error.__context__ = raised
        raised = error
    assert raised is not None
    return raised


def test_only_what_is_made_of_the_reply_itself_is_read_only() -> None:
    """Another connection that broke later may have carried what was applied."""
    refused, broken, lost = ReadOnlyError("You can't"), RedisConnectionError("a replica"), OSError("reset")
    assert failure_reason(on_top_of(refused, broken)) == "read only"
    assert failure_reason(on_top_of(refused, lost, broken)) == "connection"
    assert failure_reason(on_top_of(refused, RedisTimeoutError("late"))) == "timeout"
    assert failure_reason(on_top_of(refused, lost)) == "connection"


def test_a_cluster_that_let_nobody_in_had_a_reason() -> None:
    """Only where it is that people must help: all else is a node that is out of reach."""
    no_cluster, unreachable = RedisClusterException("not enabled"), RedisClusterException("unreachable")
    for refused in (AuthenticationError("invalid"), NoPermissionError("no permissions")):
        assert failure_reason(on_top_of(refused, no_cluster, unreachable)) == "authentication"
    for other in (OSError("reset"), ResponseError("ERR no cluster"), RedisTimeoutError("late")):
        assert failure_reason(on_top_of(other, no_cluster, unreachable)) == "connection"


def test_a_cluster_that_sent_us_around_too_often_applied_nothing() -> None:
    reason = failure_reason(ClusterError("TTL exhausted."))
    assert reason == "slot is moving"
    assert reason in NOTHING_APPLIED & MENDS_ITSELF


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("value is not an integer or out of range", "not an integer"),
        ("increment or decrement would overflow", "overflow"),
        ("OOM command not allowed when used memory > 'maxmemory'.", "out of memory"),
        ("NOREPLICAS Not enough good replicas to write.", "too few replicas"),
        ("MISCONF Errors writing to the AOF file", "cannot persist"),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", "not an integer"),
        # Redis 6.2, of a script.
        ("Error running script (call to f_1): @user_script:9: -OOM command not allowed", "out of memory"),
        # As a part of another word it says nothing.
        ("ROOMY is no code", "refused command"),
    ],
)
def test_replies_are_told_by_their_words(text: str, reason: str) -> None:
    assert failure_reason(ResponseError(text)) == reason


def test_a_user_without_a_right_has_an_authentication_problem() -> None:
    assert failure_reason(NoPermissionError("this user has no permissions")) == "authentication"
    sentinels = MasterNotFoundError("No master found for 'mymaster' : a:1 - AuthenticationError()")
    assert failure_reason(sentinels) == "authentication"
    assert failure_reason(MasterNotFoundError("No master found for 'mymaster'")) == "connection"


def test_an_error_that_nobody_expects_is_logged() -> None:
    with capture_logs() as logs:
        assert failure_reason(RedisConnectionError("lost")) == "connection"
        assert logs == []
        unexpected = KeyError("what")
        assert failure_reason(unexpected) == "error"
    assert [(line["event"], line["exc_info"]) for line in logs] == [("unexpected error", unexpected)]
