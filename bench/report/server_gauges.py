"""What the server said of itself (`--metrics-url`): each gauge over time, and what that means."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bench.errors import GateError
from bench.plan.gates import parse_gate
from bench.plan.metrics import WAITS
from bench.report.marks import remarks, safe, thin
from bench.report.panel import Panel, Table
from bench.report.run import Run
from bench.report.steadiness import sessions_open
from bench.report.theme import TEMPLATE, colour
from bench.report.words import clip, count, listing, plain, quantity, share
from bench.runs.exposition import kind_of
from bench.runs.gauges import Gauges, Series, called, rates, unit_of
from bench.tracker.outcomes import FAILED

IDLE: Final = 60.0
"""Percent: a CPU or GPU below it on average is not what limits."""
MANY: Final = 1.0
"""Percent of turns that fail, from which on that is no accident."""
_MOST_SAID: Final = 8
_LONGEST: Final = 44
"""Characters of a name above a line: so many fit a phone."""
_ROW: Final = 84  # px: a gauge
_GAP: Final = 26  # px between two
_EDGES: Final = 60  # px above and below all
_BRIEF_S: Final = 0.2
_LOST_S: Final = 2.5
"""Seconds between samples beyond which a scrape between them was lost."""
_ROLES: Final = {
    "gpu": "arrival", "cpu": "ink", "running": "heard", "waiting": "ear", "sessions": "caller",
    "memory": "thinking", "gpu memory": "thinking", "slots": "commit",
}  # fmt: skip
_DASHES: Final = ("solid", "dot", "dash", "dashdot")
_SIZES: Final = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))

Row = Mapping[str, Any]
"""An entry of `gauges` in summary.json: see `bench.runs.gauges.GaugeFigure`."""


def server_gauges(run: Run) -> Panel | None:
    """Every gauge over the run's time, sessions held below; none where no server was asked."""
    gauges = run.gauges
    if gauges is None and not run.about.get("gauges"):
        return None
    rows = list(run.summary.get("gauges") or ())
    figure, notes = (None, []) if gauges is None else _figure(run, gauges)
    caption = (
        "Each gauge as it was asked once a second (a counter: its rate); below, sessions open; "
        "shaded is what is not measured"
    )
    return Panel(
        "gauges",
        "What did the server say of itself?",
        " ".join(part for part in (idle_hardware(run.summary, run.verdict), _answer(rows)) if part),
        [(caption, figure)] if figure else [],
        [_table(rows)] if rows else [],
        notes=remarks(*notes, _asked(run)),
    )


def gauge_lines(summary: Mapping[str, Any], verdict: Mapping[str, Any]) -> list[str]:
    """The same in a few lines of text, for terminal and digest; none where nothing was asked."""
    rows = list(summary.get("gauges") or ())
    idle = idle_hardware(summary, verdict)
    more = len(rows) - _MOST_SAID
    return [
        *([idle] if idle else []),
        *map(_said, rows[:_MOST_SAID]),
        *([f"and {more} more, in summary.json"] if more > 0 else []),
    ]


def idle_hardware(summary: Mapping[str, Any], verdict: Mapping[str, Any]) -> str:
    """The sentence on a server that fails while its hardware has time; else "".

    It fails where a share of `MANY` percent of turns does, or a gate on the caller's wait. Hardware
    has time where every CPU and GPU that is known was below `IDLE` on average; of a process of
    which only its CPU time is known, below that share of a single core. A void run says nothing.
    """
    used = {row["gauge"]: busy for row in summary.get("gauges") or () if (busy := _busy(row))}
    means = {name: mean for name, (mean, _) in used.items()}
    failing = _failing(summary, verdict)
    if not used or not failing or verdict.get("verdict") == "invalid":
        return ""
    if max(means.values()) >= IDLE:
        return ""
    told = listing(f"{name} {quantity(mean, '%')}{of}" for name, (mean, of) in used.items())
    return f"Saturated with idle hardware: {failing}, at {told} on average."


