"""Quantiles, mean, least and most of samples that come in sessions, and how far they are trusted.

Theory of operation
-------------------
*Quantile*: linear interpolation between order statistics (numpy's default, Hyndman-Fan type 7),
from raw samples; waits never answered are censored (`survival`).

*Interval*: 95 %, percentiles of a bootstrap that draws whole sessions, because turns of one session
resemble each other (drawing turns would be wrong 34 times in 100 at nominal 5). From a single
session no interval can be had.

*What no bootstrap sees* is the tail beyond the largest sample. So a quantile's interval also
reaches as far as the exact binomial says (an order statistic, at 95 % on either side), on the
effective number of samples: n over the design effect, which grows with the likeness of turns of a
session in what the quantile asks: whether they lie beyond it. (Turns that are alike in the middle
need not be so in the tail: by the likeness of all ranks the interval of a p95 held the truth 99
times in a hundred.) From fewer than `FEW_SESSIONS` sessions no more than one sample a session
counts. With too few samples the interval reaches to infinity: a p99 needs 299.

*Many samples* (one per chunk or message): the interval of Woodruff (1952), from the variance
between sessions of the share of samples below the quantile: as cheap as sorting once.
"""

from functools import cache
from typing import Final, NamedTuple

import numpy as np

from bench.stats.arrays import Flags, Floats, Places
from bench.stats.bootstrap import draws_of, middle, redrawn
from bench.stats.distribution import binomial_quantile, normal_quantile
from bench.stats.interval import CONFIDENCE, Estimate, variance_of_sum
from bench.stats.proportion import FEW_SESSIONS
from bench.stats.survival import in_order, quantiles_of

RESAMPLES: Final = 1000
_UNSURE: Final = 3.0
"""By so much over its degrees of freedom a design effect is taken larger: with it a gate at the
limit passes wrongly no more often than it may down to ten sessions, simulated."""
_Z: Final = normal_quantile(0.5 + CONFIDENCE / 2)


class Sample(NamedTuple):
    """Samples and, among them, waits never answered.

    values: ms or whatever the metric's unit is; of a censored one, how long was waited
    censored: which they are
    cluster: integers: which session each belongs to
    """

    values: Floats
    censored: Flags
    cluster: Places


def estimates(
    sample: Sample, quantiles: dict[str, float], resamples: int = RESAMPLES
) -> dict[str, Estimate]:
    """Quantiles, mean, min and max; with a wait that had no end, mean and max are infinite."""
    order = in_order(sample.values, sample.censored)
    values, censored = sample.values[order], sample.censored[order]
    _, cluster = np.unique(sample.cluster[order], return_inverse=True)
    if not len(values):
        return dict.fromkeys((*quantiles, "mean", "min", "max"), Estimate(None))
    n, sessions, longest = len(values), int(cluster.max()) + 1, float(values[-1])
    seen = values[~censored]
    if not len(seen):  # everybody waited, and nothing ever came
        beyond = Estimate(np.inf, float(values[0]), np.inf, n, float(sessions))
        more = beyond._replace(longest=longest)
        return dict.fromkeys((*quantiles, "max"), more) | dict.fromkeys(("mean", "min"), beyond)
    ended = len(seen) == n
    asked = np.array(list(quantiles.values()))
    point = quantiles_of(np.ones((n, 1), np.int32), values, censored, asked)[0]
    drawn, means = np.zeros((0, len(asked))), np.zeros(0)
    if sessions > 1:
        draws = draws_of(sessions, resamples)
        drawn = redrawn(draws, cluster, values, censored, asked)
        if ended:
            means = draws @ np.bincount(cluster, values) / (draws @ np.bincount(cluster))
    found = {}
    for place, (name, q) in enumerate(quantiles.items()):
        worth = _effective(values, cluster, sessions, q)
        low, high = _widened(middle(drawn[:, place], sessions), values, q, worth)
        beyond_all = longest if np.isinf(point[place]) else None
        found[name] = Estimate(float(point[place]), low, high, n, worth, beyond_all)
    mean, most = (float(seen.mean()), longest) if ended else (np.inf, np.inf)
    low, high = middle(means, sessions)
    found["mean"] = Estimate(mean, low, high, n, float(sessions))
    # If a caller timed out before the fastest answer, the true minimum lies between the two.
    low, high = (float(values[0]), float(seen[0])) if values[0] < seen[0] else (None, None)
    found["min"] = Estimate(float(seen[0]), low, high, n)
    found["max"] = Estimate(most, None, None, n, longest=None if ended else longest)
    return found


