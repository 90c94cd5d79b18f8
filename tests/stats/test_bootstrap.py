"""The short way through the resamples gives the numbers of the long one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stats.bootstrap import draws_of, quantiles_of, redrawn

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
    found = redrawn(drawn, cluster, values, np.zeros(count, bool), ASKED)
    expected = quantiles_of(drawn.T[cluster], values, np.zeros(count, bool), ASKED)
    np.testing.assert_array_equal(found, expected)


def test_a_resample_in_which_nobody_was_drawn_who_has_a_sample_is_no_error():
    draws = np.array([[0, 3], [3, 0], [1, 2]], np.int32)
    found = redrawn(draws, np.zeros(4, np.intp), np.arange(4.0), np.zeros(4, bool), ASKED)
    assert found.shape == (3, len(ASKED))
