"""Two capacities compared: ratio, interval and its coverage, verdict, words, refusals."""

from math import exp, log, sqrt

import msgspec
import numpy as np
import pytest
from scipy.stats import chi2

from bench.capacity.comparison import (
    Side,
    compare_capacities,
    curve,
    ratio_of,
    sentence,
    verdict_of,
)
from bench.capacity.document import BoundedFigure, TargetFacts
from bench.errors import UsageError
from tests.capacity.found import GATE, bounds, capacity_result, figure, probe, tier


def least(capacity, **facts):
    return tier(
        capacity=capacity, low=capacity, high=None, at_least=True, limit="generator", **facts
    )


def found_as(capacity, low, high):
    return tier(capacity=capacity, low=low, high=high)


NOTHING = found_as(0.0, 0.0, 0.0)


def compared(a, b, margin=5.0, **options):
    return compare_capacities(
        Side("new", capacity_result(a)),
        Side("old", capacity_result(b, created="2026-11-27T22:00:00+00:00")),
        margin=margin,
        **options,
    )


def said(a, b, margin=5.0):
    ratio = ratio_of(a, b)
    return sentence(ratio, a, b), verdict_of(ratio, margin)


# ── the ratio and its interval ───────────────────────────────────────────────────────────────────


def test_the_interval_joins_the_halves_of_both_sides_on_the_log_scale():
    ratio = ratio_of(
        tier(capacity=24.0, low=22.0, high=25.0), tier(capacity=20.0, low=19.0, high=23.0)
    )
    assert ratio.value == pytest.approx(1.2)
    assert ratio.low == pytest.approx(1.2 * exp(-sqrt(log(24 / 22) ** 2 + log(23 / 20) ** 2)))
    assert ratio.high == pytest.approx(1.2 * exp(sqrt(log(25 / 24) ** 2 + log(20 / 19) ** 2)))


def test_an_asymmetric_interval_stays_asymmetric():
    exact = tier(capacity=20.0, low=20.0, high=20.0)
    ratio = ratio_of(tier(capacity=20.0, low=12.0, high=21.0), exact)
    assert (ratio.low, ratio.high) == (pytest.approx(0.6), pytest.approx(1.05))
    ratio = ratio_of(exact, tier(capacity=20.0, low=12.0, high=21.0))
    assert (ratio.low, ratio.high) == (pytest.approx(20 / 21), pytest.approx(20 / 12))


def by_normal(truth, draws, dice):
    """Capacities with a log-normal error of 6 %, and their intervals."""
    value = truth * np.exp(0.06 * dice.normal(size=draws))
    return value, value * exp(-1.96 * 0.06), value * exp(1.96 * 0.06)


def by_count(truth, draws, dice):
    """Capacities that are counts, with the exact (and asymmetric) interval of a Poisson mean."""
    value = dice.poisson(truth, draws).astype(float)
    return value, chi2.ppf(0.025, 2 * value) / 2, chi2.ppf(0.975, 2 * value + 2) / 2


@pytest.mark.parametrize(("drawn", "most"), [(by_normal, 0.96), (by_count, 0.98)])
def test_the_true_ratio_lies_in_the_interval_95_times_in_100(drawn, most):
    dice = np.random.default_rng(14)
    draws, truths = 4000, (46.0, 40.0)
    ones = [list(zip(*drawn(truth, draws, dice), strict=True)) for truth in truths]
    found = [ratio_of(*(found_as(*one) for one in pair)) for pair in zip(*ones, strict=True)]
    truth = truths[0] / truths[1]
    assert 0.94 <= np.mean([one.low <= truth <= one.high for one in found]) <= most
    # Neither side is missed out of proportion.
    for missed in ([one.low > truth for one in found], [one.high < truth for one in found]):
        assert np.mean(missed) <= 0.035


def test_capacities_that_are_the_same_are_called_changed_one_time_in_twenty():
    dice = np.random.default_rng(3)
    ones = [list(zip(*by_normal(40.0, 2000, dice), strict=True)) for _ in range(2)]
    found = [
        verdict_of(ratio_of(*(found_as(*one) for one in pair)), 0.0)
        for pair in zip(*ones, strict=True)
    ]
    assert 0.035 <= np.mean([word != "inconclusive" for word in found]) <= 0.065


