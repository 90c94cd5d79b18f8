"""The figure of each run of a side, and what its sessions add to its error.

Theory of operation
-------------------
A run's quantiles are those of its summary: waits never answered are censored (Kaplan and Meier),
and a quantile may be out of reach. What sessions add is their bootstrap's variance: whole
sessions are drawn, `RESAMPLES` times; the variance of S of them is then S / (S - 1) of that. Where
all runs replay one plan, sessions that say the same are drawn together in all of them, and what
they share cancels.

A figure that only a summary tells brings its interval, whose width says what sessions add.

Means, and shares as ratios of sums, need no drawing: their variance is that of the sums of the
residuals of sessions.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from bench.stats.arrays import Flags, Floats, Places
from bench.stats.bootstrap import draws_of, redrawn
from bench.stats.distribution import normal_quantile
from bench.stats.effect import Scatter
from bench.stats.interval import CONFIDENCE, variance_of_sum
from bench.stats.survival import in_order, quantiles_of

RESAMPLES: Final = 2000
_SEEDS: Final = (7, 11)
"""One a side: sides that share nothing are drawn apart."""
_Z: Final = normal_quantile(0.5 + CONFIDENCE / 2)


class Sampled(NamedTuple):
    """The samples of a metric in one run; `seat` says whose each is, as an index into seats."""

    values: Floats
    censored: Flags
    seat: Places


class RunStatistics(NamedTuple):
    """Figures by (figure, run) of both sides, and what sessions add on a scale of values."""

    a: Floats
    b: Floats
    within: Scatter
    within_logs: Scatter


def quantiles_of_runs(
    a: Sequence[Sampled],
    b: Sequence[Sampled],
    quantiles: Floats,
    *,
    together: bool,
    resamples: int = RESAMPLES,
) -> RunStatistics:
    """The quantiles of every run, the mean behind them.

    `together`: sessions with the same seat say the same, in all runs, and are drawn together.
    `resamples` 0: what sessions add is not asked for, and NaN.
    """
    points = [np.stack([_point(run, quantiles) for run in side], axis=-1) for side in (a, b)]
    count = sum(len(np.unique(run.seat)) for run in (*a, *b))
    if not resamples:
        unknown = np.full(len(quantiles) + 1, np.nan)
        none = Scatter(unknown, unknown, unknown, unknown, count)
        return RunStatistics(points[0], points[1], none, none)
    seats = np.unique(np.concatenate([run.seat for run in (*a, *b)])) if together else None
    seeds = (_SEEDS[0], _SEEDS[0]) if together else _SEEDS
    drawn = [
        [_drawn(run, quantiles, seats, seed, resamples) for run in side]
        for side, seed in zip((a, b), seeds, strict=True)
    ]
    logs = [[_logs(one) for one in side] for side in drawn]
    return RunStatistics(points[0], points[1], _scatter(drawn, count), _scatter(logs, count))


def _point(run: Sampled, quantiles: Floats) -> Floats:
    """Quantiles and mean; with a wait that had no end the mean is infinite."""
    order = in_order(run.values, run.censored)
    values, censored = run.values[order], run.censored[order]
    once = np.ones((len(values), 1), np.int32)
    mean = np.inf if censored.any() else float(values.mean())
    return np.append(quantiles_of(once, values, censored, quantiles)[0], mean)


def _drawn(
    run: Sampled, quantiles: Floats, seats: Places | None, seed: int, resamples: int
) -> Floats:
    """Quantiles and mean of every resample: a row each."""
    order = in_order(run.values, run.censored)
    values, censored = run.values[order], run.censored[order]
    known = np.unique(run.seat) if seats is None else seats
    cluster = np.searchsorted(known, run.seat[order])
    draws = draws_of(len(known), resamples, seed)
    drawn = redrawn(draws, cluster, values, censored, quantiles)
    means = np.full(resamples, np.inf)
    if not censored.any():
        sums, sizes = (np.bincount(cluster, weights, len(known)) for weights in (values, None))
        means = (draws @ sums) / np.maximum(draws @ sizes, 1)
    return np.column_stack([drawn, means])


def _logs(drawn: Floats) -> Floats:
    """Logarithms; NaN where there are none, which leaves their variance unknown."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(drawn > 0, np.log(drawn), np.nan)


