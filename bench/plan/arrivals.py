"""When each session starts: an absolute schedule, known before the run begins.

Theory of operation
-------------------
A schedule is a list of *slots*, computed whole from its seed and split over workers by index, so
that any number of workers plays the same arrivals, and a late start is a lateness that is recorded,
never a shift of all that follow (measurement.md, flaw F14).

*Closed load*: a slot holds one session after another. During the warm-up the sessions of the first
level start evenly. Where a stage asks for more, slots are added; where it asks for fewer, those
that came last leave: they finish what they say and hang up.

*Open load*: a slot is one session. Arrivals come one unit of expected arrivals after another, with
gaps of mean 1 (all alike, exponential, or gamma); the expected arrivals up to an instant are the
area under the rate, so the same gaps make any shape of load. A trace says the instants itself.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import count, pairwise
from math import ceil, pi, sin
from random import Random
from typing import Final, NamedTuple

from bench.plan.scenario import Load, Stage
from bench.voice.audio import NS_PER_MS, NS_PER_S

ARRIVALS: Final = ("poisson", "uniform", "gamma", "trace")
_TICK_NS: Final = 10 * NS_PER_MS
"""How finely a rate that changes is added up, and a level that swings is followed; of a stage that
is long at most so many times:"""
_MOST_TICKS: Final = 20_000


class Slot(NamedTuple):
    """A place in the schedule, in ns from the start of the run: its first session, and its end.

    leave_ns: when its session hangs up, and no other follows; None: at the end of the load
    """

    start_ns: int
    leave_ns: int | None = None


class _Leg(NamedTuple):
    """A stage on the run's clock: `from_level` (sessions, or starts a second) leads to its own."""

    start_ns: int
    from_level: float
    stage: Stage

    @property
    def tick_ns(self) -> int:
        """How finely it is followed."""
        return max(_TICK_NS, self.stage.length // _MOST_TICKS)

    def level(self, at_ns: float) -> float:
        """What is asked for at an instant of the leg."""
        since, own = at_ns - self.start_ns, level_of(self.stage)
        if since < self.stage.over:
            return self.from_level + (own - self.from_level) * since / self.stage.over
        if not self.stage.swing:
            return own
        return own * (
            1 + self.stage.swing * sin(2 * pi * (since - self.stage.over) / self.stage.period)
        )


def schedule(load: Load, seed: int, trace: Sequence[Slot] = ()) -> list[Slot]:
    """The slots of a load by start. `trace` are those of its file, where it plays one."""
    if load.arrivals == "trace":
        return [slot for slot in trace if slot.start_ns < load.whole]
    if load.arrivals is None:
        return _held(load)
    return [Slot(at) for at in _arrivals(load, seed)]


def level_of(stage: Stage) -> float:
    """Sessions held, or starts a second, that a stage comes to."""
    return float(stage.sessions if stage.rate is None else stage.rate)  # type: ignore[arg-type]


def peak_of(stage: Stage) -> float:
    """The most that a stage comes to."""
    return level_of(stage) * (1 + stage.swing)


def _legs(load: Load) -> Iterator[_Leg]:
    """The stages one after the other; the warm-up has the level of the first."""
    at, level = int(load.warmup), level_of(load.stages[0])
    for stage in load.stages:
        leg = _Leg(at, level, stage)
        yield leg
        at += stage.length
        level = leg.level(at)


# ── closed load ──────────────────────────────────────────────────────────────────────────────────


def _held(load: Load) -> list[Slot]:
    first = round(level_of(load.stages[0])) if load.stages else load.sessions or 0
    starts = [load.warmup * index // first for index in range(first)]
    leaves: dict[int, int] = {}
    there = list(range(first))
    for leg in _legs(load) if load.stages else ():
        for at, wanted in _levels(leg, len(there)):
            while len(there) < wanted:
                there.append(len(starts))
                starts.append(at)
            while len(there) > wanted:
                leaves[there.pop()] = at
    return [Slot(start, leaves.get(index)) for index, start in enumerate(starts)]


def _levels(leg: _Leg, before: int) -> Iterator[tuple[int, int]]:
    """Instants at which the sessions of a leg change, and how many there are from then on."""
    at, over, wanted = leg.start_ns, leg.stage.over, round(level_of(leg.stage))
    change, way = abs(wanted - before), 1 if wanted > before else -1
    for nth in range(1, change + 1):  # the first of more comes at once, the last of fewer stays
        yield at + over * (nth - (way > 0)) // change, before + way * nth
    if leg.stage.swing:
        for tick in range(at + over, at + leg.stage.length, leg.tick_ns):
            yield tick, round(leg.level(tick))


# ── open load ────────────────────────────────────────────────────────────────────────────────────


def _arrivals(load: Load, seed: int) -> Iterator[int]:
    if not load.stages:
        yield from _steady(load, seed, load.whole)
        return
    instant_of, most = _area(load)
    whole = 0.0
    for gap in _gaps(load, seed):
        whole += gap
        if whole >= most:
            return
        yield instant_of(whole)


def _steady(load: Load, seed: int, end: int) -> Iterator[int]:
    """Arrivals at one rate."""
    rate, at = float(load.rate or 1.0), 0.0
    if load.arrivals == "uniform":
        yield from (round(n * NS_PER_S / rate) for n in range(ceil(end * rate / NS_PER_S)))
        return
    for gap in _gaps(load, seed):
        at += gap / rate * NS_PER_S
        if at >= end:
            return
        yield round(at)


def _gaps(load: Load, seed: int) -> Iterator[float]:
    """Gaps between arrivals, in units of the mean gap, without end."""
    random = Random(seed)
    if load.arrivals == "uniform":
        yield 0.0
        yield from (1.0 for _ in count())
    shape = load.burstiness
    while True:
        if load.arrivals == "gamma":
            yield random.gammavariate(shape, 1 / shape)
        else:
            yield random.expovariate(1.0)


def _area(load: Load) -> tuple[Callable[[float], int], float]:
    """The instant by which so many arrivals are expected, and how many are in all."""
    instants, areas = [0], [0.0]

    def add(at: int, level: float) -> None:
        areas.append(areas[-1] + level * (at - instants[-1]) / NS_PER_S)
        instants.append(at)

    add(int(load.warmup), level_of(load.stages[0]))
    for leg in _legs(load):
        edge = leg.start_ns + leg.stage.length
        ticks = [*range(leg.start_ns + leg.tick_ns, edge, leg.tick_ns), edge]
        for before, at in pairwise([leg.start_ns, *ticks]):
            add(at, leg.level((before + at) / 2))
    add(load.whole, leg.level(leg.stage.length + leg.start_ns))

    def instant_of(area: float) -> int:
        place = bisect_right(areas, area)
        low, high = areas[place - 1], areas[place]
        step = instants[place] - instants[place - 1]
        return instants[place - 1] + round(step * (area - low) / (high - low))

    return instant_of, areas[-1]
