"""Seeded chance: a draw is a function of its seed, its name, its session and its count.

Theory of operation
-------------------
Every draw has a generator of its own, seeded with the words ``seed/name/session/n``. So the n-th
think time of session 7 is the same whatever other sessions did before, whatever else session 7
drew, and however the code around it is ordered; another choice never shifts this one. A rate may
bring its own seed. A draw costs some 10 µs, and a response makes half a dozen.

Everything drawn is kept, as the truth log wants it.
"""

from collections.abc import Mapping
from random import Random
from typing import NamedTuple

from bench.reference.spread import Chance, Choice, Lognormal, Rate, Spread, Uniform, share_of
from bench.voice.audio import NS_PER_MS


class Drawn(NamedTuple):
    """One draw: what was asked, for the how-manieth time, and what came (ms, share or index)."""

    name: str
    n: int
    value: float


class Draws:
    """The chance of one session. `drawn` is everything drawn so far, in order."""

    def __init__(self, seed: int, number: int) -> None:
        self._seed = seed
        self._number = number
        self.drawn: list[Drawn] = []

    def generator(self, name: str, n: int = 0, seed: int | None = None) -> Random:
        """The generator of one choice, for choices that are many numbers (jitter)."""
        return Random(f"{self._seed if seed is None else seed}/{name}/{self._number}/{n}")

    def ns(self, name: str, spread: Spread, n: int = 0) -> int:
        """A duration in ns, rounded to one ns."""
        value = self._ms(spread, name, n)
        self.drawn.append(Drawn(name, n, value))
        return round(value * NS_PER_MS)

    def happens(self, name: str, rate: Rate, n: int = 0) -> bool:
        """Whether something that befalls a share of all cases befalls this one."""
        share = share_of(rate)
        seed = rate.seed if isinstance(rate, Chance) else None
        if share <= 0.0:
            return False
        answer = self.generator(name, n, seed).random() < share
        self.drawn.append(Drawn(name, n, float(answer)))
        return answer

    def index(self, name: str, length: int, n: int = 0) -> int:
        """One of 0 … length-1."""
        answer = self.generator(name, n).randrange(length)
        self.drawn.append(Drawn(name, n, float(answer)))
        return answer

    def among(self, name: str, shares: Mapping[str, float], n: int = 0) -> str | None:
        """One of the words, each with its share of all cases; None for what is left of 1."""
        point = self.generator(name, n).random()
        for place, (word, share) in enumerate(shares.items()):
            point -= share
            if point < 0.0:
                self.drawn.append(Drawn(name, n, float(place)))
                return word
        self.drawn.append(Drawn(name, n, -1.0))
        return None

    def _ms(self, spread: Spread, name: str, n: int) -> float:
        if isinstance(spread, Lognormal):
            return spread.median_ms * self.generator(name, n).lognormvariate(0.0, spread.sigma)
        if isinstance(spread, Uniform):
            return self.generator(name, n).uniform(spread.low_ms, spread.high_ms)
        if isinstance(spread, Choice):
            return self.generator(name, n).choice(spread.of_ms)
        return spread