def _busy(row: Row) -> tuple[float, str] | None:
    """How busy a CPU or GPU was on average, in %, and of what; None of anything else."""
    if kind_of(str(row["name"])) not in {"cpu", "gpu"}:
        return None
    mean = float(row["mean"])
    return {"%": (mean, ""), "1": (100 * mean, ""), "cores": (100 * mean, " of a core")}.get(
        str(row["unit"])
    )


def _failing(summary: Mapping[str, Any], verdict: Mapping[str, Any]) -> str:
    """What fails of the turns and of the gates on the caller's wait, in words; else ""."""
    outcomes = summary.get("outcomes") or {}
    failed = sum(outcomes.get(word, 0) for word in FAILED)
    attempted = failed + outcomes.get("ok", 0)
    said = []
    if failed and 100 * failed >= MANY * attempted:
        said.append(f"{share(failed, attempted)} of turns failed")
    gates = [gate for gate in verdict.get("gates") or () if not gate.get("soft")]
    broken = [str(gate["gate"]) for gate in gates if gate.get("verdict") == "fail"]
    said += [f"{gate} failed" for gate in broken if _is_wait(gate)]
    return listing(said)


def _is_wait(gate: str) -> bool:
    try:
        return parse_gate(gate).metric in WAITS
    except GateError:
        return False


def _answer(rows: Sequence[Row]) -> str:
    if not rows:
        return "No gauge has a sample in the measured phase."
    more = len(rows) - _MOST_SAID
    said = "; ".join([*map(_said, rows[:_MOST_SAID]), *([f"{more} more"] if more > 0 else [])])
    return f"Over the measured phase: {said}."


def _said(row: Row) -> str:
    mean, most = (_shown(float(row[key]), str(row["unit"])) for key in ("mean", "max"))
    return f"{row['gauge']} mean {mean}, max {most}"


def _shown(value: float, unit: str) -> str:
    """A figure for a reader."""
    size, name = _scale(unit, abs(value))
    return quantity(value / size, name)


def _scale(unit: str, largest: float) -> tuple[float, str]:
    """By what values are divided for a reader, and their unit then: shares in %, bytes as suits."""
    if unit == "1":
        return 0.01, "%"
    if unit == "B":
        return next(((size, name) for name, size in _SIZES if largest >= size), (1.0, "B"))
    return 1.0, unit


def _table(rows: Sequence[Row]) -> Table:
    cells = [
        [
            str(row["gauge"]),
            _shown(float(row["mean"]), str(row["unit"])),
            _shown(float(row["max"]), str(row["unit"])),
            plain(row["n"], "1"),
        ]
        for row in rows
    ]
    return Table(
        "Gauges over the measured phase",
        ("gauge", "mean", "max", "samples"),
        cells,
        numeric=frozenset({1, 2, 3}),
        note="Of a counter its rate, between scrapes; cores are seconds of CPU a second.",
    )


def _asked(run: Run) -> str:
    """Who was asked, and how often it answered."""
    told = run.about.get("gauges") or {}
    if not told:
        return ""
    if "scrapes" not in told:
        return "The run was ended before its gauges were kept."
    answered = told["scrapes"] - told["lost"]
    return (
        f"{clip(told['url'])} answered {plain(answered, '1')} of {count(told['scrapes'], 'scrape')}"
        " in the whole run."
    )


# ── figure ───────────────────────────────────────────────────────────────────────────────────────


