"""Why a gate came out as it did, and what would change that: one plain sentence.

Theory of operation
-------------------
A ruling's reason says where the value lies. This says what decided: the value alone (counts and
extremes have no interval), the whole interval on one side of the limit, an interval that reaches
over it, too few samples, no sample, or no baseline. And it says what would change the outcome.

*How many sessions more.* An interval narrows with the square root of its samples, so a quantile
whose interval reaches past the limit by `reach` while its value lies `gap` from it needs
(reach / gap)² times as many. A share's exact interval is tried with more and more samples until it
clears the limit. A quantile that is not seen beyond needs what the exact binomial asks for. All of
it supposes that the value stays where it is: hence "about". Samples are turned into sessions by
how many of them a session of this run gave.

It judges nothing: the verdict that it explains is an input.
"""

import math
from typing import Any, Final, NamedTuple

from scipy import stats

from bench.analysis.quantile import CONFIDENCE, FEW_SESSIONS, needed
from bench.errors import GateError
from bench.plan.gates import QUANTILES, Gate, parse_gate
from bench.plan.metrics import METRICS

MOST_TIMES: Final = 100.0
"""More samples than so many times those that there are is no advice."""
_VOID: Final = " The run is invalid, so this gates nothing."


class _Case(NamedTuple):
    """A gate, its entry in verdict.json, and how many sessions gave its samples."""

    gate: Gate
    entry: dict[str, Any]
    sessions: int

    @property
    def limit(self) -> float | None:
        limit = self.entry.get("limit")
        return self.gate.limit if limit is None else float(limit)

    @property
    def valued(self) -> bool:
        """Whether the statistic is judged by its value alone: there is no interval to speak of."""
        return METRICS[self.gate.metric].kind == "count" or self.gate.statistic in {"min", "max"}

    @property
    def unbounded(self) -> bool:
        """Whether there is a value and no interval: the samples are of a single session."""
        ends = (self.entry["low"], self.entry["high"])
        return self.entry["value"] is not None and ends == (None, None)

    @property
    def effective(self) -> float:
        """Independent samples, where the entry says how many; else its samples."""
        return float(self.entry.get("effective") or self.entry["n"])


def explain(entry: dict[str, Any], summary: dict[str, Any]) -> str:
    """The sentence for one entry of a verdict's `gates`, by the run's summary.

    An entry whose gate this version cannot read any more is told by its own reason.
    """
    try:
        gate = parse_gate(entry["gate"])
    except GateError:
        return str(entry["reason"])
    case = _Case(gate, entry, int((summary.get("sessions") or {}).get("started") or 0))
    word = {"pass": "It passes", "fail": "It fails"}.get(entry["verdict"], "It stays open")
    return f"{word}: {_why(case)}."


def explained(verdict: dict[str, Any], summary: dict[str, Any]) -> dict[str, Any]:
    """A verdict whose gates each have `explain`."""
    void = _VOID if verdict["verdict"] == "invalid" else ""
    gates = [{**entry, "explain": explain(entry, summary) + void} for entry in verdict["gates"]]
    return {**verdict, "gates": gates}


def _why(case: _Case) -> str:
    gate, entry = case.gate, case.entry
    name = gate.figure
    if not entry["n"] or (METRICS[gate.metric].kind == "count" and entry["value"] is None):
        return (
            f"{name} has no sample, and no data never passes; it takes a run in which what "
            f"{gate.metric} measures happens"
        )
    if case.limit is None:
        told = str(entry["reason"]).partition("the baseline: ")[2]
        return (
            f"{_found(case)}, but the baseline gives no limit ({told}); it takes a --baseline with "
            f"a value of {name}"
        )
    return f"{_found(case)}; {_decided(case)}"


def _decided(case: _Case) -> str:
    """What decided, and what would change it."""
    verdict, limit = case.entry["verdict"], f"the limit of {_amount(case.limit, case.gate)}"
    side = "on the right side of" if verdict == "pass" else "on the wrong side of"
    if case.valued:
        return f"it is judged by that value alone, which is {side} {limit}"
    if verdict == "pass":
        return f"value and whole interval are on the right side of {limit}, {_margin(case)}"
    if verdict == "fail":
        told = "value and whole interval are"
        if _short(case) > 0 or case.unbounded:
            told = "that is too little to go by an interval, but every sample is"
        return (
            f"{told} on the wrong side of {limit}: another target would change that, a longer run "
            "would not"
        )
    return _open(case, limit)


