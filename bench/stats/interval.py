"""A figure and how far it can be trusted."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.plan import gates

CONFIDENCE: Final = gates.CONFIDENCE
Z: Final = 1.96
"""Standard errors that 95 % of a normal distribution lie within, on either side."""


class Interval(NamedTuple):
    """A figure and its 95 % interval, in one unit. A bound may be infinite."""

    value: float
    low: float
    high: float


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


def variance_of_sum(residuals: NDArray[Any]) -> float:
    """The variance of the sum of what each session adds; NaN where there is only one."""
    count = len(residuals)
    return float(count / (count - 1) * np.square(residuals).sum()) if count > 1 else np.nan
