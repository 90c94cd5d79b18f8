"""The estimators: what a quantile of some turns is, and how far it can be trusted.

Theory of operation
-------------------
*Quantile*: linear interpolation between order statistics (numpy's default, Hyndman-Fan type 7),
from raw samples.

*Waits without an end.* A caller who gave up waited at least that long: a right-censored sample, not
a missing one. Its weight goes to the samples beyond its wait, as Kaplan and Meier have it; what is
left of it lies beyond every sample, so a quantile may be infinite: "longer than any wait". Without
censored samples this is the plain quantile.

*Interval*: 95 %, percentiles of a bootstrap that draws whole sessions, because turns of one session
resemble each other (drawing turns would be wrong 34 times in 100 at nominal 5). Of few sessions its
percentiles are too near: the 2.5th of 10 sessions is taken at 0.9 %, as Student's t has it
(Hesterberg 2014, "What teachers should know about the bootstrap", expanded percentiles). It is
seeded: the same samples give the same interval. From a single session no interval can be had.

*What no bootstrap sees* is the tail beyond the largest sample. So a quantile's interval also
reaches as far as the exact binomial says (an order statistic, at 95 % on either side), on the
effective number of samples: n over the design effect, which grows with the likeness of turns of a
session in what the quantile asks: whether they lie beyond it. (Turns that are alike in the middle
need not be so in the tail: by the likeness of all ranks the interval of a p95 held the truth 99
times in a hundred.) From fewer than `FEW_SESSIONS` sessions no more than one sample a session
counts. With too few samples the interval reaches to infinity: a p99 needs 299. Shares have the
exact binomial on the effective number too.

*Many samples* (one per chunk or message): the interval of Woodruff (1952), from the variance
between sessions of the share of samples below the quantile: as cheap as sorting once.
"""

from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench.analysis.bootstrap import draws_of, quantiles_of, redrawn
from bench.analysis.tables import Flags, Floats
from bench.plan import gates

CONFIDENCE: Final = gates.CONFIDENCE
RESAMPLES: Final = 1000
FEW_SESSIONS: Final = gates.FEW_SESSIONS
"""With fewer the likeness within sessions cannot be told from chance."""
ALIKE: Final = 0.2
"""The correlation of yes and no within sessions that is supposed where none can be measured. Where
nothing but whole sessions fail, of ten turns each, a share at its limit then passes wrongly in
under 2 % with up to a hundred sessions, in 12 % with 200, simulated: without it in 37 to 60 %."""
_UNSURE: Final = 3.0
"""By so much over its degrees of freedom a design effect is taken larger: with it a gate at the
limit passes wrongly no more often than it may down to ten sessions, simulated."""
_Z: Final = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))


