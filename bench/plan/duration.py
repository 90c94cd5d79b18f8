"""Durations and rates as people write them: "500ms", "30s", "2m", "2/s"."""

import re

from bench.voice.audio import NS_PER_MS, NS_PER_S

_UNITS_NS = {"ms": NS_PER_MS, "s": NS_PER_S, "m": 60 * NS_PER_S, "h": 3600 * NS_PER_S}
_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h)\s*")
_RATE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*/\s*(s|m|h)\s*")


class Duration(int):
    """A length of time in nanoseconds, zero or more, that was written with its unit."""

    @classmethod
    def parse(cls, text: object) -> "Duration":
        """ValueError where `text` is no duration."""
        match = _DURATION.fullmatch(text) if isinstance(text, str) else None
        if not match:
            raise ValueError(f"{text!r} is no duration; write it with its unit, as in '30s'")
        return cls(round(float(match[1]) * _UNITS_NS[match[2]]))


class Rate(float):
    """Something a second, more than zero, that was written with its unit."""

    @classmethod
    def parse(cls, text: object) -> "Rate":
        """ValueError where `text` is no rate."""
        match = _RATE.fullmatch(text) if isinstance(text, str) else None
        if not match:
            raise ValueError(f"{text!r} is no rate; write it as in '2/s'")
        value = cls(float(match[1]) * NS_PER_S / _UNITS_NS[match[2]])
        if value <= 0:
            raise ValueError("a rate must be above zero")
        return value
