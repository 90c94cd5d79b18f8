"""Loads in words: the same wherever a capacity is told, in its document, on a page, a terminal."""

from bench.digits import grouped


def amount(load: float) -> str:
    """A load as a number: three digits, or as many as a whole one has."""
    if load == round(load) or load >= 100:
        return grouped(load)
    return f"{load:.3g}"


def load_interval(low: float | None, high: float | None) -> str:
    """An interval of loads in brackets; empty where neither end is known."""
    if low is None and high is None:
        return ""
    return f"[{'0' if low is None else amount(low)}, {'∞' if high is None else amount(high)}]"


def load_words(load: str) -> str:
    """What a load counts, "sessions" or "arrivals" as the document has it."""
    return "sessions held" if load == "sessions" else "session starts a second"
