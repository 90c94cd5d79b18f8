"""A figure and how far it can be trusted."""

from typing import NamedTuple


class Interval(NamedTuple):
    """A figure and its 95 % interval, in one unit. A bound may be infinite."""

    value: float
    low: float
    high: float
