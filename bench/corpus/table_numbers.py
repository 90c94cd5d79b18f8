"""Seconds as tables state them: which part of a recording a row speaks of."""

import math
from typing import Final

from bench.data_file import first_line

MOST_S: Final = 1_000_000.0
"""Seconds: more than any recording has, and few enough to be reckoned with."""
_TO_THE_END: Final = -1.0  # what Kaldi writes for the end of a recording
_MOST_SHOWN: Final = 40


class NumberError(ValueError):
    """A number of a table that is none or is out of bounds; it says which, and what to give."""


def part(start: object, length: object) -> tuple[float | None, float | None]:
    """Where a part begins and how long it is, by the columns `offset` and `duration`.

    (None, None) where no beginning is stated: then the row is of the whole. `NumberError` for what
    is no number of seconds.
    """
    begin = _seconds("offset", start)
    if begin is None:
        return None, None
    long = _seconds("duration", length)
    if long == 0:
        raise NumberError("duration is 0; give the seconds that the part is long")
    return begin, long


def segment(times: list[str]) -> tuple[float, float | None]:
    """Where a segment begins and how long it is, by its begin and end; None is to the end.

    An end of -1 means that, too. `NumberError` for what is no part of a recording.
    """
    begin = _seconds("begin", times[0] if times else None)
    if begin is None or len(times) < 2:
        raise NumberError("has no begin and end; give recording, begin and end")
    if _number(times[1]) == _TO_THE_END:
        return begin, None
    end = _seconds("end", times[1])
    if end is None or end <= begin:
        raise NumberError(f"end {times[1]} is not behind begin {times[0]}; give seconds")
    return begin, end - begin


def _seconds(name: str, value: object) -> float | None:
    """A number of seconds, None where nothing is stated."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    found = _number(value)
    if not math.isfinite(found) or not 0 <= found <= MOST_S:
        shown = first_line(repr(value))[:_MOST_SHOWN]
        raise NumberError(f"{name} is {shown}; give seconds from 0 to {MOST_S:.0f}")
    return found


def _number(value: object) -> float:
    """A value as a number; what is none is no finite number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan
