"""A figure and how far it can be trusted."""

from typing import Final, NamedTuple

Z: Final = 1.96
"""Standard errors that 95 % of a normal distribution lie within, on either side."""


class Interval(NamedTuple):
    """A figure and its 95 % interval, in one unit. A bound may be infinite."""

    value: float
    low: float
    high: float
