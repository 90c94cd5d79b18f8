"""A row for every figure that two sides have: both values, the change, its interval, its chance.

Theory of operation
-------------------
A side's value is the mean of its runs' own figures, the geometric mean where they are ratios to
each other: what a run of that side usually shows. The first side is the candidate, the second what
it is compared with; a change is the first less the second.

What is positive in every run is compared as a ratio, for a shift between runs is one; what may be
zero or negative, and shares, as a difference. `low` and `high` are the interval of the difference
in the metric's unit, of ratios that of the ratio times the second side's value.

A quantile needs samples beyond it (`gates.needed`), or it has no verdict. One that lies beyond
every wait in some runs has no value; only where it does in all runs of one side and in none of the
other is that a change that can be told, by counting the ways to deal the runs.

Of what no table tells by turn or session (`run_sample.TOLD`: acknowledgements, the generator's own
figures, disturbances, counts) the figures of the summaries are compared, whole runs each, as
differences: many are fractions of a ms, whose ratios say nothing. What sessions add to one is known
by its interval; a count has none, and needs several runs.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from math import comb
from typing import Any, Final, NamedTuple

import numpy as np

from bench.analysis.tables import Floats
from bench.compare.comparability import measured_alike
from bench.compare.run_sample import TOLD, RunSample
from bench.plan.declaration import Metric
from bench.plan.gates import QUANTILES, needed
from bench.plan.metrics import METRICS, PER_SESSION, PER_TURN, WAITS
from bench.stats.effect import Contrast, Scatter, contrast, interval, p_value
from bench.stats.interval import CONFIDENCE
from bench.stats.run_statistics import (
    Ratios,
    RunStatistics,
    Sampled,
    quantiles_of_runs,
    ratios_of_runs,
    told_figures,
)

STATISTICS: Final = ("p50", "p90", "p95", "p99")
EQUIVALENCE: Final = 0.90
"""Of the interval that must lie inside the margin: two one-sided tests at 5 % (Schuirmann 1987)."""

_RATIOS: Final = frozenset(metric.name for metric in (*PER_TURN, *PER_SESSION))
_BELIEVED: Final = 0.25
"""Shares may agree between runs by being rare: no scatter is believed below so much of what
sessions alone would make. Of five runs a side chance leads there twice in a hundred; were all of it
believed, intervals would cover 99 times in a hundred and not 95."""
_NOT_ALL: Final = "not all runs have it"
_BEYOND: Final = "not reached in some runs: too many timed out"
_UNKNOWN: Final = "its error cannot be had from so few sessions"
_ONE_COUNT: Final = "a count of one run a side has no error: it needs several runs"
_OTHER_LENGTH: Final = "a count of runs of several lengths: compare its rate"
_OTHER_GATES: Final = "the gates of the runs differ, and with them what a good turn is"

Sides = tuple[Sequence[RunSample], Sequence[RunSample]]


class Plan(NamedTuple):
    """What the sides share. `together`: they replay one plan; `unshared`: each its own.

    `resamples`: how often the sessions of a run are drawn.
    """

    together: bool
    unshared: bool
    resamples: int


class Difference(NamedTuple):
    """One figure of both sides; `found` is its contrast, None where none can be had.

    `outright` is the chance of a quantile that was never reached on one side alone.
    """

    metric: Metric
    statistic: str
    counts: dict[str, int]
    lacking: str = ""
    a: float | None = None
    b: float | None = None
    ratio: bool = False
    found: Contrast | None = None
    outright: float | None = None

    @property
    def p(self) -> float | None:
        """The chance of such a change, uncorrected."""
        return self.outright if self.found is None else float(p_value(self.found))

    def ends(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """The interval of the change: of the ratio less 1, or of the difference."""
        if self.found is None:
            return -np.inf, np.inf
        low, high = interval(self.found, confidence)
        return self.as_change(float(low)), self.as_change(float(high))

    def as_change(self, change: float) -> float:
        """A change of logarithms as a change of the ratio; another as it is."""
        return float(np.expm1(np.minimum(change, 700.0))) if self.ratio else change

    @property
    def unit_change(self) -> float:
        """What one of a change is in the metric's unit."""
        return float(self.b) if self.ratio and self.b is not None else 1.0


