"""Change points, on lines drawn from seeded generators: what is found, and what is not."""

import numpy as np
import pytest

from bench.compare.change_points import (
    ALPHA,
    FEWEST,
    find_in_all,
    standard_errors,
)

NOISE = 0.03


def line(generator, runs, steps=(), noise=NOISE, within=0.01):
    """Medians around 900 ms, and their standard errors; `steps` are (first run, factor)."""
    values = 900.0 * np.exp(noise * generator.normal(size=runs))
    for at, factor in steps:
        values[at:] *= factor
    return values, within * values


def find_changes(values, errors):
    """The change points of a line that is told alone."""
    (found,) = find_in_all([(values, errors)])
    return found


def places(found):
    return [change.at for change in found]


def share(tries, seed, found_in):
    """The share of lines for which `found_in(generator)` is true."""
    generators = np.random.default_rng(seed).spawn(tries)
    return sum(bool(found_in(generator)) for generator in generators) / tries


@pytest.mark.parametrize("runs", [6, 10, 30, 60])
def test_flat_noisy_lines_are_hardly_ever_said_to_change(runs):
    assert share(500, runs, lambda g: find_changes(*line(g, runs))) <= 0.02


def test_flat_lines_without_intervals_or_with_wild_noise_are_hardly_ever_said_to_change():
    def unknown(generator):
        values, _ = line(generator, 30)
        return find_changes(values, np.full(30, np.nan))

    def heavy(generator):
        values = 900 * np.exp(NOISE * generator.standard_t(4, size=30) / np.sqrt(2))
        return find_changes(values, 0.01 * values)

    assert share(400, 1, unknown) <= 0.05
    assert share(400, 2, heavy) <= 0.05


@pytest.mark.parametrize("factor", [1.1, 1 / 1.1])
def test_a_step_of_ten_percent_in_three_percent_noise_is_found_within_five_runs(factor):
    def near(generator):
        found = places(find_changes(*line(generator, 30, [(25, factor)])))
        return any(abs(at - 25) <= 1 for at in found)

    assert share(300, 3, near) >= 0.9


def family(generator, lines, runs, together=0.0, *, steps=(), heavy=False):
    """Lines of the same runs; `together` is the share of their variance that all have in common.

    `steps` are those of the first line; `heavy` noise is Student's of four degrees of freedom.
    """

    def noise(*shape):
        if heavy:
            return NOISE * generator.standard_t(4, size=shape) / np.sqrt(2)
        return NOISE * generator.normal(size=shape)

    logs = np.sqrt(together) * noise(1, runs) + np.sqrt(1 - together) * noise(lines, runs)
    values = 900.0 * np.exp(logs)
    for at, factor in steps:
        values[0, at:] *= factor
    return [(one, 0.01 * one) for one in values]


@pytest.mark.parametrize("heavy", [False, True], ids=["normal", "heavy"])
@pytest.mark.parametrize("together", [0.0, 0.5])
def test_a_page_of_forty_flat_lines_hardly_ever_tells_a_change(together, heavy):
    def any_of_it(generator):
        return any(find_in_all(family(generator, 40, 30, together, heavy=heavy)))

    assert share(150, 21, any_of_it) <= 0.05


def test_uncorrected_the_same_forty_lines_would_often_tell_one():
    def any_alone(generator):
        return any(find_changes(*one) for one in family(generator, 40, 30))

    assert share(150, 21, any_alone) >= 0.15


def test_a_step_of_ten_percent_in_one_of_forty_lines_is_found_and_in_no_other():
    def alone(generator):
        first, *others = find_in_all(family(generator, 40, 33, steps=[(25, 1.1)]))
        return any(abs(at - 25) <= 1 for at in places(first)) and not any(others)

    assert share(150, 22, alone) >= 0.9


def test_p_is_that_of_the_line_alone_times_the_lines_that_were_not_told_before_it():
    values, errors = line(np.random.default_rng(5), 24, [(14, 1.25)])
    steeper, _ = line(np.random.default_rng(5), 24, [(14, 1.5)])
    flat, short = np.resize([100.0, 101.0, 102.0], 24), np.array([100.0] * 5)
    told = find_in_all(
        [(short, short * 0.01), (flat, flat * 0.01), (values, errors), (steeper, errors)]
    )
    (alone,), (first,) = find_changes(values, errors), find_changes(steeper, errors)
    assert first.p < alone.p
    assert told == [[], [], [alone._replace(p=2 * alone.p)], [first._replace(p=3 * first.p)]]