def _open(case: _Case, limit: str) -> str:
    """Why it stays open."""
    short = _short(case)
    if short > 0:
        q = f"a {case.gate.statistic} needs {_needed(case)}"
        return f"{q} to be told from {limit}, {short} more: {_advice(case, short)}"
    if case.unbounded:
        return (
            "the turns of a single session resemble each other and give no interval; it takes "
            f"{FEW_SESSIONS} sessions or more"
        )
    beyond = not case.gate.holds(_value(case), _limit(case))
    side = "wrong" if beyond else "right"
    return (
        f"the value is on the {side} side of {limit} but its interval reaches over it: "
        f"{_advice(case, _more(case))}"
    )


def _margin(case: _Case) -> str:
    """How near the nearest edge of a passing interval comes to the limit."""
    edge = case.entry["high"] if _upper(case.gate) else case.entry["low"]
    room = abs(_limit(case) - edge) if edge is not None else 0.0
    return f"with {_amount(room, case.gate)} to spare" if room else "with nothing to spare"


# ── how much more ────────────────────────────────────────────────────────────────────────────────


def _needed(case: _Case) -> int:
    """Samples without which a quantile is not seen beyond; 0 for what is no quantile."""
    q = QUANTILES.get(case.gate.statistic)
    return 0 if q is None else needed(q if _upper(case.gate) else 1 - q)


def _short(case: _Case) -> int:
    """How many of those are wanting."""
    if METRICS[case.gate.metric].kind == "share":
        return 0
    return max(0, math.ceil(_needed(case) - case.effective - 1e-9))


def _more(case: _Case) -> float | None:
    """Samples more until the interval clears the limit; None: no number can be told."""
    entry, value, limit = case.entry, _value(case), _limit(case)
    if METRICS[case.gate.metric].kind == "share":
        times = _share_times(value / 100, limit / 100, case.effective)
        return None if times is None else (times - 1) * entry["n"]
    far = entry["high"] if value < limit else entry["low"]
    if far is None or not math.isfinite(value) or value == limit:
        return None
    times = ((far - value) / (limit - value)) ** 2
    return (times - 1) * entry["n"] if times <= MOST_TIMES else None


def _share_times(share: float, limit: float, n: float) -> float | None:
    """How many times as many samples take the exact interval of `share` off `limit`."""
    times = 1.0
    while times <= MOST_TIMES:
        times *= 1.05
        hits, misses, tail = share * n * times, (1 - share) * n * times, (1 - CONFIDENCE) / 2
        low = 0.0 if share == 0 else float(stats.beta.ppf(tail, hits, misses + 1))
        high = 1.0 if share == 1 else float(stats.beta.ppf(1 - tail, hits + 1, misses))
        if not low <= limit <= high:
            return times
    return None


def _advice(case: _Case, more: float | None) -> str:
    """So many samples in sessions, where that can be told."""
    if more is None:
        return "it takes more sessions than can be told from these"
    of = METRICS[case.gate.metric].of
    each = 1.0 if of == "session" else case.entry["n"] / case.sessions if case.sessions else 0.0
    if not each:
        return f"it takes about {math.ceil(more)} more {of}s"
    count = max(1, math.ceil(more / each - 1e-9))
    return f"it takes about {count} more session{'s' if count > 1 else ''} like these"


def _upper(gate: Gate) -> bool:
    return gate.operator in {"<", "<="}


def _value(case: _Case) -> float:
    """The value; a statistic without one lies beyond every wait."""
    value = case.entry["value"]
    return math.inf if value is None else float(value)


def _limit(case: _Case) -> float:
    return math.nan if case.limit is None else case.limit


# ── words ────────────────────────────────────────────────────────────────────────────────────────


def _found(case: _Case) -> str:
    """Value, interval and samples."""
    gate, entry = case.gate, case.entry
    value, low, high = entry["value"], entry["low"], entry["high"]
    told = "beyond every wait" if value is None else _amount(value, gate)
    if low is not None or high is not None:
        bottom, top = ("∞" if edge is None else _amount(edge, gate) for edge in (low, high))
        bottom = bottom if low is not None else "-∞"
        told += f", at {100 * CONFIDENCE:.0f} % between {bottom} and {top},"
    samples = f"{entry['n']} sample{'s' if entry['n'] != 1 else ''}"
    if entry.get("effective") is not None and case.effective < entry["n"]:
        samples += f" that are worth {case.effective:.0f} independent ones"
    return f"{gate.figure} is {told} of {samples}"


def _amount(value: float | None, gate: Gate) -> str:
    """A number as reasons have it: four digits below a hundred, whole units above."""
    if value is None:
        return "none"
    unit = "/s" if gate.statistic == "rate" else METRICS[gate.metric].unit
    number = f"{value:.0f}" if abs(value) > 100 else f"{value:.4g}"
    return number if unit in {"1", "ratio"} else f"{number} {unit}"