class Estimate(NamedTuple):
    """A value and its interval; an infinite one lies beyond all samples, None: cannot be had.

    `effective` is how many independent samples the `n` are worth, where that is asked: of the
    quantiles of turns and sessions, and of shares; of means it is the number of sessions.
    `longest` is the longest wait of all, where a quantile or the max is infinite: it is more than
    that (infinite where somebody was turned away, and waits for ever).
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    effective: float | None = None
    longest: float | None = None


class Sample(NamedTuple):
    """Samples and, among them, waits without an end.

    values: ms or whatever the metric's unit is; of a censored one, how long was waited
    censored: which they are
    cluster: dense integers: which session each belongs to
    """

    values: Floats
    censored: Flags
    cluster: NDArray[np.intp]


def estimates(
    sample: Sample, quantiles: dict[str, float], resamples: int = RESAMPLES
) -> dict[str, Estimate]:
    """Quantiles, mean, min and max; with a wait that had no end, mean and max are infinite."""
    order = np.lexsort((sample.censored, sample.values))
    values, censored = sample.values[order], sample.censored[order]
    _, cluster = np.unique(sample.cluster[order], return_inverse=True)
    seen = values[~censored]
    if not len(values):
        return dict.fromkeys((*quantiles, "mean", "min", "max"), Estimate(None))
    if not len(seen):  # everybody waited, and nothing ever came
        sessions = float(cluster.max()) + 1
        beyond = Estimate(np.inf, float(values[0]), np.inf, len(values), sessions)
        more = beyond._replace(longest=float(values[-1]))
        return dict.fromkeys((*quantiles, "max"), more) | dict.fromkeys(("mean", "min"), beyond)
    n, sessions, ended = len(values), int(cluster.max()) + 1, not censored.any()
    asked = np.array(list(quantiles.values()))
    point = quantiles_of(np.ones((n, 1), np.int32), values, censored, asked)[0]
    drawn, means = np.zeros((0, len(asked))), np.zeros(0)
    if sessions > 1:
        draws = draws_of(sessions, resamples)
        drawn = redrawn(draws, cluster, values, censored, asked)
        if ended:
            means = draws @ np.bincount(cluster, values) / (draws @ np.bincount(cluster))
    found, longest = {}, float(values[-1])
    for place, (name, q) in enumerate(quantiles.items()):
        worth = _effective(values, cluster, q)
        low, high = _widened(_interval(drawn[:, place], sessions), values, q, worth)
        beyond_all = longest if np.isinf(point[place]) else None
        found[name] = Estimate(float(point[place]), low, high, n, worth, beyond_all)
    mean, most = (float(seen.mean()), float(seen[-1])) if ended else (np.inf, np.inf)
    low, high = _interval(means, sessions) if ended else (None, None)
    found["mean"] = Estimate(mean, low, high, n, float(sessions))
    # Whoever gave up sooner than anybody was answered might have been answered in between.
    low, high = (float(values[0]), float(seen[0])) if values[0] < seen[0] else (None, None)
    found["min"] = Estimate(float(seen[0]), low, high, n)
    found["max"] = Estimate(most, None, None, n, longest=None if ended else longest)
    return found


def _effective(values: Floats, cluster: NDArray[np.intp], q: float) -> float:
    """How many independent samples say whether one lies beyond the quantile; `values` are sorted.

    n over the design effect, measured as the variance of sessions' counts beyond the quantile over
    that of the binomial; of few sessions it is itself uncertain, and taken larger. Sessions are
    independent, so it is never fewer than these.
    """
    n, sessions = len(values), int(cluster.max()) + 1
    if sessions < FEW_SESSIONS:
        return float(sessions)
    beyond = values >= values[round(q * (n - 1))]
    share = float(beyond.mean())
    error = _spread(np.bincount(cluster, beyond - share))
    if n == sessions or share == 1 or error is None:
        return float(n)
    effect = max(1.0, error**2 / (n * share * (1 - share)))
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
    below = count - int(stats.binom.ppf(CONFIDENCE, count, 1 - q))
    return below, int(stats.binom.ppf(CONFIDENCE, count, q)) + 1


@cache
def _tail(sessions: int) -> float:
    """Which share of values drawn from so many sessions lies beyond either end of the middle 95 %.

    Less than 2.5 %, as Student's distribution is: the draws know no more than the sessions do.
    """
    reach = np.sqrt(sessions / (sessions - 1)) * stats.t.ppf(0.5 + CONFIDENCE / 2, sessions - 1)
    return float(stats.norm.cdf(-reach))


def _interval(drawn: Floats, sessions: int) -> tuple[float | None, float | None]:
    """The middle 95 % of values drawn from so many sessions, infinities included."""
    drawn = np.sort(drawn)
    if not len(drawn):
        return None, None
    edge = _tail(sessions) * (len(drawn) - 1)
    return float(drawn[int(np.floor(edge))]), float(drawn[int(np.ceil(len(drawn) - 1 - edge))])


def woodruff(
    values: Floats, cluster: NDArray[np.intp], quantiles: dict[str, float]
) -> dict[str, Estimate]:
    """Quantiles, mean, min and max of many uncensored samples, clustered."""
    if not len(values):
        return dict.fromkeys((*quantiles, "mean", "min", "max"), Estimate(None))
    order = np.argsort(values, kind="stable")
    values, n = values[order], len(values)
    _, cluster = np.unique(cluster[order], return_inverse=True)
    sizes = np.bincount(cluster)
    found = {}
    for name, q in quantiles.items():
        value = float(_sorted_quantile(values, q))
        at_or_below = np.bincount(
            cluster[: np.searchsorted(values, value, "right")], minlength=len(sizes)
        )
        error = _spread((at_or_below - q * sizes).astype(np.float64))
        edges: tuple[float | None, float | None] = (None, None)
        if error is not None:
            edges = tuple(
                float(_sorted_quantile(values, min(max(q + side * _Z * error / n, 0.0), 1.0)))
                for side in (-1, 1)
            )  # type: ignore[assignment]  # a pair
        found[name] = Estimate(value, *edges, n)
    mean = float(values.mean())
    error = _spread(np.bincount(cluster, weights=values - mean))
    low, high = (None, None) if error is None else (mean - _Z * error / n, mean + _Z * error / n)
    found["mean"] = Estimate(mean, low, high, n)
    found["min"] = Estimate(float(values[0]), None, None, n)
    found["max"] = Estimate(float(values[-1]), None, None, n)
    return found


def _sorted_quantile(values: Floats, q: float) -> float:
    place = (len(values) - 1) * q
    lower = int(place)
    upper = min(lower + 1, len(values) - 1)
    return float(values[lower] + (values[upper] - values[lower]) * (place - lower))


def _spread(residuals: NDArray[Any]) -> float | None:
    """Standard error of a sum over clusters; None where there is only one."""
    count = len(residuals)
    if count < 2:
        return None
    return float(np.sqrt(count / (count - 1) * np.square(residuals).sum()))


def proportion(yes: Flags, cluster: NDArray[Any]) -> Estimate:
    """A share in % with its exact (Clopper-Pearson) interval on the effective number of samples.

    `yes` has a flag a turn, `cluster` says whose it is: a session that is dropped fails all the
    turns that were left to it, and they are no independent evidence. How alike they are cannot be
    measured where all of them are, or in few sessions: `ALIKE` is supposed.
    """
    n = len(yes)
    if not n:
        return Estimate(None)
    share = float(yes.mean())
    _, cluster = np.unique(cluster, return_inverse=True)
    sizes = np.bincount(cluster)
    error = _spread(np.bincount(cluster, weights=yes - share))
    effect = 1.0
    if error is not None and 0 < share < 1 and len(sizes) < n:
        effect = max(effect, error**2 / (n * share * (1 - share)))
    if share in {0.0, 1.0} or len(sizes) < FEW_SESSIONS:
        effect = max(effect, 1 + ALIKE * (float(np.square(sizes).sum()) / n - 1))
    size = n / effect
    low, high = exact(share, size)
    return Estimate(100 * share, 100 * low, 100 * high, n, size)


def exact(share: float, n: float) -> tuple[float, float]:
    """The exact (Clopper-Pearson) interval of a share, 0 to 1, of so many samples."""
    hits, tail = share * n, (1 - CONFIDENCE) / 2
    low = 0.0 if share == 0 else float(stats.beta.ppf(tail, hits, n - hits + 1))
    high = 1.0 if share == 1 else float(stats.beta.ppf(1 - tail, hits + 1, n - hits))
    return low, high


def per_attempt(events: int, n: int) -> Estimate:
    """Events per attempt in %, which may pass 100, with the exact Poisson (Garwood) interval."""
    if not n:
        return Estimate(None)
    tail = (1 - CONFIDENCE) / 2
    low = 0.0 if events == 0 else float(stats.chi2.ppf(tail, 2 * events)) / 2
    high = float(stats.chi2.ppf(1 - tail, 2 * events + 2)) / 2
    return Estimate(100 * events / n, 100 * low / n, 100 * high / n, n)
