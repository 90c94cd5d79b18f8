"""Durations and rates as people write them: "500ms", "30s", "2m", "2/s"."""

import re

from bench.voice.audio import NS_PER_MS, NS_PER_S

_UNITS_NS = {"ms": NS_PER_MS, "s": NS_PER_S, "m": 60 * NS_PER_S, "h": 3600 * NS_PER_S}
_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h)\s*")
_RATE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*/\s*(s|m|h)\s*")


_MOST_NS = 100_000 * _UNITS_NS["h"]
"""Eleven years: far below what 64 bits hold, so that sums of some are exact, too."""
_RATES = (1 / 86_400, 100_000.0)
"""The least and the most, a second: once a day, and more than any machine connects."""


def _shown(text: object) -> str:
    shown = repr(text) if isinstance(text, str | int | float | bool) else type(text).__name__
    return shown if len(shown) <= 40 else f"{shown[:39]}…"


class Duration(int):
    """A length of time in nanoseconds, zero to eleven years, that was written with its unit."""

    @classmethod
    def parse(cls, text: object) -> "Duration":
        """ValueError where `text` is no duration."""
        match = _DURATION.fullmatch(text) if isinstance(text, str) else None
        if not match:
            raise ValueError(f"{_shown(text)} is no duration; write it with its unit, as in '30s'")
        length = float(match[1]) * _UNITS_NS[match[2]]
        if length > _MOST_NS:
            raise ValueError(f"{_shown(text)} is longer than 100000h, the most there is")
        return cls(round(length))


class Rate(float):
    """Something a second, from once a day to 100000/s, that was written with its unit."""

    @classmethod
    def parse(cls, text: object) -> "Rate":
        """ValueError where `text` is no rate."""
        match = _RATE.fullmatch(text) if isinstance(text, str) else None
        if not match:
            raise ValueError(f"{_shown(text)} is no rate; write it as in '2/s'")
        value = cls(float(match[1]) * NS_PER_S / _UNITS_NS[match[2]])
        if value <= 0:
            raise ValueError("a rate must be above zero")
        if not _RATES[0] * 0.999 <= value <= _RATES[1]:
            raise ValueError(f"{_shown(text)}: give a rate from once a day to 100000/s")
        return value
