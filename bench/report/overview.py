"""What a page tells first: the verdict and its gates, validity, headline numbers, the load.

Documents of the run in, text out; nothing here is HTML: the template escapes every cell.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from bench.plan.metrics import METRICS, WAITS
from bench.report.charts import curve
from bench.report.panels import Table, table_of
from bench.report.run_data import Run, Statistic, gate_of, listed, texts
from bench.report.sweep_panel import pooled
from bench.report.text import (
    NOTHING,
    capital,
    count,
    interval,
    measured,
    missing,
    plain,
    quantity,
    sample_size,
)
from bench.report.theme import VERDICT_COLOURS

_THINGS: Final = frozenset({"workers", "rows", "turns"})
"""Units of validity that are things, and may be one."""
_WHOLE: Final = "whole run"


# ── the verdict and its gates ────────────────────────────────────────────────────────────────────


class Bullet(NamedTuple):
    """A gate as a picture: positions in % of its width. The side that passes runs from `start`."""

    limit: float
    start: float
    width: float
    value: float
    low: float
    high: float


class GateLine(NamedTuple):
    """One gate as the page shows it."""

    gate: str
    verdict: str
    role: str
    value: str
    interval: str
    n: str
    reason: str
    bullet: Bullet | None


def why(run: Run) -> str:
    """The verdict in one sentence."""
    reasons = [str(reason) for reason in run.verdict.get("reasons") or []]
    gates = run.verdict.get("gates") or []
    if run.verdict.get("verdict") == "pass" and gates:
        return "The gate holds." if len(gates) == 1 else f"All {len(gates)} gates hold."
    if not reasons:
        return "No reason was recorded."
    more = f"; and {count(len(reasons) - 1, 'more reason')}" if len(reasons) > 1 else ""
    return f"{capital(reasons[0].rstrip('.'))}{more}."


def causes(run: Run) -> list[str]:
    """What sessions and turns failed of, where the first reason does not say it already."""
    first = (run.verdict.get("reasons") or [""])[0]
    texts_of = [str(cause["text"]) for cause in run.verdict.get("causes") or ()]
    return [f"{capital(text)}." for text in texts_of if text != first]


def other_reasons(run: Run) -> list[str]:
    """The reasons of the verdict that neither the gate table nor the first sentence gives."""
    told = {str(gate.get("reason")) for gate in run.verdict.get("gates") or []}
    told |= {str(rule.get("text")) for rule in run.verdict.get("validity") or []}
    reasons = [str(reason) for reason in run.verdict.get("reasons") or []]
    return [reason for reason in reasons[1:] if reason not in told]


def gate_lines(run: Run) -> list[GateLine]:
    """The gates in the order they were given."""
    found = []
    for entry in run.verdict.get("gates") or []:
        gate, verdict = gate_of(entry), str(entry.get("verdict", ""))
        unit = METRICS[gate.metric].unit if gate is not None else ""
        value, low, high, n = (entry.get(key) for key in ("value", "low", "high", "n"))
        found.append(
            GateLine(
                gate=str(entry.get("gate", "")),
                verdict=verdict,
                role=VERDICT_COLOURS.get(verdict, "doubt"),
                value=measured(value, int(n or 0), unit, entry.get("longest")),
                interval=interval(low, high, unit),
                n=plain(n or 0, "1"),
                reason=_what_it_adds(str(entry.get("reason") or "")),
                bullet=_bullet(entry),
            )
        )
    return found


def _what_it_adds(reason: str) -> str:
    """A gate's reason without its figure, value and interval, where they stand before it."""
    return re.sub(r"^\S+\(\S+\) is [^,\[]+(\[[^\]]*\])?, ", "", reason)


def _bullet(entry: Mapping[str, Any]) -> Bullet | None:
    """Value, interval and limit on one scale; None without a value or a fixed limit.

    An interval that is open on one side goes to that end of the scale.
    """
    gate, value, low, high = gate_of(entry), *(entry.get(key) for key in ("value", "low", "high"))
    if gate is None or gate.limit is None or value is None or missing(value):
        return None
    ends = [end for end in (low, high) if end is not None and not missing(end)]
    points = (gate.limit, value, *ends)
    span = max(points) - min(points) or max(abs(gate.limit), 1.0)
    bottom, top = min(points) - 0.15 * span, max(points) + 0.15 * span

    def at(point: float) -> float:
        return round(100.0 * float((point - bottom) / (top - bottom)), 2)

    limit, below = at(gate.limit), gate.operator.startswith("<")
    return Bullet(
        limit=limit,
        start=0.0 if below else limit,
        width=limit if below else round(100.0 - limit, 2),
        value=at(value),
        low=at(value) if not ends else 0.0 if missing(low) else at(ends[0]),
        high=at(value) if not ends else 100.0 if missing(high) else at(ends[-1]),
    )


# ── validity ─────────────────────────────────────────────────────────────────────────────────────


def validity(run: Run) -> Table | None:
    """Every rule of validity: what was measured, its bound, when it broke and what to do."""
    rules = listed(run.verdict, "validity")
    kept = sum(bool(rule.get("ok")) for rule in rules)
    return table_of(
        f"Validity: {plain(kept)} of {count(len(rules), 'rule')} kept",
        {
            "rule": rule_name,
            "state": lambda rule: "kept" if rule.get("ok") else "broken",
            "measured": lambda rule: _amount(rule, "value"),
            "bound": lambda rule: _amount(rule, "bound"),
            "when": lambda rule: _span(rule) or NOTHING,
            "what it says": lambda rule: (
                _sentence(rule.get("text"))
                + ("" if rule.get("ok") or not rule.get("remedy") else f" Remedy: {rule['remedy']}")
            ),
        },
        rules,
        numeric=("measured", "bound"),
        tone=lambda rule: "" if rule.get("ok") else "limit",
    )


