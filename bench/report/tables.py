"""The page's tables and headline numbers: documents of the run in, text out.

Nothing here is HTML: the page's template escapes every cell.
"""

from typing import Any, Final, NamedTuple

from bench.errors import GateError
from bench.plan.gates import parse_gate
from bench.plan.metrics import METRICS
from bench.report.choosing import pooled
from bench.report.panel import Table
from bench.report.run import Run, Statistic, texts
from bench.report.theme import VERDICT_COLOURS
from bench.report.words import (
    NO_DATA,
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

_WAITS: Final = {
    "voice_to_voice_latency": "Voice to voice",
    "first_audio_latency": "First audio",
    "first_text_latency": "First text",
    "first_transcript_latency": "First transcript",
}
# Units of validity that are things, and may be one.
_THINGS: Final = frozenset({"workers", "rows", "turns"})
_WHOLE: Final = "whole run"


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


class Headline(NamedTuple):
    """One number that a reader takes home: what it is, the value, its interval and n.

    `role` is the colour of the value; none for ink.
    """

    name: str
    value: str
    more: str
    about: str
    role: str = ""


def gate_lines(run: Run) -> list[GateLine]:
    """The gates in the order they were given."""
    return [_gate_line(entry) for entry in run.verdict.get("gates") or []]


def _gate_line(entry: dict[str, Any]) -> GateLine:
    text, verdict = str(entry.get("gate", "")), str(entry.get("verdict", ""))
    try:
        unit = METRICS[parse_gate(text).metric].unit
    except GateError:
        unit = ""
    value, low, high = entry.get("value"), entry.get("low"), entry.get("high")
    return GateLine(
        gate=text,
        verdict=verdict,
        role=VERDICT_COLOURS.get(verdict, "doubt"),
        value=measured(value, int(entry.get("n") or 0), unit, entry.get("longest")),
        interval=interval(low, high, unit),
        n=plain(entry.get("n") or 0, "1"),
        reason=str(entry.get("reason") or ""),
        bullet=_bullet(text, value, low, high),
    )


def _bullet(text: str, value: float | None, low: float | None, high: float | None) -> Bullet | None:
    """Value, interval and limit on one scale; None without a value or a fixed limit.

    An interval that is open on one side goes to that end of the scale.
    """
    try:
        gate = parse_gate(text)
    except GateError:
        return None
    if gate.limit is None or value is None or missing(value):
        return None
    ends = [end for end in (low, high) if end is not None and not missing(end)]
    points = (gate.limit, value, *ends)
    span = max(points) - min(points) or max(abs(gate.limit), 1.0)
    bottom, top = min(points) - 0.15 * span, max(points) + 0.15 * span

    def at(point: float) -> float:
        return round(100.0 * (point - bottom) / (top - bottom), 2)

    limit = at(gate.limit)
    below = gate.operator.startswith("<")
    return Bullet(
        limit=limit,
        start=0.0 if below else limit,
        width=limit if below else round(100.0 - limit, 2),
        value=at(value),
        low=at(value) if not ends else 0.0 if missing(low) else at(ends[0]),
        high=at(value) if not ends else 100.0 if missing(high) else at(ends[-1]),
    )


def validity(run: Run) -> Table:
    """Every rule of validity: what was measured, its bound, when it broke and what to do."""
    rules = run.verdict.get("validity") or []
    rows, tones = [], []
    for rule in rules:
        good = bool(rule.get("ok"))
        unit = str(rule.get("unit") or "")
        rows.append(
            [
                str(rule.get("rule", "")).replace("_", " "),
                "kept" if good else "broken",
                _amount(rule.get("value"), unit),
                _amount(rule.get("bound"), unit),
                _span(rule),
                _sentence(rule.get("text"))
                + ("" if good or not rule.get("remedy") else f" Remedy: {rule['remedy']}"),
            ]
        )
        tones.append("" if good else "limit")
    broken = sum(tone != "" for tone in tones)
    return Table(
        f"Validity: {plain(len(rules) - broken)} of {count(len(rules), 'rule')} kept",
        ("rule", "state", "measured", "bound", "when", "what it says"),
        rows,
        numeric=frozenset({2, 3}),
        tones=tones,
    )


def _amount(value: object, unit: str) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return NOTHING if value is None else str(value)
    one = value == 1 and unit in _THINGS
    return quantity(float(value), unit.removesuffix("s") if one else unit)


def _sentence(text: object) -> str:
    """A text of a rule as a sentence; empty where there is none."""
    words = str(text or "").rstrip(".")
    return f"{capital(words)}." if words else ""


def _span(rule: dict[str, Any]) -> str:
    start, end = rule.get("from_s"), rule.get("to_s")
    if start is None and end is None:
        return NOTHING
    return f"{quantity(start, 's')}\u00a0…\u00a0{quantity(end, 's')}"


def broken_rules(run: Run) -> list[dict[str, str]]:
    """The rules that make the run invalid: text and remedy, for the banner."""
    return [
        {
            "rule": str(rule.get("rule", "")).replace("_", " "),
            "text": _sentence(rule.get("text")),
            "remedy": _sentence(rule.get("remedy")),
            "when": "" if _span(rule) == NOTHING else _span(rule),
        }
        for rule in run.verdict.get("validity") or []
        if not rule.get("ok")
    ]


def headlines(run: Run) -> list[Headline]:
    """What the page leads with: two waits at p50 and p95, the answers, the good turns, faults.

    The waits are the first two with samples: a chat in writing has no voice. Faults are named only
    where there are any.
    """
    found = []
    for metric in _leading(run):
        statistics = run.statistics(metric)
        found += [
            _headline(statistics.get(word), f"{_WAITS[metric]}, {word}", METRICS[metric].about)
            for word in ("p50", "p95")
        ]
    for metric, name in (("answered", "Turns answered"), ("good_turns", "Good turns")):
        row = run.statistics(metric).get("share")
        found.append(_headline(row, name, METRICS[metric].about))
    for metric, name in (("violations", "Protocol violations"), ("leaks", "Leaks")):
        row = run.statistics(metric).get("count")
        if row is not None and row.value:
            found.append(
                Headline(name, plain(row.value, "1"), _WHOLE, METRICS[metric].about, role="limit")
            )
    return found


def headline_note(run: Run) -> str:
    """What the headline numbers are over."""
    whole = any(line.more == _WHOLE for line in headlines(run))
    phase = f"Measured phase only{f', but for what says {_WHOLE}' if whole else ''}."
    return " ".join(part for part in (phase, "Brackets are 95 % intervals.", pooled(run)) if part)


def _leading(run: Run) -> list[str]:
    """The first two waits that have samples; without any, those of a spoken answer."""
    sampled = [
        metric
        for metric in _WAITS
        if (half := run.statistics(metric).get("p50")) is not None and half.n
    ]
    return (sampled or list(_WAITS))[:2]


def _headline(row: Statistic | None, name: str, about: str) -> Headline:
    if row is None or not row.n:
        return Headline(name, NO_DATA, sample_size(row.n if row else 0), about)
    spread = interval(row.low, row.high, row.unit)
    more = ", ".join(part for part in (spread, sample_size(row.n)) if part)
    return Headline(name, measured(row.value, row.n, row.unit, row.longest), more, about)


def why(run: Run) -> str:
    """The verdict in one sentence."""
    reasons = [str(reason) for reason in run.verdict.get("reasons") or []]
    gates = run.verdict.get("gates") or []
    if run.verdict.get("verdict") == "pass" and gates:
        return "The gate holds." if len(gates) == 1 else f"All {len(gates)} gates hold."
    if not reasons:
        return "No reason was recorded."
    first = reasons[0].rstrip(".")
    more = f"; and {count(len(reasons) - 1, 'more reason')}" if len(reasons) > 1 else ""
    return f"{capital(first)}{more}."


def other_reasons(run: Run) -> list[str]:
    """The reasons of the verdict that the gate table and the first sentence do not give."""
    told = {str(gate.get("reason")) for gate in run.verdict.get("gates") or []}
    reasons = [str(reason) for reason in run.verdict.get("reasons") or []]
    return [reason for reason in reasons[1:] if reason not in told]


def sessions_line(run: Run) -> str:
    """The load in a line: sessions, turns attempted, measured and answered in time."""
    intended = run.plan.get("sessions")
    held = f"{plain(intended)} held at once" if intended is not None else "open load"
    turns = run.measured
    answered = int((texts(turns, "outcome") == "ok").sum())
    return (
        f"{count(len(run.sessions), 'session')} ({held}), "
        f"{count(len(run.turns), 'turn')} attempted, {plain(len(turns))} of them measured"
        + (f", {plain(answered)} answered in time" if len(turns) else "")
    )
