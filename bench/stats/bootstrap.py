"""Resampling: the quantiles of samples whose sessions were drawn again, many times over.

Theory of operation
-------------------
A resample draws as many sessions as there are, with replacement, so a sample weighs as often as its
session was drawn. A quantile of a resample is where the running sum of the weights of the sorted
samples passes its place.

A thousand running sums over all samples are the cost of the report of a long run. Of more than
`_FEW` samples without censored waits they need not be written down: the weights of `blocks` of
samples are one matrix product, their running sums say in which block each quantile lies, and only
that block is looked at sample by sample. The numbers are the same, for all of them are whole. With
censored waits the weights are no longer whole (Kaplan and Meier), and the running sums are taken in
full.

Of few sessions the percentiles of what was drawn are too near: the 2.5th of 10 sessions is taken
at 0.9 %, as Student's t has it (Hesterberg 2014, "What teachers should know about the bootstrap",
expanded percentiles). It is seeded: the same samples give the same interval.
"""

from functools import cache
from typing import Final

import numpy as np

from bench.stats.arrays import Draws, Flags, Floats, Places
from bench.stats.distribution import normal_below, student_quantile
from bench.stats.interval import CONFIDENCE
from bench.stats.survival import ALMOST, order_places, quantiles_of

SEED: Final = 20_240_229
_FEW: Final = 1500  # samples up to which running sums over all are quicker than by blocks
_CELLS: Final = 4_000_000  # cells (sample, resample) worked on at once: 16 MB a table


@cache
def draws_of(sessions: int, resamples: int, seed: int = SEED) -> Draws:
    """How often each session is drawn: a row per resample."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(sessions, np.full(sessions, 1 / sessions), resamples)
    return drawn.astype(np.int32)


def middle(drawn: Floats, sessions: int) -> tuple[float | None, float | None]:
    """The middle 95 % of values drawn from so many sessions, infinities included; None of none."""
    drawn = np.sort(drawn)
    if not len(drawn):
        return None, None
    edge = _tail(sessions) * (len(drawn) - 1)
    return float(drawn[int(np.floor(edge))]), float(drawn[int(np.ceil(len(drawn) - 1 - edge))])


@cache
def _tail(sessions: int) -> float:
    """Which share of values drawn from so many sessions lies beyond either end of the middle 95 %.

    Less than 2.5 %, as Student's distribution is: the draws know no more than the sessions do.
    """
    reach = student_quantile(0.5 + CONFIDENCE / 2, sessions - 1)
    return normal_below(-float(np.sqrt(sessions / (sessions - 1)) * reach))


def redrawn(
    draws: Draws,
    cluster: Places,
    values: Floats,
    censored: Flags,
    asked: Floats,
) -> Floats:
    """The quantiles of every resample: a row per resample. `values` are sorted."""
    batch = max(1, _CELLS // len(values))
    if len(values) > _FEW and not censored.any():
        return _blockwise(draws, cluster, values, asked)
    columns = np.ascontiguousarray(draws.T)
    drawn = np.concatenate(
        [
            quantiles_of(columns[:, begin : begin + batch][cluster], values, censored, asked)
            for begin in range(0, len(draws), batch)
        ]
    )
    if not censored.any():  # where none of those was drawn who have samples
        drawn[np.isinf(drawn)] = values[-1]
    return drawn


def _blockwise(draws: Draws, cluster: Places, values: Floats, asked: Floats) -> Floats:
    """The same of many samples, none of them censored."""
    size = max(1, int(np.sqrt(len(values))))
    blocks = -(-len(values) // size)
    sessions = draws.shape[1]
    block = np.arange(len(values)) // size
    counts = np.bincount(block * sessions + cluster, minlength=blocks * sessions)
    weights = draws.astype(np.float64) @ counts.reshape(blocks, sessions).T.astype(np.float64)
    upto = np.cumsum(weights, axis=1)
    lower, share = order_places(upto[:, -1], asked)
    upper = np.minimum(lower + 1, upto[:, -1:] - 1).ravel()
    row = np.repeat(np.arange(len(draws)), len(asked))
    within = _Blocks(draws, cluster, upto, row, lower.ravel(), size)
    low, high = within.sample_at(lower.ravel()), within.sample_at(upper)
    beyond = np.flatnonzero(upper + 0.5 >= upto[row, within.block])  # in a later block
    later = _Blocks(draws, cluster, upto, row[beyond], upper[beyond], size)
    high[beyond] = later.sample_at(upper[beyond])
    least, most = (values[sample].reshape(lower.shape) for sample in (low, high))
    return np.where(share < ALMOST, least, least + (most - least) * share)


class _Blocks:
    """Blocks of samples, each of a resample (`row`) in which it holds a zero-based `place`.

    `upto` are the running sums of the weights of all blocks, by resample.
    """

    def __init__(
        self, draws: Draws, cluster: Places, upto: Floats, row: Places, place: Floats, size: int
    ) -> None:
        passed = (upto[row] <= place[:, None] + 0.5).sum(axis=1)
        self.block = np.minimum(passed, upto.shape[1] - 1)
        before = np.where(self.block > 0, upto[row, np.maximum(self.block - 1, 0)], 0)
        self._first, self._last = self.block * size, len(cluster) - 1
        sample = np.minimum(self._first[:, None] + np.arange(size), self._last)
        weights = draws[row[:, None], cluster[sample]]
        self._upto = np.cumsum(weights, axis=1) + before[:, None]

    def sample_at(self, place: Floats) -> Places:
        """Which sample is at a place of each of them."""
        within = (self._upto <= place[:, None] + 0.5).sum(axis=1)
        return np.asarray(np.minimum(self._first + within, self._last), np.intp)
