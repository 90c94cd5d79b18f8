"""Loads: those of a run that goes in steps, and any in words, the same wherever one is told."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench.digits import grouped
from bench.voice.audio import NS_PER_MS


class Step(NamedTuple):
    """So many sessions for so long, ns."""

    sessions: int
    length: int


def stage_texts(steps: Sequence[Step]) -> Iterator[str]:
    """Each step as a stage of a scenario. What it adds comes over its first half."""
    before = [steps[0], *steps]
    for last, (sessions, length) in zip(before, steps, strict=False):
        over = length // 2 if sessions > last.sessions else 0
        yield (
            f'{{ sessions = {sessions}, length = "{length // NS_PER_MS}ms", '
            f'over = "{over // NS_PER_MS}ms" }}'
        )


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