def _figure(run: Run, gauges: Gauges) -> tuple[go.Figure | None, list[str]]:
    """A row for every name, and one for the sessions held; what thinning did. None of no samples.

    Lines are drawn from the start of the run on: the processes of a load take a while to begin.
    """
    drawn = {series: _drawn(run, gauges, series) for series in gauges.series}
    names = list(dict.fromkeys(series.name for series, table in drawn.items() if len(table)))
    if not names:
        return None, []
    held = sessions_open(run)
    rows = len(names) + (not held.empty)
    height = _EDGES + _ROW * rows
    figure = make_subplots(rows=rows, cols=1, shared_xaxes=True, vertical_spacing=_GAP / height)
    figure.update_layout(template=TEMPLATE, height=height, autosize=True, showlegend=False)
    notes = []
    for row, name in enumerate(names, 1):
        mine = {series: table for series, table in drawn.items() if series.name == name}
        largest = max(float(table["value"].abs().max()) for table in mine.values() if len(table))
        size, unit = _scale(unit_of(name, counter=name in gauges.counters), largest)
        for number, (series, table) in enumerate(mine.items()):
            shown, note = thin(table.assign(value=table["value"] / size))
            label = called(series, [one.name for one in drawn])
            figure.add_trace(_line(label, shown, unit, _DASHES[number % 4]), row=row, col=1)
            notes.append(note)
        several = f" ({count(len(mine), 'series', 'series')})" if len(mine) > 1 else ""
        _title(figure, row, safe(name, _LONGEST) + (f", {unit}" if unit else "") + several)
    if not held.empty:
        figure.add_trace(_held(held), row=rows, col=1)
        _title(figure, rows, "sessions held")
    _measured(figure, run)
    figure.update_yaxes(rangemode="tozero", nticks=3)
    figure.update_xaxes(title={"text": "seconds since the run began"}, row=rows, col=1)
    return figure, notes


def _drawn(run: Run, gauges: Gauges, series: Series) -> pd.DataFrame:
    """Columns at (seconds) and value: finite samples since the run began, of a counter rates."""
    readings = gauges.series[series]
    shown = rates(readings) if series.name in gauges.counters else readings
    at = (np.array(shown.at_ns, np.int64) - run.origin_ns) / 1e9
    values = np.array(shown.levels, float)
    kept = (at >= 0) & np.isfinite(values)
    at, values = at[kept], values[kept]
    lost = np.flatnonzero(np.diff(at) > _LOST_S) + 1  # there the line breaks
    if series.name not in gauges.counters:  # a rate is known over a gap as well
        at, values = np.insert(at, lost, at[lost]), np.insert(values, lost, np.nan)
    return pd.DataFrame({"at": at, "value": values})


def _line(label: str, table: pd.DataFrame, unit: str, dash: str) -> go.Scatter:
    words = safe(label)
    return go.Scatter(
        x=table["at"].to_numpy(),
        y=table["value"].to_numpy(),
        mode="lines+markers" if len(table) < 2 else "lines",
        name=words,
        line={
            "width": 1.5,
            "dash": dash,
            "color": colour(_ROLES.get(kind_of(label.partition("{")[0]), "player")),
        },
        hovertemplate=f"<b>%{{y:,.3~r}} {unit}</b> {words} at %{{x:.0f}} s<extra></extra>",
    )


def _held(held: pd.DataFrame) -> go.Scatter:
    return go.Scatter(
        x=held["at"].to_numpy(),
        y=held["open"].to_numpy(),
        mode="lines",
        name="sessions held",
        line={"shape": "hv", "width": 2, "color": colour("caller")},
        hovertemplate="<b>%{y:.0f}</b> sessions open at %{x:.0f} s<extra></extra>",
    )


def _title(figure: go.Figure, row: int, text: str) -> None:
    """What a row shows, above it."""
    axis = "" if row == 1 else str(row)
    figure.add_annotation(
        x=0, xref="paper", xanchor="left", y=1, yref=f"y{axis} domain", yanchor="bottom",
        text=text, showarrow=False, font={"size": 12, "color": colour("ink")},
    )  # fmt: skip


def _measured(figure: go.Figure, run: Run) -> None:
    """Shade in every row what is not measured: warm-up and drain."""
    plan, origin = run.plan, run.origin_ns
    begin, end, last = (
        None if plan.get(name) is None else (plan[name] - origin) / 1e9
        for name in ("measured_from_ns", "measured_to_ns", "end_ns")
    )
    for start, stop in ((0.0, begin), (end, last)):
        if start is not None and stop is not None and stop - start >= _BRIEF_S:
            figure.add_vrect(
                x0=start, x1=stop, fillcolor=colour("cut"), opacity=0.2, layer="below",
                line={"width": 0},
            )  # fmt: skip
