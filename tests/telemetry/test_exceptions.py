"""An exception in a log tells its kind and its way, and no value."""

import pytest

from app.telemetry.exceptions import MOST_EXCEPTIONS, MOST_FRAMES, described, in_lines

HELD = "swordfish"


def raised_inside() -> None:
    password = HELD
    try:
        password.encode().decode("utf-16-be")
        (password.encode() + b"\xff").decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"cannot use {password}") from error


def caught() -> Exception:
    try:
        raised_inside()
    except ValueError as error:
        error.add_note(f"the password was {HELD}")
        return error
    raise AssertionError


def test_kind_way_and_cause_without_a_value() -> None:
    told = described(caught())
    assert [one["type"] for one in told] == ["ValueError", "UnicodeDecodeError"]
    assert told[0]["at"][-1].endswith("in raised_inside")
    assert HELD not in repr(told)
    assert HELD not in in_lines(told)
    assert "ValueError\n" in in_lines(told)


def test_a_group_tells_of_each() -> None:
    told = described(ExceptionGroup(HELD, [caught(), OSError(111, HELD)]))
    kinds = ["ExceptionGroup", "ValueError", "UnicodeDecodeError", "ConnectionRefusedError"]
    assert [one["type"].rpartition(".")[2] for one in told] == kinds
    assert told[-1]["errno"] == "Connection refused"
    assert HELD not in repr(told)


def test_a_chain_that_ends_in_itself_and_a_deep_one_end() -> None:
    first, second = ValueError(), KeyError()
    first.__context__, second.__context__ = second, first
    assert [one["type"] for one in described(first)] == ["ValueError", "KeyError"]

    def fall(depth: int) -> None:
        if depth:
            fall(depth - 1)
        raise RecursionError

    with pytest.raises(RecursionError) as deep:
        fall(200)
    assert len(described(deep.value)[0]["at"]) == MOST_FRAMES
    many = ExceptionGroup("", [ValueError() for _ in range(50)])
    assert len(described(many)) == MOST_EXCEPTIONS