def rows_of(sides: Sides, plan: Plan) -> Iterator[Difference]:
    """Every row that both sides, or one of them, have samples for."""
    for metric in (*PER_TURN, *PER_SESSION):
        sample = _by_turn if metric in PER_TURN else _by_session
        samples = [[sample(metric.name, run) for run in side] for side in sides]
        yield from _quantile_rows(metric, samples, plan)
    for metric in METRICS.values():
        if metric.kind == "share" and metric not in TOLD:
            yield from _share_rows(metric, sides, plan)
    for metric in TOLD:
        yield from _told_rows(metric, sides, plan)


def _by_turn(name: str, run: RunSample) -> Sampled | None:
    found = run.waits.get(name)
    if found is None:
        return None
    kept = ~np.isnan(found.values)
    return Sampled(found.values[kept], found.censored[kept], run.seats()[run.session[kept]])


def _by_session(name: str, run: RunSample) -> Sampled | None:
    found = run.once.get(name)
    if found is None:
        return None
    kept = ~np.isnan(found.values)
    return Sampled(found.values[kept], found.censored[kept], run.seats()[kept])


def deciles(name: str, sides: Sides, plan: Plan, asked: Sequence[float]) -> list[Difference]:
    """Rows of other quantiles of a metric by turn."""
    words = {f"p{100 * q:g}": q for q in asked}
    samples = [[_by_turn(name, run) for run in side] for side in sides]
    return list(_quantile_rows(METRICS[name], samples, plan, words))[: len(asked)]


def _quantile_rows(
    metric: Metric,
    samples: Sequence[Sequence[Sampled | None]],
    plan: Plan,
    asked: dict[str, float] | None = None,
) -> Iterator[Difference]:
    asked = asked or {name: QUANTILES[name] for name in STATISTICS}
    sides = [[run for run in side if run is not None] for side in samples]
    counts = _counts([[(len(run.values), run.seat) for run in side] for side in sides])
    if not any(sides):
        return
    if any(len(some) < len(every) for some, every in zip(sides, samples, strict=True)):
        yield Difference(metric, next(iter(asked)), counts, _NOT_ALL)
        return
    asking = np.array(list(asked.values()))
    resamples = _resamples(metric, asked, plan, single=max(map(len, sides)) == 1)
    found = quantiles_of_runs(
        sides[0], sides[1], asking, together=plan.together, resamples=resamples
    )
    for place, name in enumerate((*asked, "mean")):
        few = _too_few(counts, asked.get(name))
        row = _row(Difference(metric, name, counts), found, place, plan)
        yield row._replace(lacking=few) if few else row


def _resamples(metric: Metric, asked: dict[str, float], plan: Plan, *, single: bool) -> int:
    """How often sessions are drawn: less often for what does not decide.

    Between runs that share no plan sessions decide nothing: what they add is shown of the headline.
    """
    decides = "decides" in metric.uses or metric.name == WAITS[0]
    if (decides and asked.keys() == set(STATISTICS)) or single:
        return plan.resamples
    return plan.resamples // 5 if plan.together or plan.unshared else 0


def _too_few(counts: dict[str, int], q: float | None) -> str:
    short = 0 if q is None else needed(max(q, 1 - q))
    for side in "ab":
        if counts[f"n_{side}"] < short:
            return f"too few samples: {counts[f'n_{side}']} measured, {short} needed a side"
    if min(counts["sessions_a"], counts["sessions_b"]) < 2:
        return "a single session tells nothing of others"
    return ""


def _row(
    bare: Difference, found: RunStatistics, place: int, plan: Plan, *, least: float = 0.0
) -> Difference:
    """The row with the figure at `place`."""
    a, b = found.a[place], found.b[place]
    ratio = bare.metric.name in _RATIOS and bool((a > 0).all() and (b > 0).all())
    row = bare._replace(a=usual(a, ratio=ratio), b=usual(b, ratio=ratio), ratio=ratio)
    if row.a is None or row.b is None:
        return row._replace(lacking=_BEYOND, outright=_dealt(a, b))
    within = found.within_logs if ratio else found.within
    mine = at_place(within, place)
    if ratio:
        a, b = np.log(a), np.log(b)
    told = contrast(a, b, mine, least=least, together=plan.together, unshared=plan.unshared)
    if not np.isfinite(told.error):
        return row._replace(lacking=_UNKNOWN)
    return row._replace(found=told)


def at_place(within: Scatter, place: int) -> Scatter:
    """What sessions add to one figure of several."""
    a, b, both, again, sessions = within
    return Scatter(a[place], b[place], both[place], again[place], sessions)


