"""What the comparison of answers with the counter lets pass, and what not."""

import pytest

from tests.faults.service.balance import balance
from tests.visitors import BROKEN, HUNG, Visit


def shown(number: int, began: float, ended: float) -> Visit:
    return Visit(began, ended, 200, number)


def failed(began: float, ended: float, status: int = 503) -> Visit:
    return Visit(began, ended, status)


FIVE = [shown(number, number, number + 0.5) for number in range(1, 6)]


def test_every_count_was_shown_to_somebody() -> None:
    assert balance([FIVE], 5) == (0, 0)


@pytest.mark.parametrize("visit", [shown(6, 6, 6.5), shown(5, 6, 6.5), shown(0, 6, 6.5)])
def test_answered_but_not_in_the_counter(visit: Visit) -> None:
    assert balance([[*FIVE, visit]], 5) == (1, 0)


def test_a_count_without_a_visit() -> None:
    assert balance([FIVE], 7) == (0, 2)
    assert balance([FIVE], 7, others=2) == (0, 0)


WITHOUT_3 = [visit for visit in FIVE if visit.number != 3]


@pytest.mark.parametrize(
    ("visit", "explains"),
    [
        (failed(2.9, 3.4), True),
        (failed(1.9, 5.9), True),
        # Already when it came the counter was beyond.
        (failed(4.6, 4.7), False),
        (failed(4.6, 4.7, status=BROKEN), False),
        # It failed before number 2 was asked for, on the same process.
        (failed(1.6, 1.9), False),
        # Without an answer it may be under way for long.
        (failed(1.6, 1.9, status=BROKEN), True),
        (failed(1.6, 1.9, status=HUNG), True),
    ],
)
def test_a_visit_explains_a_number_of_its_time(visit: Visit, *, explains: bool) -> None:
    assert balance([[*WITHOUT_3, visit]], 5) == (0, 0 if explains else 1)


def test_a_visit_to_another_process_may_be_counted_after_it_failed() -> None:
    assert balance([WITHOUT_3, [failed(1.6, 1.9)]], 5) == (0, 0)


def test_a_visit_explains_one_number() -> None:
    between = [visit for visit in FIVE if visit.number in {1, 5}]
    assert balance([[*between, failed(2, 4)]], 5) == (0, 2)
    # The one that has no choice is used first, however they stand.
    narrow, wide = failed(1.1, 1.2), failed(0, 4)
    without_2_and_4 = [visit for visit in FIVE if visit.number in {1, 3, 5}]
    assert balance([[*without_2_and_4, wide, narrow]], 5) == (0, 0)
    assert balance([[*without_2_and_4, narrow, narrow]], 5) == (0, 1)
