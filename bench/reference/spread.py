"""What a profile may say of chance: a duration as a spread, a share of cases as a rate.

Theory of operation
-------------------
A spread is a constant number of ms or a named distribution. A rate is a number from 0 to 1, or a
table `{rate, seed}` whose seed stands in for the profile's: so one quirk can fall on other cases
while everything else that is drawn stays as it was. `bench.reference.draws` draws from both.
"""

from typing import Annotated

from msgspec import Meta, Struct

Ms = Annotated[float, Meta(ge=0, le=600_000)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Lognormal(
    Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="lognormal", tag_field="kind"
):
    """A long right tail: the logarithm is normal around that of `median_ms`."""

    median_ms: Annotated[float, Meta(gt=0, le=600_000)]
    sigma: Annotated[float, Meta(ge=0, le=5)]


class Uniform(
    Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="uniform", tag_field="kind"
):
    """Anything from `low_ms` to `high_ms`, all alike."""

    low_ms: Ms
    high_ms: Ms

    def __post_init__(self) -> None:
        if self.low_ms > self.high_ms:
            raise ValueError("low_ms is above high_ms")


class Choice(
    Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="choice", tag_field="kind"
):
    """One of the values listed, all alike; list one twice to make it likelier."""

    of_ms: Annotated[tuple[Ms, ...], Meta(min_length=1)]


Spread = Ms | Lognormal | Uniform | Choice


class Chance(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rate with a seed of its own; without one it is drawn from the profile's."""

    rate: Share
    seed: int | None = None


Rate = Share | Chance


def share_of(rate: Rate) -> float:
    """The share of cases, whatever draws them."""
    return rate.rate if isinstance(rate, Chance) else rate
