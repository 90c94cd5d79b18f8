"""Where an objective ceases to hold: known cases, and how often the interval holds the truth."""

import math

import numpy as np
import pytest

from bench.stats.crossing import Level, Share, crossing, design_effect, first_of


def share(load, met, of=100, segments=4):
    each = np.full(segments, of / segments)
    return Share(load, each * met, each)


def test_a_clear_crossing_lies_between_the_loads_around_it():
    found = crossing([share(10, 1.0), share(20, 0.99), share(30, 0.5)], 0.95)
    assert (found.held, found.lost) == (20, 30)
    assert 20 < found.value < 22  # interpolated: 20 is much nearer to the limit
    assert (found.low, found.high) == (20, 30)


def test_an_objective_that_always_holds_has_no_end():
    found = crossing([share(10, 1.0), share(20, 1.0, of=1000)], 0.95)
    assert found.value == math.inf
    assert (found.held, found.lost) == (20, math.inf)


def test_an_objective_that_never_holds_has_no_capacity():
    found = crossing([share(10, 0.2), share(20, 0.1)], 0.95)
    assert (found.value, found.low, found.high) == (0, 0, 10)


def test_tries_that_are_out_of_order_are_pooled():
    loads = [share(10, 1.0), share(20, 0.90), share(21, 1.0), share(40, 0.3)]
    found = crossing(loads, 0.9)
    assert (found.held, found.lost) == (21, 40)  # 0.9 and 1.0 together are 0.95


def test_levels_are_exact_unless_they_have_an_error():
    exact = crossing([Level(10, 0.1), Level(11, -0.1)])
    assert (exact.value, exact.low, exact.high) == (10.5, 10, 11)
    vague = crossing([Level(5, 0.5), Level(10, 0.1, 0.2), Level(11, -0.1, 0.2), Level(20, -1.0)])
    assert vague.low == 5
    assert vague.high == 20


def test_several_objectives_end_where_the_first_of_them_does():
    one = crossing([share(10, 1.0, 900), share(20, 0.5, 900)], 0.95)
    other = crossing([Level(10, 1.0), Level(20, 0.2)])
    both = first_of([one, other])
    assert (both.value, both.held, both.lost) == (one.value, 10, 20)
    assert first_of([other, other]).value == math.inf


def test_segments_that_differ_make_the_effect():
    same = [share(10, 0.9, 400), share(12, 0.9, 400)]
    apart = [
        Share(load, np.array([100.0, 60.0, 100.0, 100.0]), np.full(4, 100.0)) for load in (10, 12)
    ]
    assert design_effect(same)[0] < 2
    assert design_effect(apart)[0] > 5


def simulated(rng, truth, spread):
    """A search's tries near a crossing: shares that fall with the load, alike within a segment."""
    found = []
    for load, segments in ((0.5, 1), (2.0, 1), (0.94, 6), (1.07, 6), (0.98, 6), (1.03, 6), (1, 8)):
        at = round(load * 40)
        share_of = 1 / (1 + math.exp((at - truth) / 2.5 - math.log(0.95 / 0.05)))
        hidden = rng.beta(spread * share_of + 1e-9, spread * (1 - share_of) + 1e-9, segments)
        found.append(Share(at, rng.binomial(40, hidden).astype(float), np.full(segments, 40.0)))
    return found


@pytest.mark.parametrize("spread", [1000.0, 15.0])
def test_the_interval_holds_the_truth_95_times_in_a_hundred(spread):
    rng = np.random.default_rng(5)
    held = []
    for _ in range(120):
        truth = rng.uniform(36, 44)
        found = crossing(simulated(rng, truth, spread), 0.95)
        held.append(found.low <= truth <= found.high)
    assert np.mean(held) >= 0.91
