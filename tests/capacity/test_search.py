"""The search for a capacity against targets whose truth is one line."""

import math

import numpy as np
import pytest

from bench.capacity.search import (
    Objective,
    Range,
    Tried,
    Try,
    answer,
    next_try,
    unlike_order,
)
from bench.stats.crossing import Level, Share

ONE = {"slo": 0.95}


def search(share_of, scope=Range(8, 1e6), *, tiers=ONE, most=60, seed=1):
    """Search a target of whose turns `share_of(load)` meet a limit; (the tries, what is known).

    `tiers`: what share of turns each promises.
    """
    rng = np.random.default_rng(seed)
    tries, found = [], []
    while (wanted := next_try(tried_of(tries, found, tiers), scope)) is not None:
        assert len(tries) < most, "the search does not end"
        tries.append(wanted)
        segments = {"bracket": 1, "refine": 6, "hold": 8}[wanted.purpose]
        of = max(20, round(wanted.load * 2))
        met = rng.binomial(of, share_of(wanted.load), segments).astype(float)
        found.append(Share(wanted.load, met, np.full(segments, float(of))))
    return tries, tried_of(tries, found, tiers)


def tried_of(tries, found, tiers=ONE):
    objectives = {tier: (Objective("p95", tuple(found), share),) for tier, share in tiers.items()}
    return Tried(tuple(tries), objectives)


@pytest.mark.parametrize("truth", [1, 2, 7, 20, 21, 333])
def test_a_cliff_is_found_to_within_a_step_or_three_percent(truth):
    scope = Range(8, 1e6)
    tries, tried = search(lambda load: 1.0 if load <= truth else 0.0)
    found = answer(tried, "slo", scope)
    assert found.low <= truth <= found.high
    assert found.high - found.low <= max(1, 0.035 * truth)
    assert found.confirmed
    assert len(tries) <= 25


def test_a_slope_is_found_within_its_interval_and_held():
    scope = Range(8, 1e6)
    tries, tried = search(lambda load: 1 / (1 + math.exp((load - 50) / 2 - math.log(19))))
    found = answer(tried, "slo", scope)
    assert found.low <= 50 <= found.high
    assert (found.high - found.low) / found.capacity < 0.2
    assert [one.purpose for one in tries].count("hold") in {1, 2}


def test_every_tier_is_bracketed_refined_and_held():
    scope, tiers = Range(8, 1e6), {"gold": 0.99, "plain": 0.8}
    tries, tried = search(lambda load: 1 / (1 + math.exp((load - 90) / 9)), scope, tiers=tiers)
    for tier, share in tiers.items():
        truth = math.floor(90 - 9 * math.log(share / (1 - share)))
        found = answer(tried, tier, scope)
        assert found.low <= truth <= found.high
        near = {one.purpose for one in tries if abs(one.load - truth) < 12}
        assert {"refine", "hold"} <= near


def test_it_begins_at_the_first_load_and_doubles():
    tries, _ = search(lambda load: 1.0 if load <= 40 else 0.0)
    assert [one.load for one in tries[:4]] == [8, 16, 32, 64]
    assert all(one.purpose == "bracket" for one in tries[:4])


def test_it_halves_where_the_first_load_does_not_hold():
    tries, tried = search(lambda _: 0.0)
    assert [one.load for one in tries] == [8, 4, 2, 1]
    found = answer(tried, "slo", Range(8, 1e6))
    assert (found.capacity, found.binding, found.confirmed) == (0, "p95", False)


def test_a_limit_ends_it_and_the_most_is_held():
    scope = Range(8, 20)
    tries, tried = search(lambda _: 1.0, scope)
    assert max(one.load for one in tries) == 20
    found = answer(tried, "slo", scope)
    assert (found.capacity, found.high, found.binding) == (20, math.inf, "")
    assert found.confirmed


