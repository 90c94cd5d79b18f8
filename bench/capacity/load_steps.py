"""Runs of a capacity search whose load goes in steps: the ramp, and beyond the limit.

Theory of operation
-------------------
*A ramp* is a quick look: one run whose load rises in steps. Each step is two sessions long, and the
second half of it counts. What the steps before have left (a queue, a cache, heat) is in it, and it
has few turns: so its answer is coarser than a search's. Where an objective fails in two windows of
a step's length, one after the other, the target is over-saturated, and the ramp ends: what comes
after would be paid for and say nothing. The steps that it reached by then count.

*Beyond the limit* one run holds the capacity for a session's length, then half as many callers
again, then the capacity again and three quarters of it. Sessions that were fine and are then ended
by the target are *victims*. A queue that the overload left drains while the capacity is held; where
hardly a turn is good even at the end of that, the overload has outlived its cause: it is a
*collapse*. If three quarters of the capacity do not end it either, a second run goes straight to
the overload and then from there down in steps, and the step at which turns are good again tells the
load at which the target recovers, to within half a step. A step is three sessions long, for those
of a target that has collapsed take longer and are held to their end.
"""

from collections.abc import Iterator, Sequence
from math import ceil, sqrt
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self

import numpy as np

from bench.analysis.measure import attempts, good_turns, turn_spans
from bench.analysis.tables import plain_strings, read_table
from bench.capacity.document import BeyondLimit, BoundedFigure, Recovery
from bench.capacity.loads import Step
from bench.capacity.observation import Observation, second_halves
from bench.capacity.result import Trial
from bench.capacity.search import GROWTH
from bench.plan.duration import Duration
from bench.plan.tiers import Tier
from bench.runs.folder import RunFolder
from bench.voice.audio import NS_PER_MS

REACH: Final = 8.0
"""A ramp ends at so many times its first step, or where a limit ends it."""
_STEP_SESSIONS: Final = 2.0
"""Length of a step, in whole sessions: half of it to fill up, half to measure."""
_MORE: Final = 0.02
"""Good turns a second that grow by less than this share have not grown."""

BEYOND: Final = 1.5
_BACK: Final = 0.75
_FALL: Final = 0.8
_LEAST: Final = 0.25
"""The last step of a fall, as a share of the capacity."""
_AS_BEFORE: Final = 15.0
"""Points of good turns by which a step may be worse than the first and count as good."""
_WELL_SERVED: Final = 0.95
_OUTLIVED: Final = 0.5
"""Back at the capacity fewer good turns than this share of what there was before: a collapse."""


def _whole_ms(seconds: float) -> Duration:
    return Duration(round(1000 * seconds) * NS_PER_MS)


def ramp_steps(first: float, most: float, session_s: float) -> list[Step]:
    """The steps of a ramp from `first` sessions to `REACH` times that, or to `most`."""
    length = _whole_ms(_STEP_SESSIONS * session_s)
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


def ramp_remarks(
    steps: Sequence[Step], seen: Sequence[Observation], session_s: float
) -> Iterator[str]:
    """What must be known of a ramp beside its answer; `seen` are the steps that were reached."""
    if len(seen) < len(steps):
        yield (
            f"over-saturated: an objective failed for twice {2 * session_s:.0f} s on end, so the "
            f"ramp ended with {len(seen)} of its {len(steps)} steps, before it reached "
            f"{steps[len(seen)].sessions} sessions"
        )
    flat = saturation([(one.load, one.good_per_s or 0.0) for one in seen])
    if flat is not None:
        yield f"saturated from {flat:g} sessions on: more of them had no more good turns a second"
    yield (
        f"a quick look: the second half of each step counts ({session_s:.0f} s, one session), and "
        "what the steps before it left is in it, so the interval reaches a step "
        f"({100 * (GROWTH - 1):.0f} %) further either way; a search without --ramp makes a run of "
        "its own for every load, and is more exact"
    )


# ── beyond the limit ──────────────────────────────────────────────────────────────────────────────


class _Phase(NamedTuple):
    """The second half of a step, by turns that began in it: how many, and % of them good."""

    sessions: int
    turns: int
    good: float
    slow_until_s: float


