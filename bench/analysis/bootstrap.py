"""Resampling: the quantiles of samples whose sessions were drawn again, many times over.

Theory of operation
-------------------
A resample draws as many sessions as there are, with replacement, so a sample weighs as often as its
session was drawn. A quantile of a resample is where the running sum of the weights of the sorted
samples passes its place.

A thousand running sums over all samples are the cost of a report. Without censored waits they need
not be written down: the weights of `blocks` of samples are one matrix product, their running sums
say in which block each quantile lies, and only that block is looked at sample by sample. The
numbers are the same, for all of them are whole. With censored waits the weights are no longer
whole (Kaplan and Meier), and the running sums are taken in full.
"""

from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.analysis.tables import Flags, Floats

_SEED: Final = 20_240_229
_CELLS: Final = 4_000_000  # cells (sample, resample) worked on at once: 16 MB a table
_ALMOST: Final = 1e-9  # a place that should be whole, and is not for lack of bits


@cache
def draws_of(sessions: int, resamples: int) -> NDArray[np.int32]:
    """How often each session is drawn: a row per resample."""
    rng = np.random.default_rng(_SEED)
    drawn = rng.multinomial(sessions, np.full(sessions, 1 / sessions), resamples)
    return drawn.astype(np.int32)


def redrawn(
    draws: NDArray[np.int32],
    cluster: NDArray[np.intp],
    values: Floats,
    censored: Flags,
    asked: Floats,
) -> Floats:
    """The quantiles of every resample: a row per resample. `values` are sorted."""
    batch = max(1, _CELLS // len(values))
    if not censored.any():
        return _blockwise(draws, cluster, values, asked)
    columns = np.ascontiguousarray(draws.T)
    return np.concatenate(
        [
            quantiles_of(columns[:, begin : begin + batch][cluster], values, censored, asked)
            for begin in range(0, len(draws), batch)
        ]
    )


def _blockwise(
    draws: NDArray[np.int32], cluster: NDArray[np.intp], values: Floats, asked: Floats
) -> Floats:
    """The same without censored samples."""
    size = max(1, int(np.sqrt(len(values))))
    blocks = -(-len(values) // size)
    sessions = draws.shape[1]
    block = np.arange(len(values)) // size
    counts = np.bincount(block * sessions + cluster, minlength=blocks * sessions)
    weights = draws.astype(np.float64) @ counts.reshape(blocks, sessions).T.astype(np.float64)
    upto = np.cumsum(weights, axis=1)
    lower, share = _places(upto[:, -1], asked)
    low, high = (
        values[_in_block(draws, cluster, upto, place, size)]
        for place in (lower, np.minimum(lower + 1, upto[:, -1:] - 1))
    )
    return np.where(share < _ALMOST, low, low + (high - low) * share)


def _in_block(
    draws: NDArray[np.int32],
    cluster: NDArray[np.intp],
    upto: Floats,
    place: Floats,
    size: int,
) -> NDArray[np.intp]:
    """Which sample is at each (zero-based) place of each resample, by its block."""
    block = (upto[:, None, :] <= place[:, :, None] + 0.5).sum(axis=2)
    before = np.take_along_axis(upto, np.maximum(block - 1, 0), axis=1)
    left = place - np.where(block > 0, before, 0)
    sample = np.minimum(block[:, :, None] * size + np.arange(size), len(cluster) - 1)
    inside = np.cumsum(draws[np.arange(len(draws))[:, None, None], cluster[sample]], axis=2)
    within = (inside <= left[:, :, None] + 0.5).sum(axis=2)
    return np.asarray(np.minimum(block * size + within, len(cluster) - 1), np.intp)


def _places(total: Floats, asked: Floats) -> tuple[Floats, Floats]:
    """Zero-based places of the samples just below each quantile, and the share of the way on."""
    place = np.maximum(total - 1, 0)[:, None] * asked
    lower = np.floor(place + _ALMOST)
    return lower, np.clip(place - lower, 0.0, 1.0)


def quantiles_of(
    weights: NDArray[np.int32], values: Floats, censored: Flags, asked: Floats
) -> Floats:
    """Quantiles of sorted samples, weighted once per column: a row per column, a column per q.

    inf where the quantile lies beyond every sample.
    """
    below = np.cumsum(weights, axis=0, dtype=np.int32)
    total = below[-1]
    count = _kaplan_meier(weights, censored, below) if censored.any() else below
    lower, share = _places(total, asked)
    low = _order_statistic(count, values, lower)
    high = _order_statistic(count, values, lower + 1)
    with np.errstate(invalid="ignore"):
        between = low + (high - low) * share
    return np.where(share < _ALMOST, low, np.where(np.isinf(high), np.inf, between))


def _kaplan_meier(weights: NDArray[np.int32], censored: Flags, below: NDArray[np.int32]) -> Floats:
    """The expected count of samples at or below each value, censored ones redistributed."""
    at_risk = (below[-1] - below + weights).astype(np.float64)
    ends = np.where(censored[:, None], 0, weights).astype(np.float64)
    hazard = np.divide(ends, at_risk, out=np.zeros_like(ends), where=at_risk > 0)
    return np.asarray(below[-1] * (1 - np.cumprod(1 - hazard, axis=0)))


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