def _effective(values: Floats, cluster: Places, sessions: int, q: float) -> float:
    """How many independent samples say whether one lies beyond the quantile; `values` are sorted.

    n over the design effect, measured as the variance of sessions' counts beyond the quantile over
    that of the binomial; of few sessions it is itself uncertain, and taken larger. Sessions are
    independent, so it is never fewer than these.
    """
    n = len(values)
    if sessions < FEW_SESSIONS:
        return float(sessions)
    beyond = values >= values[round(q * (n - 1))]
    share = float(beyond.mean())
    if n == sessions or share == 1:
        return float(n)
    variance = variance_of_sum(np.bincount(cluster, beyond - share))
    effect = max(1.0, variance / (n * share * (1 - share)))
    return max(float(sessions), n / effect / (1 + _UNSURE / (sessions - 1)))


def _widened(
    interval: tuple[float | None, float | None], values: Floats, q: float, effective: float
) -> tuple[float | None, float | None]:
    """The interval, at least as wide as the exact binomial on the effective samples has it."""
    if interval[0] is None or interval[1] is None:
        return interval
    count = max(1, int(effective + 1e-9))
    below, above = _ranks(count, q)
    n = len(values)
    high = np.inf if above > count else float(values[min(n, -(-above * n // count)) - 1])
    low = -np.inf if below < 1 else float(values[max(1, below * n // count) - 1])
    return min(interval[0], low), max(interval[1], high)


@cache
def _ranks(count: int, q: float) -> tuple[int, int]:
    """The smallest rank that is at or beyond the quantile with 95 %, after its mirror image."""
    below = count - binomial_quantile(CONFIDENCE, count, 1 - q)
    return below, binomial_quantile(CONFIDENCE, count, q) + 1


def woodruff(values: Floats, cluster: Places, quantiles: dict[str, float]) -> dict[str, Estimate]:
    """Quantiles, mean, min and max of many uncensored samples, clustered."""
    if not len(values):
        return dict.fromkeys((*quantiles, "mean", "min", "max"), Estimate(None))
    order = np.argsort(values, kind="stable")
    values, n = values[order], len(values)
    _, cluster = np.unique(cluster[order], return_inverse=True)
    sizes = np.bincount(cluster)
    found = {}
    for name, q in quantiles.items():
        value = sorted_quantile(values, q)
        at_or_below = np.bincount(
            cluster[: np.searchsorted(values, value, "right")], minlength=len(sizes)
        )
        low = high = None
        if len(sizes) > 1:
            reach = _Z * np.sqrt(variance_of_sum(at_or_below - q * sizes)) / n
            low, high = (
                sorted_quantile(values, min(max(at, 0.0), 1.0)) for at in (q - reach, q + reach)
            )
        found[name] = Estimate(value, low, high, n)
    mean = float(values.mean())
    low = high = None
    if len(sizes) > 1:
        reach = float(_Z * np.sqrt(variance_of_sum(np.bincount(cluster, values - mean))) / n)
        low, high = mean - reach, mean + reach
    found["mean"] = Estimate(mean, low, high, n)
    found["min"] = Estimate(float(values[0]), None, None, n)
    found["max"] = Estimate(float(values[-1]), None, None, n)
    return found


def sorted_quantile(values: Floats, q: float) -> float:
    """Of sorted values: numpy's own, without its overhead."""
    place = (len(values) - 1) * q
    lower = int(place)
    upper = min(lower + 1, len(values) - 1)
    return float(values[lower] + (values[upper] - values[lower]) * (place - lower))
