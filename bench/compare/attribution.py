"""Where a change comes from: which stage of the wait carries it, and at which waits it shows.

Theory of operation
-------------------
*Attribution* is in means, for these alone add up: the change of the mean wait is the sum of the
changes of the means of its stages, turn by turn the same turns (those that heard a voice).

*Shift*: the change at each decile of the wait. A change that is the same at all deciles is a delay
that was added; one that grows along them is a slower server, or a tail.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from bench.analysis.tables import Flags
from bench.compare.differences import Plan, Sides, at_place, deciles, finite
from bench.compare.run_sample import RunSample
from bench.plan.metrics import WAITS
from bench.plan.stages import STAGES
from bench.stats.effect import contrast, interval, p_value
from bench.stats.interval import CONFIDENCE
from bench.stats.run_statistics import Ratios, ratios_of_runs
from bench.stats.survival import in_order, survival

DECILES: Final = tuple(round(0.1 * place, 1) for place in range(1, 10))
_POINTS: Final = 200
"""Of a curve: as many as a figure needs."""
_TOTAL: Final = WAITS[0]


def attribution(sides: Sides, plan: Plan) -> list[dict[str, Any]]:
    """The change of the mean of each stage in ms, and of the whole; empty where no voice was heard.

    {stage, a, b, difference, low, high, p, share (of the whole, in %; None where the whole may be
    nothing)}; the whole stands last.
    """
    if not all(_heard(run).any() for side in sides for run in side):
        return []
    runs = [run for side in sides for run in side]
    names = [
        stage.name
        for stage in STAGES
        if any(np.nan_to_num(run.stages.get(stage.name, 0.0)).any() for run in runs)
    ]
    found = [_mean(name, sides, plan) for name in (*names, _TOTAL)]
    whole = found[-1]
    sure = None not in {whole["low"], whole["high"]} and whole["low"] * whole["high"] > 0
    for entry in found:
        entry["share"] = 100 * entry["difference"] / whole["difference"] if sure else None
    return found


def _heard(run: RunSample) -> Flags:
    """Which turns heard a voice."""
    wait = run.waits.get(_TOTAL)
    none = np.zeros(len(run.session), bool)
    return none if wait is None else ~np.isnan(wait.values) & ~wait.censored


def _mean(name: str, sides: Sides, plan: Plan) -> dict[str, Any]:
    samples = [[_summed(name, run) for run in side] for side in sides]
    levels = ratios_of_runs(samples[0], samples[1], together=plan.together, share=False)
    told = contrast(
        levels.a[0],
        levels.b[0],
        at_place(levels.within, 0),
        together=plan.together,
        unshared=plan.unshared,
    )
    low, high = interval(told, CONFIDENCE)
    return {
        "stage": name,
        "a": float(levels.a[0].mean()),
        "b": float(levels.b[0].mean()),
        "difference": float(told.change),
        "low": finite(float(low)),
        "high": finite(float(high)),
        "p": finite(float(p_value(told))),
    }


def _summed(name: str, run: RunSample) -> Ratios:
    heard = _heard(run)
    # A stage that took no time in any turn is not written down.
    parts = run.stages.get(name, np.zeros(len(heard)))
    values = run.waits[_TOTAL].values if name == _TOTAL else parts
    return Ratios(values[heard], np.ones(int(heard.sum())), run.seats()[run.session[heard]])


def shift(metric: str, sides: Sides, plan: Plan) -> dict[str, Any]:
    """{metric, deciles: [{q, a, b, difference, low, high}], ecdf: {a, b: {ms, below}}}."""
    rows = deciles(metric, sides, plan, DECILES)
    steps = []
    for row, q in zip(rows, DECILES, strict=False):
        low, high = (row.unit_change * end for end in row.ends())
        known = row.a is not None and row.b is not None
        steps.append({
            "q": q, "a": row.a, "b": row.b,
            "difference": row.a - row.b if row.a is not None and row.b is not None else None,
            "low": finite(low) if known else None, "high": finite(high) if known else None,
        })  # fmt: skip
    curves = {name: _below(metric, side) for name, side in zip("ab", sides, strict=True)}
    return {"metric": metric, "deciles": steps, "ecdf": curves}


def _below(metric: str, side: Sequence[RunSample]) -> dict[str, list[float]]:
    """The share of turns (in %) at or below so many ms: all runs of a side together."""
    waits = [run.waits[metric] for run in side if metric in run.waits]
    if not waits:
        return {"ms": [], "below": []}
    values = np.concatenate([wait.values for wait in waits])
    censored = np.concatenate([wait.censored for wait in waits])
    known = ~np.isnan(values)
    values, censored = values[known], censored[known]
    order = in_order(values, censored)
    ended = ~censored[order]
    alive = survival(np.ones((len(order), 1), np.int32), ~ended)[:, 0]
    reached, share = values[order][ended], 100.0 * (1.0 - alive[ended])
    if not len(reached):
        return {"ms": [], "below": []}
    kept = np.unique(np.linspace(0, len(reached) - 1, _POINTS).round().astype(int))
    return {
        "ms": reached[kept].round(2).tolist(),
        "below": share[kept].round(3).tolist(),
    }
