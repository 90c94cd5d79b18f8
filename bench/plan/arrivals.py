"""When each session starts: an absolute schedule, known before the run begins.

A schedule is computed whole from its seed and split over workers by index, so that any number of
workers plays the same arrivals, and a late start is a lateness that is recorded, never a shift of
all that follow (measurement.md, flaw F14).
"""

from itertools import pairwise
from math import ceil
from random import Random

from bench.plan.scenario import Load
from bench.voice.audio import NS_PER_S


def arrivals(load: Load, seed: int) -> list[int]:
    """Start offsets in ns from the start of the run, ascending.

    Closed load: one per session held, spread evenly over the warm-up; later sessions of a slot
    follow its earlier ones. Where it has steps, those that a step adds are spread over its first
    half. Open load: every session of warm-up and duration.
    """
    if load.steps:
        return _step_arrivals(load)
    if load.sessions is not None:
        return [load.warmup * index // load.sessions for index in range(load.sessions)]
    rate, end = float(load.rate or 1.0), load.warmup + load.duration
    if load.arrivals == "uniform":
        return [round(n * NS_PER_S / rate) for n in range(ceil(end * rate / NS_PER_S))]
    random, at, schedule = Random(seed), 0.0, []
    while (at := at + random.expovariate(rate) * NS_PER_S) < end:
        schedule.append(round(at))
    return schedule


def departures(load: Load) -> list[int]:
    """By slot of a load with steps: when it goes, in ns from the start of the run."""
    gone: list[int] = []
    for slot in range(load.sessions or 0):
        at = end = int(load.warmup)
        for step in load.steps:
            at += step.length
            if step.sessions > slot:
                end = at
        gone.append(end)
    return gone


def _step_arrivals(load: Load) -> list[int]:
    starts: list[int] = []
    at, spread = 0, int(load.warmup)
    for place, step in enumerate(load.steps):
        added = max(0, step.sessions - len(starts))
        starts += [at + spread * index // added for index in range(added)]
        at = at + step.length if place else load.warmup + step.length
        spread = load.steps[place + 1].length // 2 if place + 1 < len(load.steps) else 0
    return starts


def wrong_steps(load: Load) -> str:
    """What is wrong with the steps of a load; "" where nothing is."""
    if not load.steps:
        return ""
    counts = [step.sessions for step in load.steps]
    top = counts.index(max(counts))
    rises = all(a <= b for a, b in pairwise(counts[: top + 1]))
    falls = all(a >= b for a, b in pairwise(counts[top:]))
    if load.sessions != max(counts):
        return f"its most are {max(counts)} sessions, load.sessions says {load.sessions}"
    if min(counts) < 1 or not (rises and falls):
        return "the sessions must be 1 or more, rise, and then fall"
    if sum(step.length for step in load.steps) != load.duration:
        return "the lengths together must be load.duration"
    return ""
