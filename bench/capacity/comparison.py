"""Two capacity results, compared: by tier, how much more or less the candidate holds, how surely.

Theory of operation
-------------------
What is compared is the ratio A / B of two capacities. Logarithms turn it into a difference, and the
interval of a difference comes from those of its terms by the method of variance estimates recovery
(MOVER; Zou and Donner 2008, doi:10.1002/sim.3095), each side's half by itself. With a, b the
capacities and [la, ha], [lb, hb] their 95 % intervals:

    log low  = log(a / b) - sqrt(log(a / la)^2 + log(hb / b)^2)
    log high = log(a / b) + sqrt(log(ha / a)^2 + log(b / lb)^2)

Each half, divided by 1.96, is the standard error towards that side: an asymmetric interval stays
asymmetric. It is how the two searches may have erred independently of each other; what differs
from day to day or host to host is seen by neither.

A capacity of at least N has no upper end. The ratio is then bounded on one side only, by the
corner: N over the other's upper end, or the candidate's upper end over N. The same goes for a
capacity that has no upper end for another reason, and for one of nothing, which has no logarithm.

Verdicts are those of compared runs: a tier is *unchanged* where the whole 90 % interval (the halves
above, times 1.645 / 1.96) lies inside the margin, else *regressed* or *improved* where the 95 %
interval leaves out 1, else *inconclusive*. There are few tiers and they rise and fall together, so
nothing is corrected for their number. The whole has regressed where a tier has; it is inconclusive
where one is, improved where one is, else unchanged.
"""

from collections.abc import Callable, Iterator, Sequence
from math import exp, hypot, inf, isfinite, log
from pathlib import Path
from statistics import NormalDist
from typing import Any, Final, NamedTuple

from bench import __version__
from bench.capacity.document import (
    BoundedFigure,
    Bounds,
    CapacityResult,
    LoadProbe,
    TierCapacity,
    read_capacity,
)
from bench.errors import UsageError
from bench.plan.gates import CONFIDENCE

FORMAT: Final = 1
KIND: Final = "capacity"
_EQUIVALENCE: Final = NormalDist().inv_cdf(0.95) / NormalDist().inv_cdf(0.975)
"""From half a 95 % interval to half a 90 % interval."""
_WHOLE_FROM: Final = 0.0995
"""A change of so much is told in whole percent."""
CURVES: Final = ("first_audio_p95", "good_turns")
"""Figures of the probes that are kept by load."""


class Side(NamedTuple):
    """A capacity result, and what it is called."""

    name: str
    result: CapacityResult


class Ratio(NamedTuple):
    """A capacity over another, with its interval. `value` is None where it has none.

    `low` 0 or `high` infinite: not bounded on that side.
    """

    value: float | None
    low: float
    high: float


def read_side(path: Path) -> Side:
    """The capacity result in a file or folder. UsageError where there is none that can be used."""
    return Side(path.parent.name if path.is_file() else path.name, read_capacity(path))


def compare_capacities(a: Side, b: Side, *, margin: float, allow: bool = False) -> dict[str, Any]:
    """The candidate `a` against `b`, as comparison.json has it. `margin` is in percent.

    UsageError names what differs, unless that is allowed: then it is remarked.
    """
    if a.result == b.result:
        raise UsageError(f"{a.name}: stands on both sides; give another search to one")
    if a.name == b.name:
        a, b = a._replace(name=f"A {a.name}"), b._replace(name=f"B {b.name}")
    never = list(_incomparable(a, b))
    if never:
        raise UsageError(f"these capacities cannot be compared: {'; '.join(never)}")
    against = list(_differences(a, b))
    if against and not allow:
        raise UsageError(
            f"these capacities cannot be compared: {'; '.join(against)}. Compare searches of one "
            "kind, or allow it with --allow"
        )
    theirs = {tier.tier: tier for tier in b.result.tiers}
    rows = [_row(tier, theirs[tier.tier], margin) for tier in a.result.tiers if tier.tier in theirs]
    verdict, reasons = _concluded(rows)
    return {
        "format": FORMAT,
        "kind": KIND,
        "bench_version": __version__,
        "metric_version": a.result.metric_version,
        "confidence": CONFIDENCE,
        "margin": {"percent": margin},
        "load": a.result.load,
        "unit": a.result.unit,
        "sides": {"a": _about(a), "b": _about(b)},
        "remarks": [*against, *_remarks(a, b)],
        "verdict": verdict,
        "reasons": reasons,
        "tiers": rows,
        "curves": {
            name: {"a": curve(a.result.probes, name), "b": curve(b.result.probes, name)}
            for name in CURVES
        },
    }