# ── words and verdicts ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("a", "b", "words", "verdict"),
    [
        ((57, 55, 59), (50, 49, 51), "A holds 14 % more [9, 19]", "improved"),
        ((44, 42, 46), (50, 49, 51), "A holds 12 % less [8, 16]", "regressed"),
        ((50, 45, 55), (49, 44, 54), "A holds 2 % more [12 less, 18 more]", "inconclusive"),
        ((50, 49.5, 50.5), (50, 49.5, 50.5), "A holds as much [1.4 less, 1.4 more]", "unchanged"),
        ((51, 50.9, 51.1), (50, 49.9, 50.1), "A holds 2 % more [1.7, 2.3]", "unchanged"),
        ((0, 0, 2), (20, 19, 22), "A holds 100 % less [89, 100]", "regressed"),
        ((20, 19, 22), (0, 0, 0), "A holds some load, B none", "improved"),
        ((20, 19, 22), (0, 0, 2), "A holds at least 850 % more", "improved"),
        ((0, 0, 2), (0, 0, 0), "nothing bounds the difference", "inconclusive"),
        ((20, 19, None), (10, 9, 11), "A holds 100 % more [79, ∞]", "improved"),
    ],
)  # fmt: skip
def test_what_is_said_and_what_it_comes_to(a, b, words, verdict):
    assert said(found_as(*a), found_as(*b)) == (words, verdict)


@pytest.mark.parametrize(
    ("a", "b", "words", "verdict"),
    [
        (least(20.0), found_as(12.0, 11.0, 13.0), "at least 54 % more", "improved"),
        (found_as(12.0, 11.0, 13.0), least(20.0), "at least 35 % less", "regressed"),
        (found_as(22.0, 20.0, 25.0), least(20.0), "at most 25 % more", "inconclusive"),
        (least(10.0), found_as(12.0, 11.0, 13.0), "at most 23 % less, or more than B",
         "inconclusive"),
    ],
)  # fmt: skip
def test_a_lower_bound_makes_a_statement_of_one_side(a, b, words, verdict):
    assert said(a, b) == (f"A holds {words}", verdict)


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (least(20.0), least(30.0), "nothing bounds the difference"),
        (found_as(None, None, None), tier(), "no capacity of A was found"),
        (tier(), found_as(None, None, None), "no capacity of B was found"),
        (NOTHING, NOTHING, "neither holds any load"),
    ],
)
def test_what_nothing_is_known_of_is_open(a, b, words):
    told, verdict = said(a, b)
    assert told.startswith(words)
    assert verdict == "inconclusive"


def test_the_margin_decides_what_is_unchanged():
    pair = tier(capacity=49.0, low=48.6, high=49.4), tier(capacity=50.0, low=49.6, high=50.4)
    assert said(*pair, margin=5.0)[1] == "unchanged"
    assert said(*pair, margin=1.0)[1] == "regressed"


def test_one_tier_that_regressed_decides_the_whole():
    def result(gold, silver, **facts):
        silver = tier("silver", *silver)
        return capacity_result(tier("gold", *gold), silver, **facts)

    new = Side("new", result((57.0, 55.0, 59.0), (44.0, 43.0, 45.0)))
    old = Side("old", result((50.0, 49.0, 51.0), (60.0, 59.0, 61.0)))
    found = compare_capacities(new, old, margin=5.0)
    assert found["verdict"] == "regressed"
    assert found["reasons"] == ["tier silver regressed: A holds 27 % less [25, 29]"]
    assert [row["verdict"] for row in found["tiers"]] == ["improved", "regressed"]


def test_an_end_that_is_not_bounded_is_null_in_the_document():
    (row,) = compared(least(20.0), found_as(12.0, 11.0, 13.0))["tiers"]
    assert (row["ratio"], row["ratio_high"]) == (None, None)
    assert row["ratio_low"] == pytest.approx(20 / 13)
    (row,) = compared(least(20.0), least(12.0))["tiers"]
    assert (row["ratio"], row["ratio_low"], row["ratio_high"]) == (None, None, None)


# ── what is refused, and what is remarked ────────────────────────────────────────────────────────


