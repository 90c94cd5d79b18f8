"""Why a gate came out as it did, and what would change that: one plain sentence.

Theory of operation
-------------------
A ruling's reason says where the value lies. This says what decided: the value alone (counts and
extremes have no interval), the whole interval on one side of the limit, an interval that reaches
over it, too few samples, no sample, or no baseline. And it says what would change the outcome
(`sample_size`).

It judges nothing: the verdict that it explains is an input.
"""

import math
from typing import Any, Final

from bench.errors import GateError
from bench.plan.gates import Gate, parse_gate
from bench.plan.metrics import METRICS
from bench.stats.interval import CONFIDENCE
from bench.verdict.gate_result import amount, quantity, unanswered
from bench.verdict.sample_size import Case, effective, wanted

_VOID: Final = " The run is invalid, so this gates nothing."


def explain(entry: dict[str, Any]) -> str:
    """The sentence for one entry of a verdict's `gates`.

    An entry whose gate this version cannot read any more is told by its own reason.
    """
    try:
        gate = parse_gate(entry["gate"])
    except GateError:
        return str(entry["reason"])
    word = {"pass": "It passes", "fail": "It fails"}.get(entry["verdict"], "It stays open")
    return f"{word}: {_why(gate, entry)}."


def explained(verdict: dict[str, Any]) -> dict[str, Any]:
    """A verdict whose gates each have `explain`."""
    void = _VOID if verdict["verdict"] == "invalid" else ""
    gates = [{**entry, "explain": explain(entry) + void} for entry in verdict["gates"]]
    return {**verdict, "gates": gates}


def _why(gate: Gate, entry: dict[str, Any]) -> str:
    name, limit = gate.figure, entry.get("limit", gate.limit)
    if not entry["n"] or (METRICS[gate.metric].kind == "count" and entry["value"] is None):
        return (
            f"{name} has no sample, and no data never passes; it takes a run in which what "
            f"{gate.metric} measures happens"
        )
    found = _found(gate, entry)
    if limit is None and gate.limit is None:
        told = str(entry["reason"]).partition("the baseline: ")[2]
        return (
            f"{found}, but the baseline gives no limit ({told}); it takes a --baseline with "
            f"a value of {name}"
        )
    if entry.get("ended"):
        return f"during the run {entry['ended']}; over all that was measured {found}"
    case = Case(gate, entry, float(gate.limit or 0.0) if limit is None else float(limit))
    return f"{found}; {_decided(case)}"


def _decided(case: Case) -> str:
    """What decided, and what would change it."""
    verdict, limit = case.row["verdict"], f"the limit of {quantity(case.limit, case.gate)}"
    side = "on the right side of" if verdict == "pass" else "on the wrong side of"
    if case.by_value:
        return f"it is judged by that value alone, which is {side} {limit}"
    if verdict == "pass":
        return f"value and whole interval are on the right side of {limit}, {_margin(case)}"
    if verdict == "fail":
        told = "value and whole interval are"
        if case.short or case.alone:
            told = "that is too little to go by an interval, but every sample is"
        other = "generator" if case.metric.of == "event" else "target"
        return (
            f"{told} on the wrong side of {limit}: another {other} would change that, a longer run "
            "would not"
        )
    return _open(case, limit)


def _open(case: Case, limit: str) -> str:
    """Why it stays open."""
    gate, entry = case.gate, case.row
    takes = f"it takes {entry.get('advice') or 'a longer run, or one with more sessions'}"
    if case.short:
        return f"a {gate.statistic} needs {wanted(gate)} to be told from {limit}: {takes}"
    if case.alone:
        return f"the turns of a single session resemble each other and give no interval: {takes}"
    value = math.inf if entry["value"] is None else float(entry["value"])
    side = "right" if gate.holds(value, case.limit) else "wrong"
    return f"the value is on the {side} side of {limit} but its interval reaches over it: {takes}"


def _margin(case: Case) -> str:
    """How near the nearest edge of a passing interval comes to the limit."""
    edge = case.row["high" if case.gate.upper else "low"]
    room = abs(case.limit - edge) if edge is not None else 0.0
    return f"with {quantity(room, case.gate)} to spare" if room else "with nothing to spare"


# ── words ────────────────────────────────────────────────────────────────────────────────────────


def _found(gate: Gate, entry: dict[str, Any]) -> str:
    """Value, interval and samples."""
    low, high, told = entry["low"], entry["high"], amount(entry, gate)
    if entry["value"] is None:
        told += f" ({unanswered(gate)})"
    if low is not None or high is not None:
        bottom, top = ("∞" if edge is None else quantity(edge, gate) for edge in (low, high))
        bottom = bottom if low is not None else "-∞"
        told += f", at {100 * CONFIDENCE:.0f} % between {bottom} and {top},"
    samples = f"{entry['n']} sample{'s' if entry['n'] != 1 else ''}"
    if entry.get("effective") is not None and effective(entry) < entry["n"]:
        samples += f" ({effective(entry):.3g} effective)"
    return f"{gate.figure} is {told} of {samples}"
