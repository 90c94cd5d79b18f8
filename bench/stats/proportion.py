"""Shares and rates of events, with their exact intervals."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.plan import gates
from bench.stats.arrays import Flags
from bench.stats.distribution import beta_quantile, gamma_quantile
from bench.stats.interval import CONFIDENCE, Estimate, variance_of_sum

FEW_SESSIONS: Final = gates.FEW_SESSIONS
"""With fewer the likeness within sessions cannot be told from chance."""
ALIKE: Final = 0.2
"""The correlation of yes and no within sessions that is supposed where none can be measured. Where
nothing but whole sessions fail, of ten turns each, a share at its limit then passes wrongly in
under 2 % with up to a hundred sessions, in 12 % with 200, simulated: without it in 37 to 60 %."""
_TAIL: Final = (1 - CONFIDENCE) / 2


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
    effect = 1.0
    if len(sizes) > 1 and 0 < share < 1 and len(sizes) < n:
        error = np.sqrt(variance_of_sum(np.bincount(cluster, weights=yes - share)))
        effect = max(effect, float(error**2 / (n * share * (1 - share))))
    if share in {0.0, 1.0} or len(sizes) < FEW_SESSIONS:
        effect = max(effect, 1 + ALIKE * (float(np.square(sizes).sum()) / n - 1))
    size = n / effect
    low, high = exact(share, size)
    return Estimate(100 * share, 100 * low, 100 * high, n, size)


def exact(share: float, n: float) -> tuple[float, float]:
    """The exact (Clopper-Pearson) interval of a share, 0 to 1, of so many samples."""
    hits = share * n
    low = 0.0 if share == 0 else beta_quantile(_TAIL, hits, n - hits + 1)
    high = 1.0 if share == 1 else beta_quantile(1 - _TAIL, hits + 1, n - hits)
    return low, high


def per_attempt(events: int, n: int) -> Estimate:
    """Events per attempt in %, which may pass 100, with the exact Poisson (Garwood) interval."""
    if not n:
        return Estimate(None)
    low = 0.0 if events == 0 else gamma_quantile(_TAIL, events)
    high = gamma_quantile(1 - _TAIL, events + 1)
    return Estimate(100 * events / n, 100 * low / n, 100 * high / n, n)
