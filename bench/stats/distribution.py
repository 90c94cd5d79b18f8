"""Quantiles and tails of the distributions that intervals are made of.

They are the figures of `scipy.stats`, bit for bit, from the functions of `scipy.special` that it
calls itself: importing it takes three times as long as all else that an analysis imports.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from bench.stats.arrays import Floats


def normal_quantile(q: float) -> float:
    """Of the standard normal distribution: the value that a share `q` lies below."""
    return float(special.ndtri(q))


def normal_below(x: float) -> float:
    """The share (0 to 1) of a standard normal distribution that lies below `x`."""
    return float(special.ndtr(x))


def student_quantile(q: ArrayLike, freedom: ArrayLike) -> Floats:
    """Of Student's t: the value that a share `q` lies below; NaN where `freedom` is not above 0."""
    return np.asarray(special.stdtrit(freedom, q))


def student_beyond(t: ArrayLike, freedom: ArrayLike) -> Floats:
    """The share (0 to 1) of Student's t that lies above `t`."""
    return np.asarray(special.stdtr(freedom, -np.asarray(t)))


def beta_quantile(q: float, a: float, b: float) -> float:
    """Of the beta distribution with shapes `a` and `b`, both above 0."""
    return float(special.betaincinv(a, b, q))


def gamma_quantile(q: float, shape: float) -> float:
    """Of the gamma distribution with scale 1 and a `shape` above 0."""
    return float(special.gammaincinv(shape, q))


def binomial_quantile(q: float, n: int, share: float) -> int:
    """The least number of hits, of `n` tries, that is not exceeded with probability `q`."""
    hits = int(np.ceil(special.bdtrik(q, n, share)))
    # The inverse is a real number: a whole one may come out just above itself.
    return hits - 1 if hits and special.bdtr(hits - 1, n, share) >= q else hits
