"""Durations that are drawn: distributions as a scenario or a profile writes them, in ms."""

from math import exp
from random import Random
from typing import Annotated

from msgspec import Meta, Struct

Ms = Annotated[float, Meta(ge=0, le=600_000)]
Share = Annotated[float, Meta(ge=0, le=1)]
"""A share of all cases."""


class Lognormal(
    Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="lognormal", tag_field="kind"
):
    """A long right tail: the logarithm is normal around that of `median_ms`."""

    median_ms: Annotated[float, Meta(gt=0, le=600_000)]
    sigma: Annotated[float, Meta(ge=0, le=5)]

    def ms(self, generator: Random) -> float:
        return self.median_ms * generator.lognormvariate(0.0, self.sigma)

    @property
    def mean_ms(self) -> float:
        return self.median_ms * exp(self.sigma**2 / 2)


class Uniform(
    Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="uniform", tag_field="kind"
):
    """Anything from `low_ms` to `high_ms`, all alike."""

    low_ms: Ms
    high_ms: Ms

    def __post_init__(self) -> None:
        if self.low_ms > self.high_ms:
            raise ValueError("low_ms is above high_ms")

    def ms(self, generator: Random) -> float:
        return generator.uniform(self.low_ms, self.high_ms)

    @property
    def mean_ms(self) -> float:
        return (self.low_ms + self.high_ms) / 2


class Discrete(
    Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="choice", tag_field="kind"
):
    """One of the values listed, all alike; list one twice to make it likelier."""

    of_ms: Annotated[tuple[Ms, ...], Meta(min_length=1)]

    def ms(self, generator: Random) -> float:
        return generator.choice(self.of_ms)

    @property
    def mean_ms(self) -> float:
        return sum(self.of_ms) / len(self.of_ms)


Drawable = Lognormal | Uniform | Discrete
"""What each draw of is another."""
Distribution = Ms | Drawable
