"""Panel on the server's own gauges (`--metrics-url`): each over time, and what they mean."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bench.plan.metrics import WAITS
from bench.report.marks import safe, thin
from bench.report.panels import Chart, Drawn, Question, Table, table_of
from bench.report.run_data import Run, gate_of
from bench.report.text import clip, count, listing, plain, quantity, scale, scaled, share
from bench.report.theme import colour, stacked
from bench.report.time_panels import RUN_SECONDS, sessions_line, sessions_open, shade_unmeasured
from bench.runs.gauges import Gauges, Series, called, rates, unit_of
from bench.runs.prometheus_text import kind_of
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
_LOST_S: Final = 2.5
"""Seconds between samples beyond which a scrape between them was lost."""
_ROLES: Final = {
    "gpu": "arrival", "cpu": "ink", "running": "heard", "waiting": "vad", "sessions": "caller",
    "memory": "thinking", "gpu memory": "thinking", "slots": "commit",
}  # fmt: skip
_DASHES: Final = ("solid", "dot", "dash", "dashdot")

GaugeRow = Mapping[str, Any]
"""An entry of `gauges` in summary.json: see `bench.runs.gauges.GaugeFigure`."""


def gauge_lines(summary: Mapping[str, Any], verdict: Mapping[str, Any]) -> list[str]:
    """What was said, in a few lines of text, for terminal and digest; none where nobody asked."""
    rows = list(summary.get("gauges") or ())
    more = len(rows) - _MOST_SAID
    rest = f"and {more} more, in summary.json" if more > 0 else ""
    lines = [idle_hardware(summary, verdict), *map(_said, rows[:_MOST_SAID]), rest]
    return [line for line in lines if line]


def idle_hardware(summary: Mapping[str, Any], verdict: Mapping[str, Any]) -> str:
    """The sentence on a server that fails while its hardware has time; else "".

    It fails where a share of `MANY` percent of turns does, or a gate on the caller's wait. Hardware
    has time where every CPU and GPU that is known was below `IDLE` on average; of a process of
    which only its CPU time is known, below that share of a single core. A void run says nothing.
    """
    used = {row["gauge"]: busy for row in summary.get("gauges") or () if (busy := _busy(row))}
    failing = _failing(summary, verdict)
    if not used or not failing or verdict.get("verdict") == "invalid":
        return ""
    if max(mean for mean, _ in used.values()) >= IDLE:
        return ""
    told = listing(f"{name} {quantity(mean, '%')}{of}" for name, (mean, of) in used.items())
    return f"Saturated with idle hardware: {failing}, at {told} on average."


def _busy(row: GaugeRow) -> tuple[float, str] | None:
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
    many = failed and 100 * failed >= MANY * attempted
    said = [f"{share(failed, attempted)} of turns failed"] if many else []
    for entry in verdict.get("gates") or ():
        gate = gate_of(entry)
        failed_gate = entry.get("verdict") == "fail" and not entry.get("soft")
        if failed_gate and gate is not None and gate.metric in WAITS:
            said.append(f"{entry['gate']} failed")
    return listing(said)


def _rows(run: Run) -> list[GaugeRow]:
    return list(run.summary.get("gauges") or ())


def _answer(run: Run) -> str:
    rows = _rows(run)
    if not rows:
        return "No gauge has a sample in the measured phase."
    more = len(rows) - _MOST_SAID
    said = "; ".join([*map(_said, rows[:_MOST_SAID]), *([f"{more} more"] if more > 0 else [])])
    return f"Over the measured phase: {said}."


def _said(row: GaugeRow) -> str:
    return f"{row['gauge']} mean {_shown(row, 'mean')}, max {_shown(row, 'max')}"


def _shown(row: GaugeRow, key: str) -> str:
    return scaled(float(row[key]), str(row["unit"]))


def _table(run: Run) -> Table | None:
    return table_of(
        "Gauges over the measured phase",
        {
            "gauge": lambda row: str(row["gauge"]),
            "mean": lambda row: _shown(row, "mean"),
            "max": lambda row: _shown(row, "max"),
            "samples": lambda row: plain(row["n"], "1"),
        },
        _rows(run),
        numeric=("mean", "max", "samples"),
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


def _figure(run: Run) -> Drawn:
    """A row for every name, and one for the sessions held.

    Lines are drawn from the start of the run on: the processes of a load take a while to begin.
    """
    gauges = run.gauges
    if gauges is None:
        return None, []
    drawn = {series: _drawn(run, gauges, series) for series in gauges.series}
    names = list(dict.fromkeys(series.name for series, table in drawn.items() if len(table)))
    if not names:
        return None, []
    held = sessions_open(run)
    rows = len(names) + (not held.empty)
    height = _EDGES + _ROW * rows
    figure = stacked(height, [1.0] * rows, _GAP / height, showlegend=False)
    notes = []
    for row, name in enumerate(names, 1):
        mine = {series: table for series, table in drawn.items() if series.name == name}
        largest = max(float(table["value"].abs().max()) for table in mine.values() if len(table))
        size, unit = scale(unit_of(name, counter=name in gauges.counters), largest)
        for number, (series, table) in enumerate(mine.items()):
            shown, note = thin(table.assign(value=table["value"] / size))
            label = called(series, [one.name for one in drawn])
            figure.add_trace(_line(label, shown, unit, _DASHES[number % 4]), row=row, col=1)
            notes.append(note)
        several = f" ({count(len(mine), 'series', 'series')})" if len(mine) > 1 else ""
        _title(figure, row, safe(name, _LONGEST) + (f", {unit}" if unit else "") + several)
    if not held.empty:
        figure.add_trace(sessions_line(held, "open", "caller", "solid"), row=rows, col=1)
        _title(figure, rows, "sessions held")
    shade_unmeasured(figure, run, named=False)
    figure.update_yaxes(rangemode="tozero", nticks=3)
    figure.update_xaxes(title={"text": RUN_SECONDS}, row=rows, col=1)
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
    role = _ROLES.get(kind_of(label.partition("{")[0]), "player")
    return go.Scatter(
        x=table["at"].to_numpy(),
        y=table["value"].to_numpy(),
        mode="lines+markers" if len(table) < 2 else "lines",
        name=safe(label),
        line={"width": 1.5, "dash": dash, "color": colour(role)},
        hovertemplate=f"<b>%{{y:,.3~r}} {unit}</b> {safe(label)} at %{{x:.0f}} s<extra></extra>",
    )


def _title(figure: go.Figure, row: int, text: str) -> None:
    """What a row shows, above it."""
    axis = "" if row == 1 else str(row)
    figure.add_annotation(
        x=0, xref="paper", xanchor="left", y=1, yref=f"y{axis} domain", yanchor="bottom",
        text=text, showarrow=False, font={"size": 12, "color": colour("ink")},
    )  # fmt: skip


SERVER_GAUGES: Final = Question(
    "gauges",
    "What did the server say of itself?",
    says=(lambda run: idle_hardware(run.summary, run.verdict), _answer),
    charts=(
        Chart(
            "Each gauge as it was asked once a second (a counter: its rate); below, sessions open; "
            "shaded is what is not measured",
            _figure,
        ),
    ),
    tables=(_table,),
    notes=(_asked,),
    asked=lambda run: run.gauges is not None or bool(run.about.get("gauges")),
)