# ── the ratio ────────────────────────────────────────────────────────────────────────────────────


def ratio_of(a: TierCapacity, b: TierCapacity) -> Ratio | None:
    """A's capacity over B's with its 95 % interval; None where either was not found, or both 0."""
    if a.capacity is None or b.capacity is None:
        return None
    (value_a, low_a, high_a), (value_b, low_b, high_b) = _ends(a), _ends(b)
    if not high_a and not high_b:
        return None
    value = None if a.at_least or b.at_least or not value_b else value_a / value_b
    # The corners, which hold where a logarithm does not.
    low = low_a / high_b if high_b else inf if low_a else 0.0
    high = high_a / low_b if low_b else inf
    if value:
        if low_a and isfinite(high_b):
            low = value * exp(-hypot(log(value_a / low_a), log(high_b / value_b)))
        if low_b and isfinite(high_a):
            high = value * exp(hypot(log(high_a / value_a), log(value_b / low_b)))
    return Ratio(value, low, high)


def _ends(tier: TierCapacity) -> tuple[float, float, float]:
    """A capacity, the least and the most that it may be; infinite where it has no end."""
    capacity = tier.capacity or 0.0
    if tier.at_least:
        return capacity, capacity, inf
    return capacity, tier.low or 0.0, inf if tier.high is None else tier.high


def verdict_of(ratio: Ratio | None, margin: float) -> str:
    """improved, unchanged, regressed or inconclusive. `margin` is in percent."""
    if ratio is None:
        return "inconclusive"
    if ratio.value and ratio.low > 0 and isfinite(ratio.high):
        reach = log(1 + margin / 100)
        low = log(ratio.value) - _EQUIVALENCE * log(ratio.value / ratio.low)
        high = log(ratio.value) + _EQUIVALENCE * log(ratio.high / ratio.value)
        if -reach <= low and high <= reach:
            return "unchanged"
    if ratio.low > 1:
        return "improved"
    return "regressed" if ratio.high < 1 else "inconclusive"


def sentence(ratio: Ratio | None, a: TierCapacity, b: TierCapacity) -> str:
    """What the ratio says, as in "A holds 14 % more [9, 19]"."""
    if ratio is None:
        return _unknown(a, b)
    if ratio.value is not None:
        return f"A holds {_change(ratio.value)}{_bracket(ratio)}"
    return _one_sided(ratio)


def _one_sided(ratio: Ratio) -> str:
    """What a ratio without a value says: it is bounded by `low`, by `high`, or by neither."""
    if ratio.low == inf:
        return "A holds some load, B none"
    if ratio.low >= 1:
        return f"A holds at least {_change(ratio.low)}"
    if ratio.high < 1:
        return f"A holds at least {_change(ratio.high)}"
    if isfinite(ratio.high):
        return f"A holds at most {_change(ratio.high)}"
    if ratio.low > 0:
        return f"A holds at most {_change(ratio.low)}, or more than B"
    return "nothing bounds the difference"


def _unknown(a: TierCapacity, b: TierCapacity) -> str:
    lacking = [name for name, tier in (("A", a), ("B", b)) if tier.capacity is None]
    if not lacking:
        return "neither holds any load: there is nothing to compare"
    return f"no capacity of {' and '.join(lacking)} was found: there is nothing to compare"


