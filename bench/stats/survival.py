"""Quantiles of waits, some of which had no end: the product of Kaplan and Meier.

Theory of operation
-------------------
A caller who gave up waited at least that long: a right-censored sample, not a missing one. Its
weight goes to the samples beyond its wait, as Kaplan and Meier have it; what is left of it lies
beyond every sample, so a quantile may be infinite: "longer than any wait". A quantile is linear
between order statistics (Hyndman-Fan type 7) of these expected counts; without censored samples it
is the plain quantile.

Samples are sorted by value, and of equal ones those that ended come first (`in_order`).
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.stats.arrays import Draws, Flags, Floats, Places

ALMOST: Final = 1e-9
"""A place that should be whole may lack so much of it, for lack of bits."""


def in_order(values: Floats, censored: Flags) -> Places:
    """The order that samples are to be sorted in."""
    return np.lexsort((censored, values))


def survival(weights: Draws, censored: Flags) -> Floats:
    """The share (0 to 1) of waits that go on after each sorted sample, by Kaplan and Meier.

    `weights` has a row per sample and a column per weighting, as the result has.
    """
    at_risk = np.cumsum(weights[::-1], axis=0, dtype=np.int32)[::-1].astype(np.float64)
    ends = np.where(censored[:, None], 0, weights).astype(np.float64)
    hazard = np.divide(ends, at_risk, out=np.zeros_like(ends), where=at_risk > 0)
    return np.asarray(np.cumprod(1 - hazard, axis=0))


def quantiles_of(weights: Draws, values: Floats, censored: Flags, asked: Floats) -> Floats:
    """Quantiles of sorted samples, weighted once per column: a row per column, a column per q.

    inf where the quantile lies beyond every sample.
    """
    count: NDArray[Any]
    if censored.any():
        total = weights.sum(axis=0, dtype=np.int32)
        count = total * (1 - survival(weights, censored))
    else:
        count = np.cumsum(weights, axis=0, dtype=np.int32)
        total = count[-1]
    lower, share = order_places(total, asked)
    both = _order_statistic(count, values, np.concatenate([lower, lower + 1], axis=1))
    low, high = both[:, : len(asked)], both[:, len(asked) :]
    with np.errstate(invalid="ignore"):
        between = low + (high - low) * share
    return np.where(share < ALMOST, low, np.where(np.isinf(high), np.inf, between))


def order_places(total: NDArray[Any], asked: Floats) -> tuple[Floats, Floats]:
    """Zero-based places of the samples just below each quantile, and the share of the way on."""
    place = np.maximum(total - 1, 0)[:, None] * asked
    lower = np.floor(place + ALMOST)
    return lower, np.clip(place - lower, 0.0, 1.0)


def _order_statistic(count: NDArray[Any], values: Floats, place: Floats) -> Floats:
    """The sample at each (zero-based) place of each column; inf beyond the last.

    A binary search in all columns at once for the first count above the place.
    """
    rows, column = len(count), np.arange(count.shape[1])[:, None]
    low, high = np.zeros(place.shape, np.intp), np.full(place.shape, rows, np.intp)
    for _ in range(rows.bit_length()):
        middle = (low + high) // 2
        above = count[np.minimum(middle, rows - 1), column] > place + 1e-6
        high = np.where(above, middle, high)
        low = np.where(above, low, np.minimum(middle + 1, high))
    return np.where(high >= rows, np.inf, values[np.minimum(high, rows - 1)])