def test_the_same_tries_have_the_same_next_one():
    """So a search that was stopped goes on as it would have."""
    tries, tried = search(lambda load: 1.0 if load <= 30 else 0.2)
    found = tried.tiers["slo"][0].found
    for count in range(len(tries)):
        part = tried_of(tries[:count], found[:count])
        assert next_try(part, Range(8, 1e6)) == tries[count]


def test_a_hold_that_fails_lowers_the_answer():
    scope = Range(8, 1e6)
    tries = [Try(8, "bracket"), Try(16, "bracket"), Try(12, "refine"), Try(12, "hold")]
    before = [
        Share(8, np.array([99.0]), np.array([100.0])),
        Share(16, np.array([10.0]), np.array([100.0])),
        Share(12, np.full(6, 96.0), np.full(6, 100.0)),
    ]
    failed = Share(12, np.full(8, 80.0), np.full(8, 100.0))
    sure = answer(tried_of(tries[:3], before), "slo", scope)
    lowered = answer(tried_of(tries, [*before, failed]), "slo", scope)
    assert sure.capacity == 12
    assert lowered.capacity < 12
    assert not lowered.confirmed


def test_what_held_is_the_answer_where_the_crossing_is_estimated_higher():
    tries = [
        Try(8, "bracket"), Try(16, "bracket"), Try(12, "refine"), Try(12, "hold"), Try(14, "refine")
    ]  # fmt: skip
    found = [
        Share(8, np.array([99.0]), np.array([100.0])),
        Share(16, np.array([10.0]), np.array([100.0])),
        Share(12, np.full(6, 96.0), np.full(6, 100.0)),
        Share(12, np.full(8, 97.0), np.full(8, 100.0)),
        Share(14, np.full(6, 96.0), np.full(6, 100.0)),
    ]
    told = answer(tried_of(tries, found), "slo", Range(8, 1e6))
    assert told.crossing.value >= 14
    assert (told.capacity, told.confirmed) == (12, True)
    assert told.high >= 14


def test_a_hold_that_fails_is_followed_by_one_nearer_to_the_lower_end():
    tries = [Try(8, "bracket"), Try(32, "bracket"), Try(20, "refine"), Try(24, "hold")]
    found = [
        Share(8, np.array([99.0]), np.array([100.0])),
        Share(32, np.array([10.0]), np.array([100.0])),
        Share(20, np.full(6, 97.0), np.full(6, 100.0)),
        Share(24, np.full(8, 94.9), np.full(8, 100.0)),
    ]
    scope = Range(8, 1e6)
    told = answer(tried_of(tries, found), "slo", scope)
    assert told.low <= told.capacity <= (told.low + 24) / 2
    wanted = next_try(tried_of(tries, found), scope)
    assert (wanted.purpose, wanted.load) == ("hold", told.capacity)


def test_a_rate_is_searched_in_its_own_steps():
    scope = Range(0.5, 100, step=0.01)
    _, tried = search(lambda load: 1.0 if load <= 1.37 else 0.0, scope)
    found = answer(tried, "slo", scope)
    assert found.low <= 1.37 <= found.high
    assert found.high - found.low < 0.35


def test_a_load_that_holds_above_one_that_does_not_is_told():
    def one(load, met):
        return Share(load, np.full(6, met), np.full(6, 100.0))

    tries = [Try(load, "refine") for load in (10, 20, 30)]
    odd = tried_of(tries, [one(10, 99.0), one(20, 40.0), one(30, 99.0)])
    even = tried_of(tries, [one(10, 99.0), one(20, 94.0), one(30, 96.0)])
    assert unlike_order(odd, "slo") == (20, 30)
    assert unlike_order(even, "slo") is None


def test_what_no_try_says_anything_of_is_not_asked():
    tries = (Try(8, "hold"),)
    held = Objective("held", (Level(8, 0.01),))
    empty = Objective("p95", (None,), 0.95)
    found = answer(Tried(tries, {"slo": (held, empty)}), "slo", Range(8, 100))
    assert found.capacity == 8
    assert not found.confirmed  # one of its gates had no turn