def _change(ratio: float) -> str:
    """A ratio in words: `14 % more`, `12 % less`, `as much`."""
    shown = _percent(ratio)
    return "as much" if shown == "0" else f"{shown} % {'more' if ratio > 1 else 'less'}"


def _bracket(ratio: Ratio) -> str:
    """The interval of a change: in the direction of the change where it has one, else in words."""
    value = ratio.value or 0.0
    whole = abs(value - 1) >= _WHOLE_FROM
    low, high = (_percent(end, whole=whole) for end in (ratio.low, ratio.high))
    if ratio.low > 1:
        return f" [{low}, {high}]"
    if ratio.high < 1:
        return f" [{high}, {low}]"
    return f" [{low} less, {high} more]"


def _percent(ratio: float, *, whole: bool = False) -> str:
    """How far a ratio is from 1, in percent without a sign.

    A digit stands after the point below 10, or below 1 where `whole`.
    """
    if not isfinite(ratio):
        return "∞"
    size = abs(100 * (ratio - 1))
    return f"{size:.0f}" if size >= (1 if whole else 9.95) else f"{size:.1f}".removesuffix(".0")


# ── the document ─────────────────────────────────────────────────────────────────────────────────


def _row(a: TierCapacity, b: TierCapacity, margin: float) -> dict[str, Any]:
    """A tier as plain values, with its verdict and the sentence."""
    ratio = ratio_of(a, b)
    value, low, high = (None, 0.0, inf) if ratio is None else ratio
    return {
        "tier": a.tier,
        "a": _capacity(a),
        "b": _capacity(b),
        "ratio": value,
        # An end that is null is not bounded; a candidate that holds nothing has the ratio 0.
        "ratio_low": low if isfinite(low) and (low > 0 or value is not None) else None,
        "ratio_high": high if isfinite(high) else None,
        "verdict": verdict_of(ratio, margin),
        "said": sentence(ratio, a, b),
    }


def _capacity(tier: TierCapacity) -> dict[str, Any]:
    names = ("capacity", "low", "high", "at_least", "limit", "confirmed", "binding", "stage",
             "gates")  # fmt: skip
    return {name: getattr(tier, name) for name in names}


def _concluded(rows: Sequence[dict[str, Any]]) -> tuple[str, list[str]]:
    """The verdict of the whole, and why: a sentence each."""
    for word in ("regressed", "inconclusive", "improved"):
        named = [f"tier {row['tier']} {word}: {row['said']}" for row in rows
                 if row["verdict"] == word]  # fmt: skip
        if named:
            return word, named
    return "unchanged", [f"tier {row['tier']} unchanged: {row['said']}" for row in rows]


def _about(side: Side) -> dict[str, Any]:
    result = side.result
    return {
        "name": side.name,
        "created": result.created,
        "scenario": result.scenario.name,
        "target": result.target.name,
        "bench_version": result.bench_version,
        "workload": result.scenario.workload,
        "probes": len(result.probes),
    }


def curve(probes: Sequence[LoadProbe], figure: str) -> list[dict[str, float | None]]:
    """A figure by load: the mean of the probes of a load, and the hull of their intervals.

    Void probes, and those beyond the limit, which go through several loads, are left out. Null: a
    value that is not known, or an end that was never reached.
    """
    by_load: dict[float, list[BoundedFigure]] = {}
    for probe in probes:
        if not probe.void and probe.purpose != "beyond":
            by_load.setdefault(probe.load, []).append(getattr(probe.figures, figure))
    return [{"load": load, **_joined(by_load[load])} for load in sorted(by_load)]


def _joined(figures: Sequence[BoundedFigure]) -> dict[str, float | None]:
    def over(end: str, join: Callable[[Sequence[float]], float]) -> float | None:
        known = [value for one in figures if (value := getattr(one, end)) is not None]
        return join(known) if len(known) == len(figures) else None

    return {
        "value": over("value", lambda values: sum(values) / len(values)),
        "low": over("low", min),
        "high": over("high", max),
    }


