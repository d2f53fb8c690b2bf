"""What the counter tells of batches whose answers get lost, and of the commands that it sends."""

import pytest
from prometheus_client import CollectorRegistry
from redis.exceptions import BusyLoadingError

from app.counter.metrics import CounterMetrics
from app.redis.pace import LONGEST_PAUSE
from tests.counter.held_network import HeldCounter


def test_visits_are_counted_by_batch_and_those_who_left_are_not_answered(held: HeldCounter) -> None:
    assert held.metric("visits_counted_total") == held.metric("visit_batches_total") == 0
    held.registered()
    stays, leaves = held.come(2)
    leaves.cancel()
    held.deliver()
    assert stays.done()
    assert held.metric("visit_batches_total") == 2
    assert held.metric("visit_batch_size_sum") == 3
    assert held.metric("visit_batch_size_bucket", le="1.0") == 1
    assert held.metric("visits_counted_total") == 2


def test_a_batch_is_in_doubt_once_however_often_it_is_sent_again(held: HeldCounter) -> None:
    held.registered()
    held.come(2)
    for _ in range(2):
        held.break_off(arrived=True)
        held.loop.pass_time(LONGEST_PAUSE)
    assert held.metric("visit_batches_in_doubt_total") == 1
    assert held.metric("visit_batch_resends_total") == 2
    held.deliver()
    assert held.metric("visit_batches_total") == 2
    assert held.metric("visit_writers_given_up_total") == 0


def test_a_batch_that_redis_refused_is_not_in_doubt(held: HeldCounter) -> None:
    held.registered()
    held.come()
    held.answer(BusyLoadingError("LOADING"))
    held.loop.pass_time(LONGEST_PAUSE)
    held.deliver()
    assert held.metric("visit_batches_in_doubt_total") == held.metric("visit_batch_resends_total") == 0
    assert held.metric("visit_batches_total") == 2


def test_a_writer_is_given_up_and_retired(held: HeldCounter) -> None:
    held.registered()
    (visit,) = held.come()
    held.break_off(arrived=False)
    assert held.metric("visit_writers_given_up_total") == 0
    visit.cancel()
    held.loop.pass_time(60.0)
    assert held.metric("visit_writers_given_up_total") == 1
    retired = "redis_command_duration_seconds_count"
    assert held.metric(retired, command="retire") == 0
    held.come()
    held.deliver()
    assert held.metric(retired, command="retire") == 1
    assert held.metric(retired, command="register") == 2


def test_commands_are_told_apart_and_failed_ones_are_timed(held: HeldCounter) -> None:
    name = "redis_command_duration_seconds_count"
    assert held.metric(name, command="read") == held.metric(name, command="count") == 0
    held.registered()
    assert (held.metric(name, command="register"), held.metric(name, command="count")) == (1, 1)
    held.read()
    held.refuse()
    assert held.metric(name, command="read") == 1
    assert held.metric(name, command="check") == 0


@pytest.mark.parametrize(("reason", "label"), [("busy", "busy"), ("a word that nobody knows", "error")])
def test_a_failure_without_a_label_of_its_own_counts_as_an_error(reason: str, label: str) -> None:
    registry = CollectorRegistry()
    CounterMetrics(registry).count_failure(reason)
    assert registry.get_sample_value("redis_failures_total", {"reason": label}) == 1