def broken_rules(run: Run) -> list[dict[str, str]]:
    """The rules that make the run invalid: text and remedy, for the banner."""
    return [
        {
            "rule": rule_name(rule),
            "text": _sentence(rule.get("text")),
            "remedy": _sentence(rule.get("remedy")),
            "when": _span(rule),
        }
        for rule in listed(run.verdict, "validity")
        if not rule.get("ok")
    ]


def rule_name(rule: Mapping[str, Any]) -> str:
    """The name of a rule of validity, or of a fault, in words."""
    return str(rule.get("rule", "")).replace("_", " ")


def _amount(rule: Mapping[str, Any], key: str) -> str:
    value, unit = rule.get(key), str(rule.get("unit") or "")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return NOTHING if value is None else str(value)
    one = value == 1 and unit in _THINGS
    return quantity(float(value), unit.removesuffix("s") if one else unit)


def _sentence(text: object) -> str:
    """A text of a rule as a sentence; empty where there is none."""
    words = str(text or "").rstrip(".")
    return f"{capital(words)}." if words else ""


def _span(rule: Mapping[str, Any]) -> str:
    start, end = rule.get("from_s"), rule.get("to_s")
    if start is None and end is None:
        return ""
    return f"{quantity(start, 's')}\u00a0…\u00a0{quantity(end, 's')}"


# ── headline numbers ─────────────────────────────────────────────────────────────────────────────


class Headline(NamedTuple):
    """One number that a reader takes home: what it is, the value, its interval and n.

    `role` is the colour of the value; none for ink.
    """

    name: str
    value: str
    more: str
    about: str
    role: str = ""


def headlines(run: Run) -> list[Headline]:
    """What the page leads with: two waits at p50 and p95, the answers, the good turns, faults.

    The waits are the first two with samples: a chat in writing has no voice. Faults are named only
    where there are any.
    """
    waits = [metric for metric in WAITS if run.statistic(metric, "p50").n] or list(WAITS)
    found = [
        _headline(run.statistic(metric, word), f"{capital(METRICS[metric].label)}, {word}", metric)
        for metric in waits[:2]
        for word in ("p50", "p95")
    ]
    for metric in ("answered", "good_turns"):
        row = run.statistic(metric, "share")
        found.append(_headline(row, capital(METRICS[metric].label), metric))
    for metric in ("violations", "leaks"):
        row = run.statistic(metric, "count")
        if row.number:
            name, about = capital(METRICS[metric].label), METRICS[metric].about
            found.append(Headline(name, plain(row.value, "1"), _WHOLE, about, role="limit"))
    return found


def _headline(row: Statistic, name: str, metric: str) -> Headline:
    more = ", ".join(filter(None, (row.bounds, sample_size(row.n))))
    return Headline(name, row.shown, more, METRICS[metric].about)


def headline_note(run: Run) -> str:
    """What the headline numbers are over."""
    whole = any(line.more == _WHOLE for line in headlines(run))
    phase = f"Measured phase only{f', but for what says {_WHOLE}' if whole else ''}."
    return " ".join(filter(None, (phase, "Brackets are 95 % intervals.", pooled(run))))


class SmallCurve(NamedTuple):
    """A curve without axes, for the head of a page: its points in a box of 100 by 40, in words."""

    points: str
    label: str
    span: str


def small_curve(run: Run) -> SmallCurve | None:
    """The share of turns answered within a time, up to twice its p95; None without an answer."""
    trace, _ = curve(run.counted, run.wait, "")
    if trace is None:
        return None
    most = run.statistic(run.wait, "p95")
    right = max(1.0, min(2 * most.number, max(trace.x)) if most.known else max(trace.x))
    # What is empty is cropped: from a little before the fastest answer on.
    fastest = next((x for x, below in zip(trace.x, trace.y, strict=True) if below > 0), 0.0)
    left = max(0.0, fastest - max(right - fastest, right / 4) / 4)
    points, last = ["0,40"], 40.0
    for x, below in zip(trace.x, trace.y, strict=True):
        at, up = 100 * (min(max(x, left), right) - left) / (right - left), 40 - 0.4 * below
        points += [f"{at:.1f},{last:.1f}", f"{at:.1f},{up:.1f}"]
        last = up
    points.append(f"100,{last:.1f}")
    label = f"Share of turns answered within a time, {METRICS[run.wait].label}"
    return SmallCurve(" ".join(points), label, f"{plain(left)} to {quantity(right, 'ms')}")


def load_line(run: Run) -> str:
    """The load in a line: sessions, turns attempted, measured and answered in time."""
    intended, turns = run.plan.get("sessions"), run.measured
    held = f"{plain(intended)} asked for at once" if intended is not None else "open load"
    answered = int((texts(turns, "outcome") == "ok").sum())
    return (
        f"{count(len(run.sessions), 'session')} ({held}), "
        f"{count(len(run.turns), 'turn')} attempted, {plain(len(turns))} of them measured"
        + (f", {plain(answered)} answered in time" if len(turns) else "")
    )
