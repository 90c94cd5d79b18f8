"""Quantiles of waits never answered, against the survival functions of scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.stats.survival import in_order, quantiles_of, survival
from tests.examples import examples

WAITS = st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=1, max_size=60)


def ordered(waits):
    values, censored = (np.array(column) for column in zip(*waits, strict=True))
    order = in_order(values, censored)
    return values[order].astype(float), censored[order].astype(bool)


def once(values):
    return np.ones((len(values), 1), np.int32)


@examples(150)
@given(WAITS)
def test_the_share_that_waits_on_is_scipys(waits):
    values, censored = ordered(waits)
    if censored.all():
        return
    oracle = stats.ecdf(stats.CensoredData(values[~censored], right=values[censored])).sf
    mine = survival(once(values), censored)[:, 0]
    last = np.searchsorted(values, oracle.quantiles, "right") - 1
    np.testing.assert_allclose(mine[last], oracle.probabilities, rtol=1e-12, atol=1e-15)


@examples(150)
@given(WAITS, st.integers(0, 2**32))
def test_a_weight_is_as_many_samples(waits, seed):
    values, censored = ordered(waits)
    weights = np.random.default_rng(seed).integers(1, 4, len(values)).astype(np.int32)
    many, ends = values.repeat(weights), censored.repeat(weights)
    last = np.cumsum(weights) - 1
    mine = survival(weights[:, None], censored)[:, 0]
    np.testing.assert_allclose(mine, survival(once(many), ends)[last, 0], rtol=1e-12, atol=1e-15)


@examples(150)
@given(WAITS)
def test_a_quantile_lies_where_scipys_curve_passes_its_place(waits):
    values, censored = ordered(waits)
    if censored.all():
        return
    asked = np.array([0.0, 0.25, 0.5, 0.9, 1.0])
    found = quantiles_of(once(values), values, censored, asked)[0]
    curve = stats.ecdf(stats.CensoredData(values[~censored], right=values[censored])).cdf
    count, n = curve.probabilities * len(values), len(values)
    for q, value in zip(asked, found, strict=True):
        place = q * (n - 1)
        lower = np.floor(place + 1e-9)
        ends = [
            curve.quantiles[np.argmax(above)] if (above := count > at + 1e-6).any() else np.inf
            for at in (lower, lower + 1)
        ]
        share = max(0.0, place - lower)
        expected = ends[0]
        if share >= 1e-9:
            expected = ends[0] + (ends[1] - ends[0]) * share if np.isfinite(ends[1]) else np.inf
        assert value == pytest.approx(expected, rel=1e-12)


@given(WAITS)
def test_without_censored_waits_it_is_numpys_quantile(waits):
    values, _ = ordered(waits)
    asked = np.array([0.0, 0.1, 0.5, 0.95, 1.0])
    found = quantiles_of(once(values), values, np.zeros(len(values), bool), asked)[0]
    np.testing.assert_allclose(found, np.quantile(values, asked), rtol=1e-12)


def test_a_weighting_that_holds_nothing_has_no_hazard():
    left = survival(np.zeros((2, 1), np.int32), np.array([False, True]))
    assert left[:, 0].tolist() == [1.0, 1.0]
