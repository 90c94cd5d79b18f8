"""Seeded chance: distributions and shares as a profile writes them, and the draws from them.

Theory of operation
-------------------
A duration is a constant number of ms or a named distribution. A rate is a number from 0 to 1, or a
table `{rate, seed}` whose seed stands in for the profile's: so one quirk can fall on other cases
while everything else that is drawn stays as it was.

Every draw has a generator of its own, seeded with the words ``seed/name/session/n``. So the n-th
think time of session 7 is the same whatever other sessions did before, whatever else session 7
drew, and however the code around it is ordered; another choice never shifts this one. A draw costs
some 10 µs, and a response makes half a dozen. Everything drawn is kept, as the truth log wants it.
"""

from collections.abc import Mapping
from random import Random
from typing import NamedTuple

from msgspec import Struct

from bench.plan.random_duration import Distribution, Share
from bench.voice.audio import NS_PER_MS


class Chance(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rate with a seed of its own; without one it is drawn from the profile's."""

    rate: Share
    seed: int | None = None


Rate = Share | Chance


def share_of(rate: Rate) -> float:
    """The share of cases, without the seed that draws them."""
    return rate.rate if isinstance(rate, Chance) else rate


class Drawn(NamedTuple):
    """One draw: its name, its count from 0, and the value drawn (ms, 0 or 1, or an index)."""

    name: str
    n: int
    value: float


class SessionDraws:
    """The random choices of one session. `drawn` lists all of them so far, in order."""

    def __init__(self, seed: int, session: int) -> None:
        self._seed = seed
        self._session = session
        self.drawn: list[Drawn] = []

    def generator(self, name: str, n: int = 0, seed: int | None = None) -> Random:
        """The generator of one choice, for choices that are many numbers (jitter)."""
        return Random(f"{self._seed if seed is None else seed}/{name}/{self._session}/{n}")

    def ns(self, name: str, distribution: Distribution, n: int = 0) -> int:
        """Draw a duration, in whole ns."""
        if isinstance(distribution, int | float):
            value = distribution
        else:
            value = distribution.ms(self.generator(name, n))
        self.drawn.append(Drawn(name, n, value))
        return round(value * NS_PER_MS)

    def happens(self, name: str, rate: Rate, n: int = 0) -> bool:
        """Draw whether something that happens in a share of all cases happens in this one."""
        share = share_of(rate)
        if share <= 0.0:
            return False
        seed = rate.seed if isinstance(rate, Chance) else None
        answer = self.generator(name, n, seed).random() < share
        self.drawn.append(Drawn(name, n, float(answer)))
        return answer

    def index(self, name: str, length: int, n: int = 0) -> int:
        """Draw one of 0 … length-1."""
        answer = self.generator(name, n).randrange(length)
        self.drawn.append(Drawn(name, n, float(answer)))
        return answer

    def among(self, name: str, shares: Mapping[str, float], n: int = 0) -> str | None:
        """Draw one of the words by their shares of all cases; None for what is left of 1."""
        point = self.generator(name, n).random()
        for place, (word, share) in enumerate(shares.items()):
            point -= share
            if point < 0.0:
                self.drawn.append(Drawn(name, n, float(place)))
                return word
        self.drawn.append(Drawn(name, n, -1.0))
        return None
