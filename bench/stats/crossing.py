"""Up to which load does an objective hold? The crossing of its limit, with an interval.

Theory of operation
-------------------
Each load that was tried gives a *margin*: how far the objective is from its limit, above zero where
it holds. An objective on turns (a quantile, a share) has the share of turns that met it, less the
share that is promised: what that share is over a long time is what is asked, and shares of several
tries average without bias, where their quantiles would not.

Margins are made to fall with the load (isotonic regression, weighted by turns). The crossing lies
between the last load whose margin is zero or more and the first below it. Nothing is supposed of
the curve in between, so that gap is a part of the interval; the point within it is interpolated.

*Interval*: 95 %, from redrawn margins. Turns of one try are far from independent, even those of
different sessions, for all wait in one queue; so they are counted by *segments* of time as long as
a session, and what segments (and tries at like loads) differ by beyond the binomial is the design
effect. A share is redrawn from the beta distribution on the effective number of turns, the design
effect itself from what so few segments leave open of it. That the interval holds the truth 95 times
in a hundred is simulated in the tests.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from bench.stats.arrays import Floats
from bench.stats.interval import CONFIDENCE

RESAMPLES: Final = 400
_SEED: Final = 20_261_128
_PRIOR: Final = (6.0, 2.0)
"""Before anything is known the design effect counts as this one, measured in so many segments."""
_HALF: Final = 0.5
"""Of a turn, on either side: where none failed, some might have (Jeffreys' prior)."""
_CLEAR: Final = 0.2
"""Where fewer turns meet the objective nothing is learnt about the spread at its crossing."""


class Share(NamedTuple):
    """Turns at one load: by segment of time how many met the objective (`met`), of how many."""

    load: float
    met: Floats
    of: Floats

    @property
    def weight(self) -> float:
        """Turns."""
        return float(self.of.sum())

    @property
    def share(self) -> float:
        """The share that met it, 0 to 1."""
        return float(self.met.sum()) / self.weight


class Level(NamedTuple):
    """A margin at one load that is no share of turns, in any unit, and its standard error."""

    load: float
    margin: float
    error: float = 0.0


class Crossing(NamedTuple):
    """Where an objective ceases to hold.

    value:     the load at which it does, interpolated; infinite where it held at all, 0 at none
    low, high: 95 %: it holds at `low` (0: at none that was tried), and not at `high` (infinite:
               none was tried at which it does not)
    held, lost: the last load at which it holds and the first at which it does not, by the fit
    drawn:     (held, lost) of every resample, a row each
    effect:    variance of a share over the binomial's
    """

    value: float
    low: float
    high: float
    held: float
    lost: float
    drawn: Floats
    effect: float = 1.0


def crossing(found: Sequence[Share | Level], promised: float = 0.0) -> Crossing:
    """The crossing of an objective that was tried at some loads, one at least, in any order.

    All are shares, or all are levels.

    `promised`: of shares, what share of turns must meet it.
    """
    load = np.array([one.load for one in found])
    margin, weight, redraw, effect = _margins(found, promised)
    at, place = np.unique(load, return_inverse=True)
    total = np.bincount(place, weight)
    point = _last_held(at, _fitted(place, total, margin * weight))
    drawn = np.empty((RESAMPLES, 2))
    if redraw is None:
        drawn[:] = point[::2]
        return _crossing(point, drawn, effect)
    rng = np.random.default_rng(_SEED)
    for row in range(RESAMPLES):
        drawn[row] = _last_held(at, _fitted(place, total, redraw(rng) * weight))[::2]
    return _crossing(point, drawn, effect)


def first_of(crossings: Sequence[Crossing]) -> Crossing:
    """The crossing of several objectives that must all hold: wherever the first of them ends."""
    if len(crossings) == 1:
        return crossings[0]
    held = min(one.held for one in crossings)
    lost = min(one.lost for one in crossings)
    value = min(one.value for one in crossings)
    drawn = np.min([one.drawn for one in crossings], axis=0)
    return _crossing((held, value, lost), drawn, max(one.effect for one in crossings))


def _crossing(point: tuple[float, float, float], drawn: Floats, effect: float) -> Crossing:
    tail = (1 - CONFIDENCE) / 2
    low, high = (
        float(np.quantile(drawn[:, column], edge, method="nearest"))
        for column, edge in ((0, tail), (1, 1 - tail))
    )
    held, value, lost = point
    return Crossing(value, min(low, held), max(high, lost), held, lost, drawn, effect)


def _fitted(place: NDArray[np.intp], total: NDArray[Any], weighted: NDArray[Any]) -> Floats:
    """Margins by distinct load, falling."""
    mean = np.bincount(place, weighted) / total
    return np.asarray(isotonic_regression(mean, weights=total, increasing=False).x, np.float64)


def _last_held(at: Floats, margin: Floats) -> tuple[float, float, float]:
    """(the last load that holds, where the margin is zero, the first load that does not)."""
    if margin[0] < 0:
        return 0.0, 0.0, float(at[0])
    if margin[-1] >= 0:
        return float(at[-1]), np.inf, np.inf
    lost = int(np.argmax(margin < 0))
    begin, end = float(at[lost - 1]), float(at[lost])
    above, below = float(margin[lost - 1]), float(margin[lost])
    return begin, begin + (end - begin) * above / (above - below), end


class _Margins(NamedTuple):
    """Margins by try, what each weighs, how they are drawn again, and the design effect.

    `redraw` is None where margins are exact.
    """

    margin: Floats
    weight: Floats
    redraw: Callable[[np.random.Generator], Floats] | None
    effect: float


def _margins(found: Sequence[Share | Level], promised: float) -> _Margins:
    levels = [one for one in found if isinstance(one, Level)]
    if levels:
        margin, error = (
            np.array(column) for column in zip(*(one[1:] for one in levels), strict=True)
        )
        ones = np.ones(len(levels))
        if not error.any():
            return _Margins(margin, ones, None, 1.0)
        return _Margins(margin, ones, lambda rng: rng.normal(margin, error), 1.0)
    shares = [one for one in found if isinstance(one, Share)]
    weight = np.array([one.weight for one in shares])
    share = np.array([one.share for one in shares])
    effect, degrees = design_effect(shares)
    met, missed = share * weight + _HALF, (1 - share) * weight + _HALF

    def redraw(rng: np.random.Generator) -> Floats:
        drawn = max(1.0, effect * degrees / rng.chisquare(degrees))
        return np.asarray(rng.beta(met / drawn, missed / drawn) - promised)

    return _Margins(share - promised, weight, redraw, effect)


def design_effect(found: Sequence[Share], *, between: bool = True) -> tuple[float, float]:
    """How many times the binomial's variance a share has, from segments and from like loads.

    And in how many degrees of freedom that was measured.
    Without `between` from segments alone: then a load that falls out of the order makes none.
    """
    degrees, effect = _PRIOR
    squares = degrees * effect
    for one in found:
        share = one.share
        if len(one.of) > 1 and _CLEAR < share < 1:
            left = one.met - share * one.of
            squares += float(left @ left) / float(one.of.mean()) / (share * (1 - share))
            degrees += len(one.of) - 1
    if not between:
        return max(1.0, squares / degrees), degrees
    load = np.array([one.load for one in found])
    weight = np.array([one.weight for one in found])
    share_of = np.array([one.share for one in found])
    place = np.unique(load, return_inverse=True)[1]
    fit = _fitted(place, np.bincount(place, weight), share_of * weight)[place]
    clear = (fit > _CLEAR) & (fit < 1)
    if clear.any():
        off = (share_of - fit)[clear] ** 2 * weight[clear] / (fit * (1 - fit))[clear]
        squares += float(off.sum())
        degrees += max(0, int(clear.sum()) - 2)
    return max(1.0, squares / degrees), degrees
