"""The test over runs keeps its level, finds what it should, and its intervals hold the truth."""

import numpy as np
import pytest
from scipy import stats

from bench.stats.effect import (
    Scatter,
    contrast,
    detectable,
    holm,
    interval,
    p_value,
)
from tests.compare.chance import World, figures, logs, unsampled

NONE = unsampled(())


def scatter(own, both, again=0.0, sessions=10):
    return Scatter(*(np.float64(part) for part in (own, own, both, again)), sessions)


ASKED = [0.5, 0.9, 0.95, 0.99]


def many(rng, world, change=0.0, trials=1000):
    a, b = (figures(logs(rng, trials, world, by), ASKED) for by in (change, 0.0))
    return contrast(a, b, unsampled(a.shape[:2]))


def test_as_many_runs_a_side_are_students_test():
    rng = np.random.default_rng(1)
    a, b = rng.normal(1, 1, 5), rng.normal(0, 1, 5)
    found, known = contrast(a, b, NONE), stats.ttest_ind(a, b)
    assert p_value(found) == pytest.approx(known.pvalue)
    assert interval(found, 0.95) == pytest.approx(known.confidence_interval(0.95))


def test_unequal_numbers_of_runs_are_welchs_test():
    rng = np.random.default_rng(2)
    a, b = rng.normal(0, 3, 3), rng.normal(0, 1, 8)
    known = stats.ttest_ind(a, b, equal_var=False)
    assert p_value(contrast(a, b, NONE)) == pytest.approx(known.pvalue)


def test_one_run_against_several_borrows_their_scatter():
    b = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    found = contrast(np.array([9.0]), b, NONE)
    assert found.error == pytest.approx(np.sqrt(b.var(ddof=1) * (1 + 1 / 5)))
    assert found.freedom == 4


def test_one_run_a_side_has_the_error_of_its_sessions_and_no_shift():
    found = contrast(np.array([2.0]), np.array([1.0]), scatter(1.0, 0.25, sessions=40))
    assert (found.error, found.freedom) == (0.5, 38)
    assert np.isnan(found.shift)


def test_what_differs_between_runs_beyond_their_sessions_is_told():
    a, b = np.array([0.0, 2.0]), np.array([1.0, 3.0])
    found = contrast(a, b, scatter(1.0, 2.0))
    assert found.shift == pytest.approx(1.0)  # a scatter of 2, of which sessions explain 1


def test_plans_of_their_own_on_each_side_do_not_cancel():
    within = scatter(0.6, 1.2)
    a, b = np.array([0.0, 2.0]), np.array([1.0, 3.0])
    alone, unlike = (contrast(a, b, within, unshared=apart) for apart in (False, True))
    assert unlike.error**2 == pytest.approx(alone.error**2 + 1.2)


def test_what_a_side_does_to_sessions_alike_in_all_its_runs_is_no_scatter_of_runs_and_is_added():
    a, b = np.array([0.0, 2.0]), np.array([1.0, 3.0])
    within = scatter(0.6, 0.9, again=0.3, sessions=80)
    alone, paired = (contrast(a, b, within, together=one) for one in (False, True))
    assert paired.error**2 == pytest.approx(alone.error**2 + 0.6)
    assert alone.freedom < paired.freedom < 80 / 4 - 1 + alone.freedom
    nothing = contrast(a, b, within._replace(again=np.float64(1.0)), together=True)
    assert nothing.error == pytest.approx(alone.error)


def test_shares_that_agree_by_being_rare_are_not_thought_to_be_exact():
    same = np.full(5, 100.0)
    within = scatter(0.4, 0.8)
    assert contrast(same, same, within).error == 0
    assert contrast(same, same, within, least=0.25).error == pytest.approx(np.sqrt(0.1 * 2 / 5))


def test_nothing_that_varies_and_nothing_that_changed_is_no_evidence():
    same = np.ones(3)
    assert p_value(contrast(same, same, NONE)) == 1
    assert p_value(contrast(same, 2 * same, NONE)) == 0


def test_holm_is_the_textbooks():
    p = np.array([0.01, 0.04, 0.03, 0.005])
    assert holm(p, np.ones(4)) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_with_weights_spares_what_weighs_most():
    p = np.array([0.02, 0.02, 0.5])
    weighted = holm(p, np.array([2.0, 1.0, 1.0]))
    assert weighted[0] == pytest.approx(0.04)  # at half of the level
    assert weighted[1] == pytest.approx(0.04)  # then of two that are left: 0.02 × 2
    assert weighted[2] == pytest.approx(0.5)


@pytest.mark.parametrize("shift", [0.0, 0.03, 0.1])
def test_an_a_a_comparison_calls_five_in_a_hundred_whatever_runs_differ_by(shift):
    found = many(np.random.default_rng(3), World(shift=shift), trials=2000)
    called = 100 * (p_value(found) < 0.05).mean(axis=0)
    assert (called < 6.5).all()  # 5 and three standard errors
    assert (called > 3.5).all()


def test_ten_percent_more_are_found_by_five_runs_a_side():
    found = many(np.random.default_rng(4), World(), 0.1)
    power = 100 * (p_value(found) < 0.05).mean(axis=0)
    assert power[0] > 85  # p50
    assert power[2] > 75  # p95


def test_intervals_hold_the_true_change_95_times_in_a_hundred():
    for runs in (2, 5):
        low, high = interval(many(np.random.default_rng(5), World(runs), 0.1, 2000), 0.95)
        covered = 100 * ((low <= np.log(1.1)) & (np.log(1.1) <= high)).mean(axis=0)
        assert (covered > 93).all()
        assert (covered < 97).all()


def test_the_smallest_detectable_change_is_found_four_times_in_five():
    rng, world = np.random.default_rng(6), World()
    typical = float(np.median(detectable(many(rng, world), 0.05)[:, 0]))
    power = (p_value(many(rng, world, np.expm1(typical), 2000))[:, 0] < 0.05).mean()
    assert 0.74 < power < 0.86
