"""When each session starts: an absolute schedule, known before the run begins.

A schedule is computed whole from its seed and split over workers by index, so that any number of
workers plays the same arrivals, and a late start is a lateness that is recorded, never a shift of
all that follow (measurement.md, flaw F14).
"""

from math import ceil
from random import Random

from bench.plan.scenario import Load
from bench.voice.audio import NS_PER_S


def arrivals(load: Load, seed: int) -> list[int]:
    """Start offsets in ns from the start of the run, ascending.

    Closed load: one per session held, spread evenly over the warm-up; later sessions of a slot
    follow its earlier ones. Open load: every session of warm-up and duration.
    """
    if load.sessions is not None:
        return [load.warmup * index // load.sessions for index in range(load.sessions)]
    rate, end = float(load.rate or 1.0), load.warmup + load.duration
    if load.arrivals == "uniform":
        return [round(n * NS_PER_S / rate) for n in range(ceil(end * rate / NS_PER_S))]
    random, at, schedule = Random(seed), 0.0, []
    while (at := at + random.expovariate(rate) * NS_PER_S) < end:
        schedule.append(round(at))
    return schedule