def changed(**facts):
    return msgspec.structs.replace(capacity_result(), created="2026-11-27T22:00:00+00:00", **facts)


FACTS = capacity_result()
UNLIKE = [
    ({"scenario": msgspec.structs.replace(FACTS.scenario, workload="fedcba9")},
     "differ in the workload: 0123abc and fedcba9"),
    ({"corpus": msgspec.structs.replace(FACTS.corpus, sha256="ef" * 32)},
     "differ in the corpus: everyday cdcdcdc and everyday efefefe"),
    ({"target": TargetFacts(name="reference", url="ws://127.0.0.1:1", dialect="openai")},
     "differ in the target's dialect: inworld and openai"),
    ({"metric_version": 3}, "differ in the version of metric definitions: 4 and 3"),
    ({"tiers": [tier(gates=["p95(first_audio_latency) < 900 ms"])]},
     f"differ in the objectives of tier gold: {GATE} and p95(first_audio_latency) < 900 ms"),
    ({"complete": False}, "old is an incomplete search: go on with `bench capacity --resume`"),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "words"), UNLIKE)
def test_what_differs_is_refused_in_one_line_and_remarked_where_allowed(facts, words):
    sides = Side("new", capacity_result()), Side("old", changed(**facts))
    with pytest.raises(UsageError) as refused:
        compare_capacities(*sides, margin=5.0)
    assert words in str(refused.value)
    assert "--allow" in str(refused.value)
    assert "\n" not in str(refused.value)
    found = compare_capacities(*sides, margin=5.0, allow=True)
    assert any(words in remark for remark in found["remarks"])


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"load": "arrivals", "unit": "/s"}, "the kind of load differs"),
        ({"tiers": [tier("silver")]}, "no common tier: new has gold, old has silver"),
    ],
)
def test_what_has_no_ratio_is_refused_whatever_is_allowed(facts, words):
    with pytest.raises(UsageError, match=words):
        compare_capacities(
            Side("new", capacity_result()), Side("old", changed(**facts)), margin=5.0, allow=True
        )


def test_a_search_is_not_compared_with_itself():
    with pytest.raises(UsageError, match="stands on both sides"):
        compare_capacities(
            Side("new", capacity_result()), Side("copy", capacity_result()), margin=5.0
        )


def test_what_must_be_known_is_remarked():
    old = changed(
        tiers=[tier(confirmed=False), tier("silver")],
        workload=msgspec.structs.replace(FACTS.workload, session_s=bounds(150.0, 145.0, 155.0)),
    )
    found = compare_capacities(Side("new", capacity_result()), Side("old", old), margin=5.0)
    told = " | ".join(found["remarks"])
    assert "tier silver is in B alone and was left out" in told
    assert "the capacity of B of tier gold was not confirmed by a hold" in told
    assert "a session took 192 s of A and 150 s of B" in told


# ── the curves ───────────────────────────────────────────────────────────────────────────────────


def with_audio(number, load, low, value, high, **facts):
    one = probe(number, load, **facts)
    audio = BoundedFigure(value=value, low=low, high=high, unit="ms", n=100)
    figures = msgspec.structs.replace(one.figures, first_audio_p95=audio)
    return msgspec.structs.replace(one, figures=figures)


def test_a_curve_joins_the_probes_of_a_load_and_leaves_out_void_and_beyond():
    probes = [
        with_audio(1, 24.0, 600.0, 640.0, 700.0),
        with_audio(2, 12.0, 400.0, 410.0, 420.0),
        with_audio(3, 24.0, 650.0, 680.0, 740.0),
        with_audio(4, 30.0, 800.0, None, None),
        with_audio(5, 24.0, 1.0, 2.0, 3.0, void="generator: cpu 96 %"),
        with_audio(6, 45.0, 1.0, 2.0, 3.0, purpose="beyond"),
    ]
    assert curve(probes, "first_audio_p95") == [
        {"load": 12.0, "value": 410.0, "low": 400.0, "high": 420.0},
        {"load": 24.0, "value": 660.0, "low": 600.0, "high": 740.0},
        {"load": 30.0, "value": None, "low": 800.0, "high": None},
    ]
    assert figure(99.1, "%").value == curve([probe()], "good_turns")[0]["value"]
