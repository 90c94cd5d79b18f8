"""The estimators, against what others compute and against the truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.quantile import (
    Sample,
    estimates,
    needed,
    per_attempt,
    proportion,
    woodruff,
)
from bench.plan.gates import QUANTILES


def sample(values, cluster=None, censored=()):
    values = np.array(values, float)
    waits = np.zeros(len(values), bool)
    waits[list(censored)] = True
    return Sample(values, waits, np.arange(len(values)) if cluster is None else np.array(cluster))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e4, 1e6), min_size=1, max_size=50))
def test_a_quantile_is_numpys_default(values):
    found = estimates(sample(values, [0] * len(values)), QUANTILES)
    for name, q in QUANTILES.items():
        assert found[name].value == pytest.approx(np.quantile(values, q), abs=1e-6)
    assert found["mean"].value == pytest.approx(np.mean(values))
    assert (found["min"].value, found["max"].value) == (min(values), max(values))
    assert found["p50"].n == len(values)


def test_the_interval_holds_the_value_and_is_the_same_every_time():
    rng = np.random.default_rng(1)
    draw = sample(rng.lognormal(6, 0.3, 200), np.repeat(np.arange(20), 10))
    once, again = estimates(draw, QUANTILES), estimates(draw, QUANTILES)
    assert once == again
    for name in ("p50", "p95", "mean"):
        assert once[name].low < once[name].value < once[name].high


def test_a_single_session_gives_no_interval():
    found = estimates(sample([1, 2, 3], [7, 7, 7]), QUANTILES)
    assert (found["p50"].value, found["p50"].low, found["p50"].high) == (2, None, None)


def test_no_samples_give_no_value():
    found = estimates(sample([]), QUANTILES)
    assert {estimate.value for estimate in found.values()} == {None}
    assert {estimate.n for estimate in found.values()} == {0}


def test_only_waits_without_an_end_give_no_value():
    assert estimates(sample([5, 6], censored=[0, 1]), QUANTILES)["p50"] == (None, None, None, 0)


def test_a_wait_without_an_end_beyond_all_samples_pushes_the_quantiles_up():
    values = [*range(1, 100), 1000]
    found = estimates(sample(values, censored=[99]), QUANTILES)
    assert found["p50"].value == np.quantile(values, 0.5)
    assert found["p95"].value == pytest.approx(np.quantile(values, 0.95))
    assert found["p99.9"].value == np.inf
    assert found["p99.9"].high == np.inf
    assert found["mean"].value == found["max"].value == np.inf
    assert found["min"].value == 1


def test_a_wait_cut_short_early_is_spread_over_what_came_later():
    """Kaplan and Meier, by hand: of 1, (2), 3, 4 the survival after 1 is 3/4, after 3 it is 3/8."""
    found = estimates(sample([1, 2, 3, 4], censored=[1]), {"p50": 0.5, "p10": 0.1})
    # Expected counts at or below: 1, 1, 2.5, 4. The median is at place 1.5: 3 holds places 1 and 2.
    assert found["p50"].value == pytest.approx(3)
    assert found["p10"].value == pytest.approx(1 + 0.3 * 2)


def test_sessions_are_drawn_whole_because_their_turns_resemble_each_other():
    """A/A: the interval of the median misses the truth about 5 times in 100, not 30."""
    rng, misses, rounds = np.random.default_rng(3), 0, 120
    cluster = np.repeat(np.arange(50), 10)
    for _ in range(rounds):
        # Correlation 0.5 within a session; the true median is 0.
        values = rng.normal(size=50)[cluster] + rng.normal(size=500)
        found = estimates(sample(values, cluster), {"p50": 0.5})["p50"]
        misses += not found.low <= 0 <= found.high
    assert misses / rounds <= 0.13  # 5 % and three standard errors and a little


def test_the_cheap_interval_for_many_samples_keeps_its_promise_too():
    rng, misses, rounds = np.random.default_rng(4), 0, 200
    cluster = np.repeat(np.arange(50), 40)
    for _ in range(rounds):
        values = rng.normal(size=50)[cluster] + rng.normal(size=2000)
        found = woodruff(values, cluster, {"p50": 0.5})["p50"]
        misses += not found.low <= 0 <= found.high
    assert misses / rounds <= 0.12


def test_the_cheap_estimator_has_the_same_values():
    rng = np.random.default_rng(5)
    values, cluster = rng.exponential(size=1000), rng.integers(0, 9, 1000)
    cheap, whole = (
        woodruff(values, cluster, QUANTILES),
        estimates(sample(values, cluster), QUANTILES),
    )
    for name in (*QUANTILES, "mean", "min", "max"):
        assert cheap[name].value == pytest.approx(whole[name].value)
        assert cheap[name].n == 1000
    assert cheap["p50"].low < cheap["p50"].value < cheap["p50"].high
    assert woodruff(values, np.zeros(1000, int), QUANTILES)["p50"].low is None
    assert woodruff(np.zeros(0), np.zeros(0, int), QUANTILES)["p50"].value is None


def test_a_share_has_its_exact_interval():
    assert proportion(0, 0).value is None
    found = proportion(95, 100)
    assert found.value == 95
    assert (found.low, found.high) == pytest.approx((88.7165, 98.3566), abs=1e-3)
    assert proportion(100, 100).low == pytest.approx(96.3783, abs=1e-3)
    assert (proportion(100, 100).high, proportion(0, 10).low) == (100, 0)


def test_events_per_attempt_may_pass_a_hundred_percent():
    found = per_attempt(15, 10)
    assert found.value == 150
    assert (found.low, found.high) == pytest.approx((83.95, 247.4), abs=0.1)
    assert per_attempt(0, 10).low == 0
    assert per_attempt(0, 0).value is None


def test_samples_needed_are_those_of_the_exact_binomial():
    assert [needed(QUANTILES[name]) for name in ("p50", "p90", "p95", "p99")] == [5, 29, 59, 299]