# ── may they be compared? ────────────────────────────────────────────────────────────────────────


def _incomparable(a: Side, b: Side) -> Iterator[str]:
    """What no --allow helps: there is no ratio."""
    if a.result.load != b.result.load:
        words = {
            "sessions": "sessions held (closed load)",
            "arrivals": "session starts a second (open load)",
        }
        yield (
            f"the kind of load differs: {words[a.result.load]} in {a.name} and "
            f"{words[b.result.load]} in {b.name}, and the two have no ratio; search both with "
            "--arrivals or both without"
        )
    names = [[tier.tier for tier in side.result.tiers] for side in (a, b)]
    if not set(names[0]) & set(names[1]):
        shown = [", ".join(each) or "none" for each in names]
        yield (
            f"no common tier: {a.name} has {shown[0]}, {b.name} has {shown[1]}; search with tiers "
            "of one name"
        )


def _differences(a: Side, b: Side) -> Iterator[str]:
    """A line for everything that makes a difference of capacities one of something else."""
    for side in (a, b):
        if not side.result.complete:
            yield f"{side.name} is an incomplete search: go on with `bench capacity --resume`"
    ours, theirs = _facts(a.result), _facts(b.result)
    for words, (identity, shown) in ours.items():
        if identity != theirs[words][0]:
            yield f"{a.name} and {b.name} differ in {words}: {shown} and {theirs[words][1]}"
    others = {tier.tier: tier.gates for tier in b.result.tiers}
    for tier in a.result.tiers:
        if tier.tier in others and sorted(tier.gates) != sorted(others[tier.tier]):
            yield (
                f"{a.name} and {b.name} differ in the objectives of tier {tier.tier}: "
                f"{', '.join(tier.gates)} and {', '.join(others[tier.tier])}"
            )


def _facts(result: CapacityResult) -> dict[str, tuple[Any, Any]]:
    """Of what must be the same, in words: (what decides whether it is, how it is shown)."""
    workload, corpus = result.scenario.workload, result.corpus
    return {
        "the workload": (workload, workload[:7]),
        "the corpus": (corpus.sha256, f"{corpus.name} {corpus.sha256[:7]}"),
        "the target's dialect": (result.target.dialect, result.target.dialect),
        "the version of metric definitions": (result.metric_version, result.metric_version),
    }


def _remarks(a: Side, b: Side) -> Iterator[str]:
    """What to bear in mind; none of it forbids the comparison."""
    yield (
        "one search a side: what differs from day to day or host to host is not in the intervals"
    )
    shared = {tier.tier for tier in a.result.tiers} & {tier.tier for tier in b.result.tiers}
    for word, side in (("A", a), ("B", b)):
        if any(probe.purpose == "ramp" for probe in side.result.probes):
            yield f"{word} was found by --ramp, a quick look that is less exact than its interval"
        for tier in side.result.tiers:
            if tier.tier not in shared:
                yield f"tier {tier.tier} is in {word} alone and was left out"
            elif tier.at_least:
                yield f"{word} holds at least so much of tier {tier.tier} (limit: {tier.limit})"
            elif tier.capacity and not tier.confirmed:
                yield f"the capacity of {word} of tier {tier.tier} was not confirmed by a hold"
    lengths = [side.result.workload.session_s for side in (a, b)]
    if _apart(*lengths):
        told = [f"{one.value:.3g} s" for one in lengths]
        yield f"a session took {told[0]} of A and {told[1]} of B: longer ones cost more"


def _apart(one: Bounds, other: Bounds) -> bool:
    """Whether two intervals have nothing in common; False where an end is not known."""
    ends = (one.low, one.high, other.low, other.high)
    if None in ends or one.value is None or other.value is None:
        return False
    return one.low > other.high or other.low > one.high  # type: ignore[operator]
