"""Minutes of load, two hundred sessions, thousands of simulated runs (`make test-slow`)."""

import pytest

from tests.benchmarks import bench_calibration, bench_statistics
from tests.benchmarks.soak import GROWTH, grown

pytestmark = [pytest.mark.live, pytest.mark.slow]


def held(rows):
    """Every row of a benchmark, shown; and those that do not hold."""
    for what, measured, bound, holds in rows:
        print(f"{'ok  ' if holds else 'OVER'} {measured:8.2f} (bound {bound:g})  {what}")  # noqa: T201
    return [what for what, *_, holds in rows if not holds]


def test_memory_of_a_worker_is_flat_over_three_minutes_of_fifty_sessions():
    """Guards against whatever a worker keeps of a session that is over."""
    growth, code, sentence = grown(3, 50)
    assert code == 0
    assert growth <= GROWTH, sentence


def test_stamps_and_figures_are_as_true_at_two_hundred_sessions():
    """Guards the claim that the harness's own error does not grow with its load."""
    assert held(bench_calibration.benchmark((200,), 15)) == []


def test_decisions_are_wrong_as_seldom_as_they_say():
    """Guards false alarms, power and coverage of comparisons, gates, looks and histories."""
    assert held(bench_statistics.simulations()) == []
