"""One gate, judged: a statistic with its interval against a limit, and the sentence that says so.

Theory of operation
-------------------
A statistic is known up to its interval. A gate *passes* where the value and the whole interval are
on the right side of the limit, *fails* where both are on the wrong side, and is *inconclusive*
otherwise. A quantile passes only with enough independent samples to see beyond it (p99: 299, flaw
F20); with fewer it fails only where every single sample is on the wrong side and that is no chance.
Counts, rates and extremes have no interval and are judged by value. No data never passes (F26).
What stays open says about how many sessions more would decide it (`sample_size`).
"""

from typing import Any, Final, NamedTuple

import numpy as np

from bench.plan.declaration import number
from bench.plan.gates import QUANTILES, Gate
from bench.plan.metrics import METRICS
from bench.stats.interval import CONFIDENCE
from bench.verdict.sample_size import Case, Ran, advice, wanted

Row = dict[str, Any]
Rows = dict[tuple[str, str], Row]

_NO_ROW: Final[Row] = {"value": None, "low": None, "high": None, "n": 0}


class GateResult(NamedTuple):
    """One gate, judged. Value and interval are the summary's; `reason` is a sentence.

    `limit` is in the metric's unit; None where it was the baseline's to give, and it gave none. A
    `soft` one decides nothing. `effective` is how many independent samples the `n` are worth; None
    where that is not asked. `ended`: how it failed during the run, which was ended for it.
    `longest`: of a value that no sample reaches, how long the longest wait was. `advice`: what it
    takes to decide an open one.
    """

    gate: str
    verdict: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    reason: str
    limit: float | None = None
    soft: bool = False
    effective: float | None = None
    ended: str = ""
    longest: float | None = None
    advice: str = ""


def rule_gate(
    gate: Gate, rows: Rows, accepted: Rows, missing: str, ran: Ran | None = None
) -> GateResult:
    """`rows` are the summary's, `accepted` the baseline's; `missing` says why there are none.

    `ran` is the run that gave them: by it, it is told which run would decide an open gate.
    """
    row = rows.get((gate.metric, gate.statistic)) or _NO_ROW
    limit, takes = _limit(gate, accepted), ""
    if not row["n"] or (METRICS[gate.metric].kind == "count" and row["value"] is None):
        verdict, reason = "inconclusive", "has no data"
    elif limit is None:
        told = (accepted.get((gate.metric, gate.statistic)) or {}).get("missing")
        why = missing or told or "the baseline has no such figure"
        verdict, reason = "inconclusive", f"cannot be compared with the baseline: {why}"
    else:
        case = Case(gate, row, limit)
        verdict, why = _decide(case, rows)
        reason = f"{_stated(case, accepted)}{why}"
        if verdict == "inconclusive":
            takes = advice(case, ran)
            reason += f"; it takes {takes}"
    return GateResult(
        gate=gate.text,
        verdict=verdict,
        value=row["value"],
        low=row["low"],
        high=row["high"],
        n=row["n"],
        reason=f"{gate.figure} {reason}",
        limit=limit,
        soft=gate.soft,
        effective=row.get("effective"),
        longest=row.get("longest"),
        advice=takes,
    )


def _limit(gate: Gate, accepted: Rows) -> float | None:
    """The limit in the metric's unit; None where the baseline does not give one."""
    if gate.limit is not None:
        return gate.limit
    row = accepted.get((gate.metric, gate.statistic))
    if row is None or row["value"] is None:
        return None
    return float(row["value"] + abs(row["value"]) * gate.percent / 100)


def _decide(case: Case, rows: Rows) -> tuple[str, str]:
    """The verdict, and what else than the value led to it."""
    gate, row = case.gate, case.row
    value = _value(row)
    if case.by_value:
        return "pass" if gate.holds(value, case.limit) else "fail", ""
    if few := _too_few(case):
        if _each_is_wrong(case, rows):
            return "fail", f"; {few}, but all {row['n']} are on the wrong side"
        return "inconclusive", f"; {few}"
    low, high = row["low"], row["high"]
    bottom = low if low is not None else (-np.inf if np.isfinite(value) else np.inf)
    top = high if high is not None else np.inf
    holds = [gate.holds(edge, case.limit) for edge in (value, bottom, top)]
    if all(holds) or not any(holds):
        return "pass" if all(holds) else "fail", ""
    return "inconclusive", "; the interval reaches over the limit"


