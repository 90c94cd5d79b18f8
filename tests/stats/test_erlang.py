import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyqueueing.models.erlang_b import ErlangB
from pyqueueing.models.erlang_c import ErlangC
from scipy.stats import poisson

from bench.stats.erlang import (
    MOST_SLOTS,
    blocking,
    erlangs_for_blocking,
    mean_wait,
    slots_for_blocking,
    slots_for_wait,
    waiting,
    waiting_longer,
)

LOADS = [(1, 0.5), (3, 7.0), (10, 4.46), (50, 37.9), (178, 160.0), (1000, 1010.0)]
slots = st.integers(1, 2000)
load = st.floats(0.01, 2500)
share = st.floats(1e-5, 0.5)


@pytest.mark.parametrize(
    ("count", "erlangs"), [(1, 0.01), (10, 4.46), (50, 37.9), (100, 84.1), (200, 179.7)]
)
def test_the_tables_of_erlang_b_at_one_percent(count, erlangs):
    digits = 2 if erlangs < 10 else 1
    assert round(erlangs_for_blocking(count, 0.01), digits) == erlangs
    assert blocking(count, erlangs) == pytest.approx(0.01, rel=0.03)
    assert slots_for_blocking(0.999 * erlangs, 0.01) == count


@pytest.mark.parametrize(("count", "erlangs"), LOADS)
def test_blocking_is_what_a_library_and_the_closed_form_say(count, erlangs):
    library = ErlangB(arrival_rate=erlangs, service_rate=1.0, servers=count).prob_block()
    assert blocking(count, erlangs) == pytest.approx(library, rel=1e-10)
    closed = poisson.pmf(count, erlangs) / poisson.cdf(count, erlangs)
    assert blocking(count, erlangs) == pytest.approx(closed, rel=1e-9)


@pytest.mark.parametrize(("count", "erlangs"), [each for each in LOADS if each[1] < each[0]])
@pytest.mark.parametrize("length", [0.5, 192.0])
def test_waits_are_what_a_library_says(count, erlangs, length):
    library = ErlangC(arrival_rate=erlangs / length, service_rate=1 / length, servers=count)
    assert waiting(count, erlangs) == pytest.approx(library.prob_wait(), rel=1e-9)
    assert mean_wait(count, erlangs, length) == pytest.approx(library.mean_wait(), rel=1e-9)
    longer = 1 - library.service_level(2.0)
    assert waiting_longer(count, erlangs, length, 2.0) == pytest.approx(longer, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("erlangs", [0.3, 4.46, 37.9, 160.0])
def test_least_slots_are_what_a_library_says(erlangs):
    calls = ErlangB(arrival_rate=erlangs, service_rate=1.0, servers=1)
    for target in (0.2, 0.01, 0.001):
        assert slots_for_blocking(erlangs, target) == calls.required_servers(target)


@settings(deadline=None)
@given(slots, load)
def test_blocking_falls_with_every_slot_and_rises_with_the_load(count, erlangs):
    here = blocking(count, erlangs)
    assert 0 <= here <= 1
    assert blocking(count + 1, erlangs) <= here <= blocking(count, 1.1 * erlangs)
    assert here <= waiting(count, erlangs) <= 1


@settings(deadline=None)
@given(load, share)
def test_the_least_slots_are_enough_and_one_less_is_not(erlangs, target):
    least = slots_for_blocking(erlangs, target)
    assert blocking(least, erlangs) <= target < blocking(least - 1, erlangs)


@settings(deadline=None)
@given(load, share, st.floats(1, 600), st.floats(0, 30))
def test_the_least_slots_for_a_wait_are_enough_and_one_less_is_not(erlangs, target, length, wait):
    least = slots_for_wait(erlangs, length, wait, target)
    assert waiting_longer(least, erlangs, length, wait) <= target
    assert target < waiting_longer(least - 1, erlangs, length, wait)


@settings(deadline=None)
@given(slots, share)
def test_the_greatest_load_and_the_blocking_are_inverse(count, target):
    assert blocking(count, erlangs_for_blocking(count, target)) == pytest.approx(target, rel=1e-6)


def test_a_million_slots():
    carried = erlangs_for_blocking(MOST_SLOTS, 0.01)
    closed = poisson.pmf(MOST_SLOTS, carried) / poisson.cdf(MOST_SLOTS, carried)
    assert closed == pytest.approx(0.01, rel=1e-5)
    # A slot carries about an erlang here: half of one less still needs them all.
    assert slots_for_blocking(carried - 0.5, 0.01) == MOST_SLOTS
    assert blocking(MOST_SLOTS, 1.0) == 0.0
    with pytest.raises(ValueError, match="need more than 1,000,000 slots"):
        slots_for_blocking(2e6, 0.01)


def test_a_load_that_fills_the_slots_waits_for_ever():
    assert waiting(10, 10.0) == 1.0
    assert mean_wait(10, 12.0, 60.0) == math.inf
    assert waiting_longer(10, 10.0, 60.0, 30.0) == 1.0


def test_nothing_offered_and_nothing_to_take_it():
    assert blocking(0, 3.0) == 1.0
    assert blocking(3, 0.0) == 0.0
    assert slots_for_blocking(0.0, 0.01) == 0
    assert erlangs_for_blocking(0, 0.01) == 0.0


@pytest.mark.parametrize("erlangs", [-1.0, math.nan, math.inf])
def test_a_load_that_is_none_is_refused(erlangs):
    with pytest.raises(ValueError, match="erlangs; give a number from 0"):
        blocking(3, erlangs)
    with pytest.raises(ValueError, match="erlangs; give a number from 0"):
        slots_for_blocking(erlangs, 0.01)


@pytest.mark.parametrize("target", [0.0, 1.0, -0.1, math.nan])
def test_a_share_that_is_none_is_refused(target):
    for ask in (slots_for_blocking, lambda a, t: erlangs_for_blocking(int(a), t)):
        with pytest.raises(ValueError, match="between 0 and 1"):
            ask(3.0, target)


def test_more_slots_than_anybody_has_are_refused():
    with pytest.raises(ValueError, match="give 0 to 1,000,000"):
        blocking(MOST_SLOTS + 1, 3.0)