def _scatter(sides: Sequence[Sequence[Floats]], count: int) -> Scatter:
    """Variances over the rows, which are resamples of each run."""
    with np.errstate(invalid="ignore"):
        own = [np.mean([run.var(axis=0) for run in side], axis=0) for side in sides]
        middle = [np.mean(side, axis=0) for side in sides]
        both = (middle[0] - middle[1]).var(axis=0)
        again = sum(_again([run.var(axis=0) for run in side - mean[None]], len(side))
                    for side, mean in zip(map(np.stack, sides), middle, strict=True))  # fmt: skip
    per = count / sum(map(len, sides))
    few = per / (per - 1) if per > 1 else np.nan
    return Scatter(few * own[0], few * own[1], few * both, few * np.asarray(again), count)


def _again(apart: Sequence[Any], runs: int) -> Any:
    """The variance of the mean of runs that comes of what differs between them."""
    return np.mean(apart, axis=0) / (runs - 1) if runs > 1 else 0.0 * np.asarray(apart[0])


class Ratios(NamedTuple):
    """Sums of a run: so much `of` so much, by turn; shares, and means where `of` is one."""

    hits: Floats
    of: Floats
    seat: Places


def ratios_of_runs(
    a: Sequence[Ratios], b: Sequence[Ratios], *, together: bool, share: bool
) -> RunStatistics:
    """The ratio of every run: one figure. Its logarithms are not asked for.

    A share that nobody missed in twenty turns is not known to be 100 %: its variance is at least
    that of the binomial, one yes and one no added to each side (Agresti and Caffo 2000).
    """
    runs = (*a, *b)
    hits, of = (float(sum(part.sum() for part in parts)) for parts in
                ([run.hits for run in runs], [run.of for run in runs]))  # fmt: skip
    usual = (hits + 2) / (of + 4)
    binomial = usual * (1 - usual) if usual < 1 else usual  # words wrong may be more than said
    points, own, apart = [], [], []
    seats = np.unique(np.concatenate([run.seat for run in runs]))
    for side in (a, b):
        ratios = [float(run.hits.sum() / run.of.sum()) for run in side]
        points.append(np.array([ratios]))
        spread = [_residuals(run, ratio, seats) for run, ratio in zip(side, ratios, strict=True)]
        least = [binomial / (run.of.sum() + 2) * share for run in side]
        found = np.maximum([variance_of_sum(part) for part in spread], least)
        own.append(float(np.mean(found)))
        apart.append(np.stack(spread))
    both, again = own[0] / len(a) + own[1] / len(b), 0.0
    if together and not (share and len(a) == len(b) == 1):
        both = variance_of_sum(apart[0].mean(axis=0) - apart[1].mean(axis=0))
        again = sum(
            float(_again([variance_of_sum(row) for row in side - side.mean(axis=0)], len(side)))
            for side in apart
        )
    count = sum(len(np.unique(run.seat)) for run in runs)
    unit = 100.0 if share else 1.0  # shares are told in %
    parts = [np.array([unit**2 * value]) for value in (*own, both, again)]
    within = Scatter(parts[0], parts[1], parts[2], parts[3], count)
    return RunStatistics(unit * points[0], unit * points[1], within, within)


def told_figures(a: Floats, b: Floats, sessions: int) -> RunStatistics:
    """One figure of every run as its summary has it. Its logarithms are not asked for.

    `a` and `b` have a row per run: value, low end, high end. `sessions`: of both sides together.
    """
    own = [np.mean(((side[:, 2] - side[:, 1]) / (2 * _Z)) ** 2) for side in (a, b)]
    both = own[0] / len(a) + own[1] / len(b)
    parts = [np.array([value]) for value in (*own, both, 0.0)]
    within = Scatter(parts[0], parts[1], parts[2], parts[3], sessions)
    return RunStatistics(a[:, 0][None], b[:, 0][None], within, within)


def _residuals(run: Ratios, ratio: float, seats: Places) -> Floats:
    """By session: what it adds to the error of the ratio; 0 for a seat that the run has not."""
    cluster = np.searchsorted(seats, run.seat)
    sums = np.bincount(cluster, run.hits - ratio * run.of, len(seats))
    return np.asarray(sums / run.of.sum(), np.float64)
