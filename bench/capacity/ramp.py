"""A quick look at a capacity: one run whose load rises in steps.

Each step is two sessions long, and the second half of it counts. What the steps before have left (a
queue, a cache, heat) is in it, and it has few turns: so its answer is coarser than a search's.
"""

from collections.abc import Sequence
from typing import Final

from bench.plan.duration import Duration
from bench.plan.scenario import Step
from bench.voice.audio import NS_PER_MS

GROWTH: Final = 1.25
"""Each step is so many times the one before."""
REACH: Final = 8.0
"""A ramp ends at so many times its first step, or where a limit ends it."""
_STEP_SESSIONS: Final = 2.0
"""Length of a step, in whole sessions: half of it to fill up, half to measure."""
_MORE: Final = 0.02
"""Good turns a second that grow by less than this share have not grown."""


def ramp_steps(first: float, most: float, session_s: float) -> list[Step]:
    """The steps of a ramp from `first` sessions to `REACH` times that, or to `most`."""
    length = Duration(round(1000 * _STEP_SESSIONS * session_s) * NS_PER_MS)
    counts, at, end = [], first, min(most, REACH * first)
    while at < end:
        counts.append(round(at))
        at = max(at * GROWTH, at + 1)
    counts.append(round(end))
    return [Step(count, length) for count in dict.fromkeys(counts)]


def saturation(points: Sequence[tuple[float, float]]) -> float | None:
    """The load from which on no step has more good turns a second; None: they grew to the end.

    `points`: (load, good turns a second) by step, rising.
    """
    best = max(range(len(points)), key=lambda place: points[place][1])
    peak = points[best][1]
    flat = [load for load, rate in points[: best + 1] if rate >= (1 - _MORE) * peak]
    return flat[0] if flat and flat[0] < points[-1][0] else None
