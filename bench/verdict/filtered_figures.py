"""Figures of some turns only: what a gate with a filter is judged by.

Theory of operation
-------------------
The same samples, estimators and intervals as those of the summary, over the turns (or sessions)
that a gate's conditions leave. Turns that the run cut, and excluded ones, are in no
figure here either. A gate on another phase than the measured one is about the turns that began in
it. The generator's own figures are in the summary for each worker, and are taken from there.
"""

from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.measure import turn_spans
from bench.analysis.samples import session_sample, share, turn_sample
from bench.analysis.sessions import span
from bench.analysis.summary import figure_row
from bench.analysis.tables import Flags, integers, texts
from bench.analysis.turn_columns import TurnColumns
from bench.plan.gates import QUANTILES, Gate
from bench.plan.metrics import METRICS, PER_SESSION, PER_TURN
from bench.plan.turn_filter import Condition
from bench.stats.interval import Estimate
from bench.stats.quantile import estimates
from bench.verdict.gate_result import Rows


def of_turns(gate: Gate) -> bool:
    """Whether a gate is about figures that each turn adds to."""
    metric = METRICS[gate.metric]
    return metric in PER_TURN or (metric.kind == "share" and metric.over != "disturbances")


def filtered_rows(
    gate: Gate,
    summary: dict[str, Any],
    plan: dict[str, Any],
    turns: pd.DataFrame,
    sessions: pd.DataFrame,
) -> Rows:
    """The rows that a gate with a filter needs, by (metric, statistic)."""
    metric = METRICS[gate.metric]
    if metric.of == "event":
        only = f"worker={gate.where[0].value}"
        return {
            (row["metric"], row["statistic"]): row
            for row in summary["rows"]
            if row["filter"] == only
        }
    if metric in PER_SESSION:
        mine = sessions[sessions["measured"].astype(bool).to_numpy() & _which(sessions, gate.where)]
        return _rows(gate, estimates(session_sample(metric, mine), QUANTILES))
    kept = _began(turns, plan, gate) & _which(turns, gate.where)
    mine = turns[kept & (turns["outcome"] != "cut").to_numpy(bool)].reset_index(drop=True)
    if metric in PER_TURN:
        return _rows(gate, estimates(turn_sample(metric, TurnColumns(mine)), QUANTILES))
    return _rows(gate, {"share": share(metric, TurnColumns(mine), pd.DataFrame())})


def _began(turns: pd.DataFrame, plan: dict[str, Any], gate: Gate) -> Flags:
    """Which turns began in the phase that the gate names; without one, which are measured."""
    phase = next((one.value for one in gate.where if one.key == "phase"), "hold")
    if phase == "hold":
        return turns["measured"].to_numpy(bool)
    begin, _ = turn_spans(turns)
    since, until = span(plan)
    aside = (
        turns["set_aside"].to_numpy(bool) if "set_aside" in turns else np.zeros(len(turns), bool)
    )
    return np.asarray(((begin < since) if phase == "warmup" else (begin >= until)) & ~aside, bool)


def _which(table: pd.DataFrame, where: tuple[Condition, ...]) -> Flags:
    found = np.ones(len(table), bool)
    for one in where:
        if one.key == "phase":
            continue
        column = table[one.key]
        values = integers(column, -1) if isinstance(one.value, int) else texts(column)
        found &= np.fromiter(map(one.holds, values), bool, len(table))
    return found


def _rows(gate: Gate, found: dict[str, Estimate]) -> Rows:
    metric = METRICS[gate.metric]
    return {
        (gate.metric, statistic): figure_row(metric, statistic, one)
        for statistic, one in found.items()
    }