def _value(row: Row) -> float:
    """A statistic without a value lies beyond all waits; its interval may still begin before."""
    return np.inf if row["value"] is None else float(row["value"])


def _too_few(case: Case) -> str:
    """Why there are too few samples for the statistic to be trusted; empty where there are not."""
    if case.metric.kind == "share":
        return ""
    if case.short:
        n = case.row["n"]
        worth = f" ({case.effective:.3g} effective)" if case.effective < n else ""
        return f"too few samples: {n} measured{worth}, {wanted(case.gate)} needed"
    return "the turns of a single session give no interval" if case.alone else ""


def _each_is_wrong(case: Case, rows: Rows) -> bool:
    """Whether all of too few samples are on the wrong side, by no chance."""
    gate, q = case.gate, QUANTILES.get(case.gate.statistic, 0.5)
    edge = rows[gate.metric, "min" if gate.upper else "max"]
    nearest = np.inf if edge["value"] is None and edge["n"] else edge["value"]
    if gate.upper and edge["low"] is not None:
        nearest = edge["low"]  # the shortest wait in vain, after which nobody knows
    chance = (1 - q if gate.upper else q) ** case.effective
    wrong = nearest is not None and not gate.holds(nearest, case.limit)
    return bool(wrong and chance <= 1 - CONFIDENCE)


# ── words ────────────────────────────────────────────────────────────────────────────────────────


def _unit(gate: Gate) -> str:
    if gate.statistic == "rate":
        return "/s"
    unit = METRICS[gate.metric].unit
    return "" if unit in {"1", "ratio"} else f" {unit}"


def quantity(value: float, gate: Gate) -> str:
    """A value of the gate's statistic, with its unit."""
    return f"{number(value)}{_unit(gate)}" if np.isfinite(value) else "unknown"


def amount(row: Row, gate: Gate) -> str:
    """The value of a row; of one that no sample reaches, how long the longest wait was."""
    if row["value"] is not None:
        return quantity(float(row["value"]), gate)
    longest = row.get("longest")
    return quantity(np.inf, gate) if longest is None else f"> {quantity(longest, gate)}"


def _interval(row: Row) -> str:
    if row["low"] is None and row["high"] is None:
        return ""
    low, high = ("…" if edge is None else number(edge) for edge in (row["low"], row["high"]))
    return f" [{low}, {high}]"


def unanswered(gate: Gate) -> str:
    """Why the gate's statistic has samples and no value."""
    return {
        "session": "too many sessions never came that far",
        "event": "too many requests were never answered",
    }.get(METRICS[gate.metric].of, "too many turns were never answered")


def _stated(case: Case, accepted: Rows) -> str:
    """The value, its interval, and how far on which side of the limit it is."""
    gate, row, value, limit = case.gate, case.row, _value(case.row), case.limit
    shown = f"the limit of {quantity(limit, gate)}"
    if gate.against_baseline:
        base = quantity(accepted[gate.metric, gate.statistic]["value"], gate)
        shown += f" (baseline {base} {'+' if gate.percent >= 0 else '-'} {abs(gate.percent):g} %)"
    told = f"is {amount(row, gate)}{_interval(row)}"
    if not np.isfinite(value):
        return f"{told}: {unanswered(gate)} ({shown.removeprefix('the ')})"
    gap = value - limit
    if gap == 0:
        return f"{told}, equal to {shown}"
    far = f"{number(abs(gap))} points" if _unit(gate) == " %" else quantity(abs(gap), gate)
    return f"{told}, {far} {'over' if gap > 0 else 'under'} {shown}"