class OverloadResult(NamedTuple):
    """What came of the overload. `outlived`: its cause was gone, and it stayed."""

    beyond: BeyondLimit
    recovery: Recovery
    outlived: bool

    @property
    def recovered(self) -> bool:
        """Whether the target became itself again, at whatever load."""
        return self.recovery.recovered

    def with_fall(self, fall: "OverloadResult | None") -> Self:
        """The same, with what a fall in steps told of where it recovers."""
        if fall is None:
            return self
        return self._replace(recovery=fall.recovery)

    def healed(self) -> Self:
        """It recovered only without any load."""
        text = "it recovered only after all load was gone"
        return self._replace(recovery=Recovery(seconds=None, recovered=True, load=0.0, text=text))


def surge_steps(capacity: int, session_s: float) -> list[Step]:
    """The capacity, half as much again, the capacity, and three quarters of it."""
    whole, longer = _whole_ms(session_s), _whole_ms(1.5 * session_s)
    return [
        Step(capacity, whole),
        Step(ceil(BEYOND * capacity), longer),
        Step(capacity, longer),
        Step(max(1, round(_BACK * capacity)), whole),
    ]


def fall_steps(capacity: int, session_s: float) -> list[Step]:
    """The overload, three quarters of the capacity, and from there down by a fifth each."""
    counts, at = [], _BACK * capacity
    while at >= max(1.0, _LEAST * capacity):
        counts.append(round(at))
        at *= _FALL
    longer = _whole_ms(3 * session_s)
    return [
        Step(ceil(BEYOND * capacity), _whole_ms(1.5 * session_s)),
        *(Step(count, longer) for count in dict.fromkeys(counts)),
    ]


@plain_strings
def read_overload(path: Path, steps: Sequence[Step], trial: Trial, tier: Tier) -> OverloadResult:
    """Read the run of a surge or of a fall: its first step is what the others are compared with.

    A fall's first step is the overload; there a step counts as good where most turns are.
    """
    folder = RunFolder.open(path)
    turns = attempts(read_table(folder.turns, None))
    good = good_turns(turns, tier.gates).to_numpy(bool)
    begin = turn_spans(turns)[0]
    phases = []
    for step, (middle, end) in zip(steps, second_halves(folder.read(), steps), strict=True):
        at = end - step.length
        mine = (begin >= middle) & (begin < end)
        bad = begin[(begin >= at) & (begin < end) & ~good]
        phases.append(
            _Phase(
                step.sessions,
                int(mine.sum()),
                100 * float(np.mean(good[mine])) if mine.any() else 0.0,
                float((bad.max() - at) / 1e9) if len(bad) else 0.0,
            )
        )
    seen, surge = trial.observation, steps[0].sessions < max(step.sessions for step in steps)
    top = phases[1] if surge else phases[0]
    recovery = _recovery(phases, surge=surge)
    outlived = surge and phases[2].good < _OUTLIVED * phases[0].good
    behaviour: Literal["refuses", "degrades", "collapses"] = (
        "collapses" if seen.victims or outlived or not recovery.recovered
        else "refuses" if seen.refused else "degrades"
    )  # fmt: skip
    text = (
        f"at {top.sessions} sessions {top.good:.0f} % of turns are good"
        + (f", {seen.refused} sessions are turned away" if seen.refused else "")
        + (f", {seen.victims} sessions that were fine are ended" if seen.victims else "")
    )
    return OverloadResult(
        BeyondLimit(
            load=float(top.sessions), run=trial.run, behaviour=behaviour, text=text,
            victims=seen.victims, refused=seen.refused,
            good_turns=BoundedFigure(
                value=top.good if top.turns else None, low=None, high=None, unit="%", n=top.turns
            ),
        ),
        recovery,
        outlived,
    )  # fmt: skip


def _recovery(phases: Sequence[_Phase], *, surge: bool) -> Recovery:
    """When or where it was as before."""
    usual = phases[0].good if surge else 100 * _WELL_SERVED
    later = phases[2:] if surge else phases[1:]
    for place, phase in enumerate(later):
        if not phase.turns or phase.good < usual - _AS_BEFORE:
            continue
        if surge and place == 0:
            seconds = round(phase.slow_until_s, 1)
            text = f"back at {phase.sessions} sessions it was as before after {seconds:g} s"
            return Recovery(seconds=seconds, recovered=True, load=None, text=text)
        above = later[place - 1].sessions if place else round(phases[0].sessions / BEYOND)
        load = sqrt(phase.sessions * above)
        text = f"turns were as good as before only at {phase.sessions} sessions, not yet at {above}"
        return Recovery(seconds=None, recovered=True, load=round(load, 1), text=text)
    text = f"it was not as before at {later[-1].sessions} sessions" if later else "nobody looked"
    return Recovery(seconds=None, recovered=False, load=None, text=text)
