"""Which load to try next: the search for the capacity, as a function of what was tried.

Theory of operation
-------------------
1. *Bracket*: short tries at doubled (or halved) loads until one holds and a higher one does not,
   then in the middle between them while they are more than a quarter apart.
2. *Refine*: whole tries, the first at the crossing as it is estimated then, each further one on the
   side where the interval reaches farther, half as far out. Enough of them near the crossing (more
   where the interval is wide or has no end), or an interval that is narrow enough, end this.
3. *Hold*: a long try at the answer. One that holds settles it: the answer is what was held, even
   where the crossing is then estimated higher. One that does not lowers it, to half-way between
   there and the lower end of the interval, and that is held, once more.

Every tier of objectives has its own crossing and shares the tries of the others. Nothing is
remembered beside the tries: `next_try` of the same list is the same, so a search that was stopped
goes on. Tries that say nothing (aborted, or the generator was unfit) are not in the list.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor, inf, sqrt
from typing import Final, Literal, NamedTuple

from bench.stats.crossing import Crossing, Level, Share, crossing, design_effect, first_of

Purpose = Literal["bracket", "refine", "hold"]

APART: Final = 1.25
"""Bracketing ends where the load that does not hold is at most so many times the one that does."""
REFINING: Final = (4, 5)
"""Whole tries near the crossing of each tier before it is held; and where its interval is wide."""
WIDE: Final = 0.2
"""An interval is wide that is wider than this share of its answer."""
NEAR: Final = 0.25
"""A try is near a crossing where it is off by no more than this share of it."""
NARROW: Final = 0.03
"""An interval that is no wider than this share of its answer needs no more tries."""
HOLDS: Final = 2
GROWTH: Final = 1.25
"""Each step of a ramp is so many times the one before."""
_STEP: Final = (0.03, 0.12)
"""How far from the crossing a try may be, as shares of it."""


@dataclass(frozen=True)
class Objective:
    """What each try says of one gate (None: nothing), and the share that the gate promises."""

    gate: str
    found: tuple[Share | Level | None, ...]
    promised: float = 0.0

    @cached_property
    def crossing(self) -> Crossing | None:
        """Where it ceases to hold; None where no try says anything of it."""
        known = [one for one in self.found if one is not None]
        return crossing(known, self.promised) if known else None


class Try(NamedTuple):
    """One load that was tried, and for what."""

    load: float
    purpose: Purpose


class Tried(NamedTuple):
    """All tries so far, and by tier its objectives, each of which has an entry for every try."""

    tries: tuple[Try, ...]
    tiers: Mapping[str, tuple[Objective, ...]]


class Range(NamedTuple):
    """Where the search may go: the first load, the least and the most.

    `step` is the least difference between loads: 1 for sessions. `most` is itself allowed.
    """

    first: float
    most: float
    step: float = 1.0

    def rounded(self, load: float) -> float:
        """The nearest load that may be tried."""
        return min(self.most, max(self.step, round(load / self.step) * self.step))


class Answer(NamedTuple):
    """A tier's capacity: the greatest load that holds, and which gate ends it ("": none does).

    `low` and `high` are loads that may hold: high is infinite where none was found that does not.
    `confirmed`: it was held.
    """

    capacity: float
    low: float
    high: float
    binding: str
    confirmed: bool
    crossing: Crossing


def answer(tried: Tried, tier: str, scope: Range) -> Answer:
    """The capacity of a tier as far as it is known; there must be a try."""
    ends = {one.gate: one.crossing for one in tried.tiers[tier]}
    by_gate = {gate: end for gate, end in ends.items() if end is not None}
    found = first_of(list(by_gate.values()))
    binding = min(by_gate, key=lambda gate: (by_gate[gate].value, by_gate[gate].high))
    capacity = found.held if found.value == inf else _below(found.value, scope)
    holds = {place: one.load for place, one in enumerate(tried.tries) if one.purpose == "hold"}
    margins = {place: _margins(tried, tier, place) for place in holds}
    held = max((holds[at] for at, each in margins.items() if min(each) >= 0), default=0.0)
    lost = min((holds[at] for at, each in margins.items() if -inf < min(each) < 0), default=inf)
    if lost < inf:
        half_way = min(_below((found.low + lost) / 2, scope), lost - scope.step)
        capacity = max(0.0, min(capacity, half_way))
    if held >= found.low > 0:  # below its interval it was that of another tier
        capacity = min(capacity, held)
    whole = scope.step == 1
    return Answer(
        capacity,
        low=min(found.low, capacity),
        high=max(found.high - 1 if whole else found.high, capacity),
        binding=binding if found.value < inf else "",
        confirmed=held >= capacity > 0,
        crossing=found,
    )


def next_try(tried: Tried, scope: Range) -> Try | None:
    """The next load to try; None: the search is at its end."""
    if not tried.tries:
        return Try(scope.rounded(scope.first), "bracket")
    answers = {tier: answer(tried, tier, scope) for tier in tried.tiers}
    for stage in (_bracket, _refine, _hold):
        for tier, found in answers.items():
            if (wanted := stage(tried, tier, found, scope)) is not None:
                return wanted
    return None


def _bracket(tried: Tried, _tier: str, found: Answer, scope: Range) -> Try | None:
    loads = [one.load for one in tried.tries]
    held, lost = found.crossing.held, found.crossing.lost
    if lost == inf:
        load = scope.rounded(2 * max(loads))
    elif held == 0:
        load = scope.rounded(min(loads) / 2)
    elif lost > APART * held and lost - held > scope.step:
        load = scope.rounded(sqrt(held * lost))
    else:
        return None
    return None if load in loads else Try(load, "bracket")


def _refine(tried: Tried, _tier: str, found: Answer, scope: Range) -> Try | None:
    at = found.crossing.value
    if not 0 < at < inf:
        return None
    if found.crossing.high < inf and any(one.purpose == "hold" for one in tried.tries):
        return None
    whole = [one.load for one in tried.tries if one.purpose != "bracket"]
    near = sum(abs(load - at) <= NEAR * at for load in whole)
    low, high = found.crossing.low, found.crossing.high
    width = (found.high - found.low) / at
    if near and (width <= NARROW or near >= REFINING[width > WIDE]):
        return None
    if not near:
        return Try(scope.rounded(at), "refine")
    above, below = min(high, 2 * at) - at, at - low
    step = min(max(max(above, below) / 2, _STEP[0] * at), _STEP[1] * at)
    load = at + step if above > below else at - step
    outward = ceil(load / scope.step) if above > below else floor(load / scope.step)
    return Try(scope.rounded(outward * scope.step), "refine")


def _hold(tried: Tried, _tier: str, found: Answer, scope: Range) -> Try | None:
    if found.confirmed or found.capacity < scope.step:
        return None
    if sum(one.purpose == "hold" for one in tried.tries) >= HOLDS * len(tried.tiers):
        return None
    return Try(scope.rounded(found.capacity), "hold")


def _margins(tried: Tried, tier: str, place: int) -> list[float]:
    """By objective of a tier how far it was from its limit in that try; -inf: it said nothing."""
    found = [(one.found[place], one.promised) for one in tried.tiers[tier]]
    return [
        -inf if one is None
        else one.share - promised if isinstance(one, Share)
        else one.margin
        for one, promised in found
    ]  # fmt: skip


def _below(load: float, scope: Range) -> float:
    """The greatest load that may be tried and is not above this one."""
    return floor(load / scope.step + 1e-9) * scope.step


def unlike_order(tried: Tried, tier: str) -> tuple[float, float] | None:
    """(a load that did not hold, a higher one that did) by more than chance explains, if any.

    Tries are compared one by one: a share by three standard errors with the design effect.
    """
    for one in tried.tiers[tier]:
        known = [found for found in one.found if found is not None]
        shares = [found for found in known if isinstance(found, Share)]
        effect = design_effect(shares, between=False)[0] if shares else 1.0
        sure = [(found.load, _sign(found, one.promised, effect)) for found in known]
        lost = [load for load, sign in sure if sign < 0]
        held = [load for load, sign in sure if sign > 0]
        if lost and held and min(lost) < max(held):
            return min(lost), max(held)
    return None


def _sign(found: Share | Level, promised: float, effect: float) -> int:
    """1: it surely held, -1: it surely did not, 0: nobody knows."""
    if isinstance(found, Level):
        margin, error = found.margin, found.error
    else:
        share = (found.share * found.weight + 1) / (found.weight + 2)
        margin = share - promised
        error = sqrt(share * (1 - share) * effect / found.weight)
    return (margin > 3 * error) - (margin < -3 * error)