def test_a_rise_that_falls_back_was_chosen_with_both_its_ends():
    flat = 900.0 + np.resize([-9.0, 4.0, 9.0, -4.0], 40)
    once, back = flat.copy(), flat.copy()
    once[20:] += 60.0
    back[20:30] += 60.0
    (rise,), (up, down) = (find_changes(one, np.full(40, np.nan)) for one in (once, back))
    assert (up.at, down.at) == (20, 30)
    assert min(up.p, down.p) > 10 * rise.p


def test_a_step_is_placed_sized_and_dated():
    generator = np.random.default_rng(5)
    (found,) = find_changes(*line(generator, 24, [(14, 1.25)]))
    assert found.at == 14
    assert found.after / found.before == pytest.approx(1.25, abs=0.04)
    assert (found.runs_before, found.runs_after) == (14, 10)
    assert found.p < 1e-6


def test_a_rise_and_a_fall_are_two_changes():
    def both(generator):
        found = find_changes(*line(generator, 40, [(15, 1.2), (27, 1 / 1.2)]))
        return [(change.at, change.after > change.before) for change in found] == [
            (15, True),
            (27, False),
        ]

    assert share(200, 6, both) >= 0.9


def test_lines_of_fewer_than_six_runs_have_no_change_points():
    values = np.array([100.0, 100.0, 500.0, 500.0, 500.0])
    assert len(values) == FEWEST - 1
    assert find_changes(values, np.zeros(5)) == []
    assert places(find_changes(np.append(100.0, values), np.zeros(6))) == [3]


def test_two_runs_at_the_end_are_no_level_yet():
    values = np.array([900.0] * 20 + [1400.0] * 2) + np.arange(22) % 3
    assert find_changes(values, np.full(22, 5.0)) == []
    (found,) = find_changes(np.append(values, 1401.0), np.full(23, 5.0))
    assert found.at == 20


def with_outlier(generator, runs, before, steps=()):
    """A line of which one of the runs `before` an index took twice as long."""
    values, errors = line(generator, runs, steps)
    values[generator.integers(before)] *= 2
    return values, errors


@pytest.mark.parametrize("runs", [12, 30, 90])
def test_one_run_that_stands_alone_is_no_change(runs):
    assert share(400, 11, lambda g: find_changes(*with_outlier(g, runs, runs))) <= 0.05


def test_one_run_that_stands_alone_does_not_hide_a_change():
    def near(generator):
        found = places(find_changes(*with_outlier(generator, 30, 20, [(25, 1.1)])))
        return any(abs(at - 25) <= 1 for at in found)

    assert share(200, 12, near) >= 0.7


def test_wide_intervals_of_few_runs_hold_a_change_back_and_many_runs_overrule_them():
    few, many = [900.0] * 4 + [1000.0] * 4, [900.0] * 30 + [1000.0] * 30
    wobble = np.resize([-4.0, 3.0, 5.0, -4.0], 60)
    for values, found in ((np.array(few), 0), (np.array(many), 1)):
        runs = values + wobble[: len(values)]
        assert len(find_changes(runs, np.full(len(values), 5.0))) == 1
        assert len(find_changes(runs, np.full(len(values), 120.0))) == found


def test_values_at_zero_and_below_are_compared_as_they_are():
    values = np.array([0.0] * 8 + [-40.0] * 8) + np.resize([0.5, -0.5, 0.0], 16)
    (found,) = find_changes(values, np.full(16, np.nan))
    assert (found.at, found.before) == (8, 0.0)


def test_a_constant_line_does_not_change_and_a_clean_step_is_certain():
    assert find_changes(np.full(20, 100.0), np.zeros(20)) == []
    (found,) = find_changes(np.array([3.0] * 5 + [7.0] * 5), np.zeros(10))
    assert (found.at, found.before, found.after) == (5, 3.0, 7.0)
    assert found.p < 1e-9


def test_scaling_a_line_changes_no_change_point():
    values, errors = line(np.random.default_rng(9), 40, [(20, 1.15)])
    assert places(find_changes(values, errors)) == places(find_changes(7 * values, 7 * errors))


def test_every_change_is_as_sure_as_is_said():
    for generator in np.random.default_rng(10).spawn(40):
        found = find_changes(*line(generator, 50, [(18, 1.06), (33, 1.06)]))
        assert all(change.p <= ALPHA for change in found)


def test_an_open_interval_counts_by_the_end_that_is_known():
    low = np.array([90.2, np.nan, np.nan, 90.2])
    high = np.array([109.8, 109.8, np.nan, np.nan])
    found = standard_errors(low, np.full(4, 100.0), high)
    assert found[[0, 1, 3]] == pytest.approx(5.0)
    assert np.isnan(found[2])
