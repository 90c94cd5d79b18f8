"""Shares and rates of events, against the exact intervals of scipy and against the truth."""

import numpy as np
import pytest
from scipy import stats

from bench.stats.proportion import exact, per_attempt, proportion


def test_the_interval_of_independent_yes_and_no_is_scipys_exact_one():
    for n in (1, 7, 100, 2000):
        for hits in (0, 1, n // 3, n - 1, n):
            known = stats.binomtest(hits, n).proportion_ci(0.95, "exact")
            assert exact(hits / n, n) == pytest.approx(tuple(known), rel=1e-9)
            found = proportion(np.arange(n) < hits, np.arange(n))
            assert found.value == pytest.approx(100 * hits / n)
            if n >= 5 and 0 < hits < n:
                assert (found.low, found.high) == pytest.approx(
                    (100 * known.low, 100 * known.high), rel=1e-8
                )


def test_the_interval_of_events_leaves_as_much_on_either_side_as_poissons():
    for events in (1, 4, 50):
        found = per_attempt(events, 10)
        low, high = found.low * 10 / 100, found.high * 10 / 100
        assert stats.poisson.sf(events - 1, low) == pytest.approx(0.025, rel=1e-9)
        assert stats.poisson.cdf(events, high) == pytest.approx(0.025, rel=1e-9)


def test_shares_that_are_all_alike_are_not_believed_to_be_of_as_many_as_they_are():
    """Ten sessions of ten: that none failed may be the luck of ten draws, and not of a hundred."""
    all_well = np.ones(100, bool)
    apart, together = (proportion(all_well, of) for of in (np.arange(100), np.arange(100) // 10))
    assert apart.effective == 100
    assert together.effective == pytest.approx(100 / (1 + 0.2 * 9))
    assert together.low < 95 < apart.low
    alone = proportion(np.arange(100) < 60, np.zeros(100))
    assert alone.effective < 5


def test_a_share_has_its_exact_interval():
    def share(hits, n):
        return proportion(np.arange(n) < hits, np.arange(n))

    assert share(0, 0).value is None
    found = share(95, 100)
    assert found.value == 95
    assert (found.low, found.high) == pytest.approx((88.7165, 98.3566), abs=1e-3)
    assert share(100, 100).low == pytest.approx(96.3783, abs=1e-3)
    assert (share(100, 100).high, share(0, 10).low) == (100, 0)


def test_turns_that_fail_with_their_session_widen_the_interval_of_a_share():
    """A dropped session fails all its turns: coverage of the truth, simulated."""
    rng, truth, covered = np.random.default_rng(7), 0.88, 0
    cluster = np.repeat(np.arange(40), 20)
    for _ in range(200):
        alive = rng.random(40) < truth
        found = proportion(alive[cluster], cluster)
        covered += found.low <= 100 * truth <= found.high
    assert covered >= 180  # of a nominal 190; with turns taken one by one it is about 80


def test_events_per_attempt_may_pass_a_hundred_percent():
    found = per_attempt(15, 10)
    assert found.value == 150
    assert (found.low, found.high) == pytest.approx((83.95, 247.4), abs=0.1)
    assert per_attempt(0, 10).low == 0
    assert per_attempt(0, 0).value is None