def usual(values: Floats, *, ratio: bool) -> float | None:
    """What a run of these usually shows: the mean, of ratios the geometric one; None: unknown."""
    if not np.isfinite(values).all():
        return None
    return float(np.exp(np.log(values).mean())) if ratio else float(values.mean())


def finite(value: float | None) -> float | None:
    """A figure for JSON; None where there is none."""
    return None if value is None or not np.isfinite(value) else float(value)


def _dealt(a: Floats, b: Floats) -> float:
    """The chance that all runs of one side, and none of the other, were never reached."""
    beyond = [~np.isfinite(side) for side in (a, b)]
    apart = (beyond[0].all() and not beyond[1].any()) or (beyond[1].all() and not beyond[0].any())
    return min(1.0, 2 / comb(len(a) + len(b), len(a))) if apart else 1.0


def _share_rows(metric: Metric, sides: Sides, plan: Plan) -> Iterator[Difference]:
    parts = [[_summed(metric.name, run) for run in side] for side in sides]
    known = [[part for part in side if part is not None] for side in parts]
    counts = _counts([[(int(part.of.sum()), part.seat) for part in side] for side in known])
    if not any(known):
        return
    bare = Difference(metric, "share", counts)
    if any(len(some) < len(side) for some, side in zip(known, sides, strict=True)):
        yield bare._replace(lacking=_NOT_ALL)
        return
    if metric.name == "good_turns" and not _same_objectives(sides):
        yield bare._replace(lacking=_OTHER_GATES)
        return
    found = ratios_of_runs(known[0], known[1], together=plan.together, share=True)
    yield _row(bare, found, 0, plan, least=_BELIEVED)


def _of_one_length(sides: Sides) -> bool:
    first, *rest = [run.facts for side in sides for run in side]
    return all(measured_alike(facts, first) for facts in rest)


def _same_objectives(sides: Sides) -> bool:
    asked = [run.facts.get("objectives") for side in sides for run in side]
    return all(one == asked[0] for one in asked)


def _summed(name: str, run: RunSample) -> Ratios | None:
    part = run.shares.get(name)
    if part is None:
        return None
    kept = part.of > 0
    return Ratios(part.hits[kept], part.of[kept], run.seats()[run.session[kept]])


def _told_rows(metric: Metric, sides: Sides, plan: Plan) -> Iterator[Difference]:
    """Rows of what only the summaries tell."""
    every = [run.figures.get(metric.name, {}) for side in sides for run in side]
    apart = plan._replace(together=False, unshared=False)  # whole runs, whatever was said in them
    for statistic in dict.fromkeys(name for told in every for name in told):
        known = [[run for run in side if statistic in run.figures.get(metric.name, {})]
                 for side in sides]  # fmt: skip
        figures = [[run.figures[metric.name][statistic] for run in side] for side in known]
        counts = {}
        for name, runs, told in zip("ab", known, figures, strict=True):
            counts[f"n_{name}"] = sum(one.n for one in told)
            counts[f"sessions_{name}"] = sum(len(run.keys) for run in runs)
        bare = Difference(metric, statistic, counts)
        if sum(map(len, known)) < len(every):
            yield bare._replace(lacking=_NOT_ALL)
            return
        if statistic == "count" and not _of_one_length(sides):
            yield bare._replace(lacking=_OTHER_LENGTH)
            continue
        if metric.kind == "count" and len(every) == 2:
            values = [float(told[0].value) for told in figures]
            yield bare._replace(lacking=_ONE_COUNT, a=values[0], b=values[1])
            continue
        least = _BELIEVED if metric.kind == "share" else 0.0
        ends = [np.array([(one.value, one.low, one.high) for one in told]) for told in figures]
        found = told_figures(ends[0], ends[1], sum(len(run.keys) for run in chain(*known)))
        row = _row(bare, found, 0, apart, least=least)
        few = _too_few(counts, QUANTILES.get(statistic))
        yield row._replace(lacking=few) if few else row


def _counts(sides: Sequence[Sequence[tuple[int, Any]]]) -> dict[str, int]:
    found = {}
    for name, side in zip("ab", sides, strict=True):
        found[f"n_{name}"] = sum(n for n, _ in side)
        found[f"sessions_{name}"] = sum(len(np.unique(seat)) for _, seat in side)
    return found
