"""What no `[load]` of a scenario could mean, key by key, and what to do about it."""

from collections.abc import Iterator
from math import isclose
from typing import Final

from bench.plan.arrivals import ARRIVALS, peak_of
from bench.plan.scenario import Load, Stage
from bench.voice.audio import NS_PER_S

Rule = tuple[str, bool, str]
"""A key, whether what it says is wrong, what to do about it."""

MOST_HELD: Final = 100_000
"""Sessions that a closed load may hold."""
_MOST_STARTED: Final = 1_000_000
"""Sessions that an open load may start."""
_BURSTINESS: Final = (0.01, 100.0)


def load_rules(load: Load) -> Iterator[Rule]:
    """Every rule, in the order in which they are told."""
    started = (load.rate or 0.0) * load.whole / NS_PER_S
    open_load = load.arrivals is not None
    yield from _stage_rules(load)
    yield "load.duration", load.duration <= 0, "must be above zero"
    yield (
        "load.sessions",
        not open_load and load.sessions is None,
        "give sessions or stages (closed load), or arrivals and rate (open load)",
    )
    yield (
        "load.arrivals",
        load.arrivals not in {None, *ARRIVALS},
        f"{load.arrivals!r}; valid are: {', '.join(ARRIVALS)}",
    )
    yield (
        "load.rate",
        load.arrivals not in {None, "trace"} and load.rate is None,
        "arrivals need a rate, as in '2/s'",
    )
    yield (
        "load.sessions",
        open_load and load.sessions is not None,
        "an open load has arrivals and rate, a closed load has sessions: give one of them",
    )
    yield (
        "load.rate",
        started > _MOST_STARTED,
        f"{started:.3g} sessions would start; {_MOST_STARTED} at most: lower rate or time",
    )
    yield (
        "load.rate",
        not open_load and load.rate is not None,
        'a rate needs arrivals = "poisson", "uniform" or "gamma"',
    )
    yield from _trace_rules(load)
    least, most = _BURSTINESS
    yield (
        "load.burstiness",
        not least <= load.burstiness <= most,
        f"{load.burstiness:g}; give {least} (in bursts) to {most:g} (regular); 1 is like poisson",
    )
    yield (
        "load.burstiness",
        load.burstiness != 1 and load.arrivals != "gamma",
        'needs arrivals = "gamma"',
    )


def _trace_rules(load: Load) -> Iterator[Rule]:
    traced = load.arrivals == "trace"
    for key, given in (("load.rate", load.rate is not None), ("load.stages", bool(load.stages))):
        yield key, traced and given, "a trace says itself when calls start; leave one of them out"
    yield (
        "load.trace",
        traced != bool(load.trace),
        'a trace is a file, as in trace = "calls.csv", and needs arrivals = "trace"',
    )


def _stage_rules(load: Load) -> Iterator[Rule]:
    """What no stages could mean; none of a load without."""
    unit, other = ("sessions", "rate") if load.arrivals is None else ("rate", "sessions")
    fit = True
    for number, stage in enumerate(load.stages, 1):
        for wrong, why in _of_stage(stage, unit, other):
            yield "load.stages", wrong, f"stage {number}: {why}"
            fit = fit and not wrong
    names = [stage.name for stage in load.stages if stage.name]
    yield "load.stages", len({*names}) < len(names), "two have one name; give each its own"
    if not load.stages or not fit:
        return
    length = sum(stage.length for stage in load.stages) / NS_PER_S
    given, own = load.duration / NS_PER_S, getattr(load, unit)
    most = max(map(peak_of, load.stages))
    wrong = given != length
    yield "load.duration", wrong, f"the stages last {length:g} s, not {given:g} s: leave it out"
    wrong = own is not None and not isclose(
        own, most, rel_tol=1e-9, abs_tol=0.5 * (unit == "sessions")
    )
    yield f"load.{unit}", wrong, f"the stages come to {most:g}, not {own}: leave it out"


def _of_stage(stage: Stage, unit: str, other: str) -> Iterator[tuple[bool, str]]:
    kind = "a closed load holds sessions" if unit == "sessions" else "an open load has a rate"
    lost = getattr(stage, unit) is None or getattr(stage, other) is not None
    yield lost, f"{kind}: give {unit}, and no {other}"
    held = stage.sessions
    outside = held is not None and not 1 <= held <= MOST_HELD
    yield outside, f"{held} sessions; give 1 to {MOST_HELD}"
    yield stage.length <= 0, "its length must be above zero"
    yield stage.over > stage.length, "`over` is longer than the stage; give its length at most"
    yield not 0 <= stage.swing <= 1, f"swing {stage.swing:g}; give 0 to 1, a share of its level"
    lame = bool(stage.swing) != (stage.period > 0)
    yield lame, "a swing needs a period above zero, and a period needs a swing"


def has_fit_stages(load: Load) -> bool:
    """Whether a load has stages, each of which says a level and a length."""
    return bool(load.stages) and not any(
        key == "load.stages" and wrong for key, wrong, _ in _stage_rules(load)
    )
