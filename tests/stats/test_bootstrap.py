"""The short way through the resamples gives the numbers of the long one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stats.bootstrap import _blockwise, draws_of, redrawn
from bench.stats.survival import quantiles_of

ASKED = np.array([0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0])


@settings(max_examples=60)
@given(st.integers(2, 12), st.integers(1, 200), st.integers(0, 2**32), st.booleans())
def test_blocks_of_samples_give_exactly_what_running_sums_over_all_of_them_give(
    sessions, count, seed, ties
):
    rng = np.random.default_rng(seed)
    cluster = rng.integers(0, sessions, count)
    values = np.sort(rng.integers(0, 9, count) if ties else rng.normal(size=count)).astype(float)
    draws = draws_of(sessions, 40)
    drawn = draws[draws[:, cluster].sum(axis=1) > 0]  # a resample may miss all that have samples
    found = _blockwise(drawn, cluster, values, ASKED)
    expected = quantiles_of(drawn.T[cluster], values, np.zeros(count, bool), ASKED)
    np.testing.assert_array_equal(found, expected)


def test_many_samples_go_the_short_way_and_few_the_long_one():
    rng = np.random.default_rng(1)
    draws, values = draws_of(20, 40), np.sort(rng.normal(size=4000))
    cluster = rng.integers(0, 20, 4000)
    for few in (values[:1000], values):
        mine, never = cluster[: len(few)], np.zeros(len(few), bool)
        found = redrawn(draws, mine, few, never, ASKED)
        np.testing.assert_array_equal(found, _blockwise(draws, mine, few, ASKED))


def test_a_resample_in_which_nobody_was_drawn_who_has_a_sample_is_at_its_most():
    draws = np.array([[0, 3], [3, 0], [1, 2]], np.int32)
    never, values = np.zeros(4, bool), np.arange(4.0)
    found = redrawn(draws, np.zeros(4, np.intp), values, never, ASKED)
    np.testing.assert_array_equal(found[0], np.full(len(ASKED), 3.0))
    np.testing.assert_array_equal(found, _blockwise(draws, np.zeros(4, np.intp), values, ASKED))
