"""The estimators, against what others compute and against the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plan.gates import QUANTILES, needed
from bench.stats.proportion import proportion
from bench.stats.quantile import Sample, estimates, woodruff
from tests.examples import examples


def sample(values, cluster=None, censored=()):
    values = np.array(values, float)
    waits = np.zeros(len(values), bool)
    waits[list(censored)] = True
    return Sample(values, waits, np.arange(len(values)) if cluster is None else np.array(cluster))


@examples(100)
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


def test_turns_of_a_session_that_are_alike_are_worth_hardly_more_than_their_sessions():
    of = np.repeat(np.arange(20), 10)
    alike = estimates(sample(np.arange(20.0).repeat(10), of), QUANTILES)["p50"]
    assert (alike.n, alike.effective) == (200, 20)
    apart = estimates(sample(np.random.default_rng(2).normal(size=200), of), QUANTILES)["p50"]
    assert 100 < apart.effective <= 200
    assert 20 < proportion(np.arange(200) % 7 == 0, of).effective <= 200
    assert proportion(np.arange(20).repeat(10) < 10, of).effective == pytest.approx(19)
    assert estimates(sample([1.0, 2.0]), QUANTILES)["max"].effective is None


def test_the_least_wait_is_not_known_where_somebody_gave_up_sooner():
    found = estimates(sample([1000, 1500, 2000], censored=[0]), QUANTILES)["min"]
    assert (found.value, found.low, found.high) == (1500, 1000, 1500)
    found = estimates(sample([1000, 1500, 2000], censored=[1]), QUANTILES)["min"]
    assert (found.value, found.low, found.high) == (1000, None, None)


def test_a_single_session_gives_no_interval():
    found = estimates(sample([1, 2, 3], [7, 7, 7]), QUANTILES)
    assert (found["p50"].value, found["p50"].low, found["p50"].high) == (2, None, None)


def test_no_samples_give_no_value():
    found = estimates(sample([]), QUANTILES)
    assert {estimate.value for estimate in found.values()} == {None}
    assert {estimate.n for estimate in found.values()} == {0}


def test_only_waits_without_an_end_are_beyond_every_sample_and_no_lack_of_data():
    every = estimates(sample([5, 6], censored=[0, 1]), QUANTILES)
    assert every["p50"] == (np.inf, 5, np.inf, 2, 2, 6)
    # Who gave up at 5 might have been answered at 5.5: of these nobody knows that they are above 6.
    assert every["min"] == every["mean"] == (np.inf, 5, np.inf, 2, 2, None)


def test_an_interval_reaches_as_far_as_the_exact_binomial_on_effective_samples():
    """Bootstraps know nothing of the tail that they did not see (flaw F20)."""
    quick = estimates(sample(np.linspace(600, 700, 59)), QUANTILES)
    assert (quick["p95"].high, quick["p99"].high) == (700, np.inf)
    assert estimates(sample(np.linspace(600, 700, 58)), QUANTILES)["p95"].high == np.inf
    late = [*np.linspace(600, 700, 92), 900]
    assert estimates(sample(late), QUANTILES)["p95"].high < 900  # 93 with one over: enough
    assert estimates(sample([*late[5:-1], 900]), QUANTILES)["p95"].high == 900  # 88 with one


def test_turns_that_are_alike_within_their_session_are_not_so_many_samples():
    rng = np.random.default_rng(5)
    cluster = np.repeat(np.arange(10), 10)
    alike = estimates(sample(rng.normal(700, 100, 10)[cluster], cluster), QUANTILES)
    apart = estimates(sample(rng.normal(700, 100, 100), cluster), QUANTILES)
    assert alike["p95"].high == np.inf
    assert np.isfinite(apart["p95"].high)
    two = estimates(sample(rng.normal(700, 10, 300), np.arange(300) % 2), QUANTILES)
    assert two["p90"].high == np.inf  # from two sessions nothing is known of others


def test_a_wait_without_an_end_beyond_all_samples_pushes_the_quantiles_up():
    values = [*range(1, 100), 1000]
    found = estimates(sample(values, censored=[99]), QUANTILES)
    assert found["p50"].value == np.quantile(values, 0.5)
    assert found["p95"].value == pytest.approx(np.quantile(values, 0.95))
    assert found["p99.9"].value == np.inf
    assert found["p99.9"].high == np.inf
    assert (found["p99.9"].longest, found["p50"].longest) == (1000, None)
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


def test_samples_needed_are_those_of_the_exact_binomial():
    assert [needed(QUANTILES[name]) for name in ("p50", "p90", "p95", "p99")] == [5, 29, 59, 299]
