"""How far two sides are apart, and how far that can be trusted.

Theory of operation
-------------------
There are two levels, sessions within runs. Turns of a session resemble each other; so do the
sessions of a run, for each run meets the machine, the network and the target in another mood. What
decides is the upper level: however many sessions a run has, it is one draw of that mood.

*Several runs.* Each run has its own figure (its p95, say), and the sides differ by the difference
of their means (of logarithms, where there are ratios). Its error comes from the scatter of the
figures of the runs of a side, which holds both levels at once, and Student's t knows from how few
runs that scatter is known. One run against several borrows the scatter of the several.

Why not the percentiles of a bootstrap that draws runs, then sessions: of five runs there are 126
draws, whose spread is too small by √(4/5) and knows nothing of Student; sessions drawn again
within add their scatter a second time. The two errors have opposite signs and cancel by luck:
five runs a side, at a nominal 95 % its interval of the change of p50 holds the truth 99 times in a
hundred where runs do not differ, 97 times where they differ by 3 %, 87 times where by 10 %
(simulated, 300 trials each; p95: 100, 99, 89). What is done here is that bootstrap with both
errors corrected in closed form: 95 times, whatever runs differ by (`tests/benchmarks`).

*One run a side.* There is no scatter to be seen; the error is that of the sessions alone, drawn
again whole (`run_statistics`), and what runs would have added is unseen. The result says so.

*The same plan, played on both sides.* What the words add to a figure they add on both sides, and
it cancels: only turns that all runs came to are compared, and sessions that say the same are drawn
together. But what a side does to a certain session it does in all its runs alike (a slower reply
moves where the next words fall among the chunks, and so when they are heard), and no scatter of
runs shows that. It is the scatter of sessions in how much they changed, less what of it differs
from run to run and is counted already; it is added.

Where each side replays a plan, but not the other's, differences between utterances do not cancel:
the sessions' own error is added, once a side.
"""

from typing import Final, NamedTuple

import numpy as np

from bench.stats.arrays import Floats
from bench.stats.distribution import student_beyond, student_quantile

POWER: Final = 0.8
"""The smallest detectable change is called in that share of comparisons."""


class Contrast(NamedTuple):
    """The first side less the second, by figure.

    change:   of logarithms or of values
    error:    its standard error
    freedom:  degrees of freedom of that error
    shift:    standard deviation between runs of a side beyond what sessions explain; NaN: unseen
    """

    change: Floats
    error: Floats
    freedom: Floats
    shift: Floats


class Scatter(NamedTuple):
    """What the sessions of single runs add, as variances by figure.

    a, b:     of one run's figure, the mean over the runs of a side
    both:     of the difference of the sides' means
    again:    what of `both` is in the scatter between runs as well
    sessions: how many, of both sides together
    """

    a: Floats
    b: Floats
    both: Floats
    again: Floats
    sessions: int


def contrast(
    a: Floats,
    b: Floats,
    within: Scatter,
    *,
    least: float = 0.0,
    together: bool = False,
    unshared: bool = False,
) -> Contrast:
    """The contrast of the figures of single runs: (…, runs) of either side.

    `least` is the share of the sessions' variance below which no scatter of runs is believed.
    `together`: both sides replay one plan; `unshared`: each one of its own.
    """
    runs_a, runs_b = a.shape[-1], b.shape[-1]
    change = a.mean(axis=-1) - b.mean(axis=-1)
    own = (within.a + within.b) / 2
    floor = least * own if least else np.zeros(change.shape)
    if runs_a == runs_b == 1:
        freedom = np.full(change.shape, float(max(1, within.sessions - 2)))
        return Contrast(change, np.sqrt(within.both), freedom, np.full(change.shape, np.nan))
    squares = [np.square(x - x.mean(axis=-1, keepdims=True)).sum(axis=-1) for x in (a, b)]
    pooled = (squares[0] + squares[1]) / (runs_a + runs_b - 2)
    shift = np.sqrt(np.maximum(pooled - own, 0.0))
    if runs_a == runs_b or 1 in {runs_a, runs_b}:
        freedom = np.full(change.shape, runs_a + runs_b - 2.0)
        variance = np.maximum(pooled, floor) * (1 / runs_a + 1 / runs_b)
    else:  # Welch: with unequal numbers the side with fewer runs must speak for itself
        parts = [
            np.maximum(square / (runs - 1), floor) / runs
            for square, runs in zip(squares, (runs_a, runs_b), strict=True)
        ]
        variance = parts[0] + parts[1]
        below = np.square(parts[0]) / (runs_a - 1) + np.square(parts[1]) / (runs_b - 1)
        most = runs_a + runs_b - 2.0
        freedom = np.divide(
            np.square(variance), below, out=np.full(change.shape, most), where=below > 0
        )
    if unshared or together:
        more = within.a + within.b if unshared else np.maximum(within.both - within.again, 0.0)
        most = max(1.0, within.sessions / (runs_a + runs_b) - 1)
        below = np.square(variance) / freedom + np.square(more) / most
        variance = variance + more
        freedom = np.divide(
            np.square(variance), below, out=np.full(change.shape, most), where=below > 0
        )
    return Contrast(change, np.sqrt(variance), freedom, shift)


def interval(found: Contrast, confidence: float) -> tuple[Floats, Floats]:
    """Both ends of the interval of the change."""
    reach = student_quantile(0.5 + confidence / 2, found.freedom) * found.error
    return found.change - reach, found.change + reach


def p_value(found: Contrast) -> Floats:
    """p, two-sided: how often such a change comes of nothing."""
    still = found.error == 0
    ratio = np.abs(found.change) / np.where(still, 1.0, found.error)
    p = 2 * student_beyond(ratio, found.freedom)
    return np.where(still, np.where(found.change == 0, 1.0, 0.0), p)


def detectable(found: Contrast, alpha: Floats | float) -> Floats:
    """The smallest change that a test at `alpha` finds in `POWER` of comparisons like this one."""
    steps = student_quantile(1 - np.asarray(alpha) / 2, found.freedom)
    return np.asarray((steps + student_quantile(POWER, found.freedom)) * found.error)


def holm(p: Floats, weights: Floats) -> Floats:
    """p, corrected for their number (Holm 1979, with weights): never below the raw p.

    A test of weight w is tried at w / (sum of the weights of all tests not yet passed) of the
    level: those that matter most lose least.
    """
    order = np.argsort(p / weights, kind="stable")
    left = weights.sum() - np.concatenate([[0.0], np.cumsum(weights[order])[:-1]])
    corrected = np.minimum(np.maximum.accumulate(p[order] / weights[order] * left), 1.0)
    found = np.empty_like(p)
    found[order] = corrected
    return found
