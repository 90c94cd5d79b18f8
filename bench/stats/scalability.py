r"""The universal scalability law: throughput against load, and where it peaks.

Theory of operation
-------------------
::

    X(N) = rate N / (1 + contention (N-1) + coherency N (N-1))

`rate` is the throughput of one session alone, `contention` (sigma) what sessions queue for, and
`coherency` (kappa) what they cost each other; throughput peaks at N* = sqrt((1-sigma) / kappa).

N/X is linear in the load: a + b (N-1) + c N (N-1), with a = 1/rate, b = sigma a, c = kappa a. So
it is fitted by least squares, weighted so that every point has the same *relative* error (the
weights are those of the fit before, until they settle), with a, b, c at least zero (scipy's
`nnls`). Sigma, kappa and N*² = (a-b) / c are ratios of such coefficients: their intervals are
Fieller's, exact for errors that are normal, also with the few points of a search. (A bootstrap of
eight points knows too little, and a symmetric interval of a ratio is wrong where it matters: near
kappa = 0, where the peak's interval has no end.) `tests/stats/test_scalability.py` shows that they
cover.

The law describes; it knows no queue with a hard limit, and a cliff is no curve. So a peak is not
stated where it would be an extrapolation.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import nnls

from bench.stats.arrays import Floats
from bench.stats.distribution import student_quantile
from bench.stats.interval import CONFIDENCE, Interval

FEWEST_LOADS: Final = 4
_ROUNDS: Final = 20
_SETTLED: Final = 1e-9


class Scalability(NamedTuple):
    """The law fitted to points. `peak` is None where `refusal` says why none is stated.

    `rate`: throughput of one session alone, in the unit of the points. `peak`: a load, in
    sessions. `loads`: distinct loads fitted to. `coefficients` (a, b, c of N/X), their
    `covariance` (3 × 3) and `quantile` (Student's, for 95 %) are what `throughput` works from.
    """

    rate: Interval
    contention: Interval
    coherency: Interval
    peak: Interval | None
    refusal: str
    loads: int
    coefficients: Floats
    covariance: Floats
    quantile: float

    def throughput(self, loads: ArrayLike) -> tuple[Floats, Floats, Floats]:
        """The curve at some loads and the ends of its 95 % interval, pointwise.

        The upper end is infinite where the points leave it open.
        """
        at = np.asarray(loads, np.float64)
        design = _design(at)
        each = design @ self.coefficients
        half = self.quantile * np.sqrt(np.einsum("ij,jk,ik->i", design, self.covariance, design))
        with np.errstate(divide="ignore"):
            ends = at / each, at / (each + half), at / np.maximum(each - half, 0)
        value, low, high = (np.asarray(end, np.float64) for end in ends)
        return value, low, high


def fit_scalability(loads: Sequence[float], rates: Sequence[float]) -> Scalability:
    """Fit the law to good turns a second (`rates`) at sessions in flight (`loads`).

    ValueError, saying why, where there is nothing to fit: fewer than four distinct loads, a load or
    rate that is not above zero, throughput that no such law describes.
    """
    at, seen = np.asarray(loads, np.float64), np.asarray(rates, np.float64)
    if at.shape != seen.shape or at.ndim != 1:
        raise ValueError(f"{at.size} loads and {seen.size} rates; give one rate for each load")
    if not (np.isfinite(at).all() and np.isfinite(seen).all() and (at > 0).all()):
        raise ValueError("a load must be above zero, and every load and rate a number")
    if not (seen > 0).all():
        dead = at[seen <= 0].min()
        raise ValueError(f"no good turns at {dead:g} sessions: the law has no zero; leave it out")
    distinct = len(np.unique(at))
    if distinct < FEWEST_LOADS:
        raise ValueError(f"{distinct} distinct loads; the law needs {FEWEST_LOADS} at least")
    fitted, free, covariance = _fit(_design(at), at / seen)
    if fitted[0] <= 0:
        raise ValueError(
            "throughput falls too steeply to tell that of one session alone; add lower loads"
        )
    quantile = float(student_quantile((1 + CONFIDENCE) / 2, at.size - 3))
    one, serial, mutual = np.eye(3)
    ratio = _Ratios(fitted, free, covariance, quantile)
    inverse = ratio.of(one, np.zeros(3))
    rate = Interval(1 / inverse.value, 1 / inverse.high, 1 / inverse.low if inverse.low else np.inf)
    contention, coherency = ratio.of(serial, one), ratio.of(mutual, one)
    peak, refusal = None, _refusal(contention, coherency, float(at.max()))
    if not refusal:
        square = ratio.of(one - serial, mutual)
        peak = Interval(*(math.sqrt(each) for each in square))
    return Scalability(
        rate, contention, coherency, peak, refusal, distinct, fitted, covariance, quantile
    )


def law(load: float, rate: float, contention: float, coherency: float) -> float:
    """Throughput at a load, in the unit of `rate`."""
    return rate * load / (1 + contention * (load - 1) + coherency * load * (load - 1))


def _design(at: Floats) -> Floats:
    """What a, b and c are multiplied by: a row a load."""
    return np.column_stack([np.ones_like(at), at - 1, at * (at - 1)])


def _fit(design: Floats, each: Floats) -> tuple[Floats, Floats, Floats]:
    """(a, b, c at least zero; a, b, c free of that; covariance of the free) of `each` = N/X."""
    scale = each
    for _ in range(_ROUNDS):
        before = scale
        fitted, _ = nnls(design / scale[:, None], each / scale)
        scale = np.maximum(design @ fitted, 1e-6 * each)
        if np.allclose(scale, before, rtol=_SETTLED, atol=0):
            break
    weighted = design / scale[:, None]
    free = np.linalg.lstsq(weighted, each / scale, rcond=None)[0]
    left = each / scale - weighted @ free
    spread = float(left @ left) / (each.size - 3)
    inverse = np.linalg.pinv(weighted)
    covariance = np.asarray(spread * inverse @ inverse.T, np.float64)
    return np.asarray(fitted, np.float64), np.asarray(free, np.float64), covariance


class _Ratios(NamedTuple):
    """Ratios of linear combinations of the coefficients, with Fieller's intervals."""

    fitted: Floats
    free: Floats
    covariance: Floats
    quantile: float

    def of(self, above: Floats, below: Floats) -> Interval:
        """The ratio of two combinations (`below` all zero: of the first to 1), at least zero.

        A bound is infinite where the one below may be zero.
        """
        plain = not below.any()
        value = float(above @ self.fitted / (1.0 if plain else below @ self.fitted))
        up = max(0.0, float(above @ self.free))
        down = 1.0 if plain else float(below @ self.free)
        square = self.quantile**2
        # All ratios r with (up - r down)² <= t² var(up - r down): an interval between two roots.
        first = down**2 - square * float(below @ self.covariance @ below)
        middle = up * down - square * float(above @ self.covariance @ below)
        last = up**2 - square * float(above @ self.covariance @ above)
        if first <= 0:
            return Interval(value, 0.0, math.inf)
        root = math.sqrt(max(middle**2 - first * last, 0.0))
        low, high = (middle - root) / first, (middle + root) / first
        return Interval(value, min(max(low, 0.0), value), max(high, value))


def _refusal(contention: Interval, coherency: Interval, last: float) -> str:
    """Why no peak is stated, or ""."""
    if coherency.low <= 0:
        return (
            f"the points do not show that throughput peaks at all (95 % interval of coherency 0 to "
            f"{coherency.high:.2g}): search further, or hold each load for longer"
            if math.isfinite(coherency.high)
            else "the points do not tell where throughput peaks: search further, or hold each load "
            "for longer"
        )
    if contention.value >= 1:
        return "throughput falls from the first session on: there is no peak to state"
    peak = math.sqrt((1 - contention.value) / coherency.value)
    if peak > last:
        return (
            f"the sweep ended at {last:.3g} sessions, before the fitted peak of {peak:.0f}: "
            "search further to see it"
        )
    return ""
