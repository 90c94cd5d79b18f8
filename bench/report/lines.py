"""Lines over runs: one metric of one setting, its intervals, its changes of level."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import plotly.graph_objects as go

from bench.analysis.history.changes import Change
from bench.analysis.history.series import Line, Point, size, worse
from bench.report.marks import safe
from bench.report.theme import blank, colour, metric_colour
from bench.report.words import moment, plain, with_interval
from bench.runs.record import Entry

_HEIGHT: Final = 320
_TICKS: Final = 5  # days under the axis: so many fit a phone
_DASHES: Final = {"p50": "solid", "p95": "dot", "share": "solid"}
_WIDTHS: Final = {"p50": 2.5, "p95": 2.0, "share": 2.5}


def line_figure(entries: Sequence[Entry], lines: Sequence[Line]) -> go.Figure:
    """`lines` of one metric over the runs of their setting, in order of time.

    The axis counts runs: by date, ten runs of one afternoon would be one spot.
    """
    place = {entry.key: at for at, entry in enumerate(entries)}
    low, high = _range(lines)
    figure = blank(_HEIGHT)
    for line in lines:
        if line.points:
            figure.add_trace(_band(place, line))
    for line in lines:
        if line.points:
            figure.add_trace(_trace(place, line))
    for at, (line, change) in enumerate(_changes(lines)):
        _mark(figure, place, line, change, at)
    if crosses := _aside(place, lines, low):
        figure.add_trace(crosses)
    unit = {"1": ""}.get(lines[0].unit, lines[0].unit)
    figure.update_yaxes(range=[low, high], title={"text": unit})
    shown = _ticks(entries)
    figure.update_xaxes(
        range=[-0.6, len(entries) - 0.4],
        tickvals=shown,
        ticktext=[_short(entries[at]) for at in shown],
        title={"text": "runs in order of time"},
        showgrid=False,
    )
    return figure


def _range(lines: Sequence[Line]) -> tuple[float, float]:
    """Where the axis of values begins and ends: at the intervals, with room for crosses."""
    ends = [
        float(end)
        for line in lines
        for point in line.points
        for end in (point.low, point.value, point.high)
        if end is not None
    ]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    span = (high - low) or abs(high) or 1.0
    return low - 0.12 * span, high + 0.14 * span


def _band(place: dict[str, int], line: Line) -> go.Scatter:
    """The intervals of a line. An open end is at the value: the hover says that it is open."""
    at = np.array([place[point.entry.key] for point in line.points])
    upper = [point.value if point.high is None else point.high for point in line.points]
    lower = [point.value if point.low is None else point.low for point in line.points]
    return go.Scatter(
        x=np.concatenate([at, at[::-1]]),
        y=np.array([*upper, *lower[::-1]], np.float64),
        mode="lines",
        fill="toself",
        fillcolor=metric_colour(line.metric),
        line={"width": 0, "color": metric_colour(line.metric)},
        opacity=0.16,
        hoverinfo="skip",
        showlegend=False,
    )


def _trace(place: dict[str, int], line: Line) -> go.Scatter:
    return go.Scatter(
        x=[place[point.entry.key] for point in line.points],
        y=[point.value for point in line.points],
        mode="lines+markers",
        name=line.statistic,
        showlegend=True,
        line={
            "width": _WIDTHS.get(line.statistic, 1.5),
            "dash": _DASHES.get(line.statistic, "dash"),
            "color": metric_colour(line.metric),
        },
        marker={
            "size": 7,
            "color": colour("paper") if line.statistic == "p95" else metric_colour(line.metric),
            "line": {"width": 1.5, "color": metric_colour(line.metric)},
        },
        customdata=[_hover(line, point) for point in line.points],
        hovertemplate="%{customdata[0]}<extra></extra>",
    )


def _hover(line: Line, point: Point) -> list[str]:
    """What a point says: value, commit, when, verdict, host."""
    entry = point.entry
    value = with_interval(point.value, point.low, point.high, line.unit)
    told = [
        f"<b>{line.statistic} {value}</b>, n = {plain(point.n)}",
        _commit(entry),
        f"{moment(entry.created)}, {safe(entry.verdict)}",
        f"bench {safe(entry.bench_version)} on {safe(entry.host, 48)}",
    ]
    return ["<br>".join(told)]


def _commit(entry: Entry) -> str:
    return f"commit {safe(entry.commit[:12])}" if entry.commit else "commit unknown"


def _changes(lines: Sequence[Line]) -> list[tuple[Line, Change]]:
    found = [(line, change) for line in lines for change in line.changes]
    return sorted(found, key=lambda each: each[0].points[each[1].at].entry.created)


def _mark(
    figure: go.Figure, place: dict[str, int], line: Line, change: Change, number: int
) -> None:
    """An upright line before the first run of a new level, with what it is."""
    at = place[line.points[change.at].entry.key] - 0.5
    step, unit = size(line, change)
    tone = colour("limit" if worse(line, change) else "good")
    figure.add_vline(x=at, line={"color": tone, "width": 1.5, "dash": "dash"})
    late = at > 0.55 * len(place)
    figure.add_annotation(
        x=at,
        y=0.99 - 0.085 * (number % 4),
        yref="paper",
        xanchor="right" if late else "left",
        yanchor="top",
        text=f"{line.statistic} {'+' if step > 0 else ''}{plain(step, '%')} {unit}",
        showarrow=False,
        font={"size": 11, "color": tone},
        bgcolor=colour("paper"),
    )


def _aside(place: dict[str, int], lines: Sequence[Line], low: float) -> go.Scatter | None:
    """A cross at the foot for every run without a point, once for all lines."""
    why: dict[str, tuple[Entry, str]] = {}
    for line in lines:
        for entry, reason in line.aside:
            said = reason if reason == "invalid" else f"{line.statistic} {reason}"
            why.setdefault(entry.key, (entry, said))
    if not why:
        return None
    custom = [
        [f"<b>{safe(reason)}</b><br>{_commit(entry)}<br>{moment(entry.created)}"]
        for entry, reason in why.values()
    ]
    return go.Scatter(
        x=[place[key] for key in why],
        y=[low] * len(why),
        mode="markers",
        name="no point",
        cliponaxis=False,
        marker={"symbol": "x-thin", "size": 9, "line": {"width": 2, "color": colour("axis")}},
        customdata=custom,
        hovertemplate="%{customdata[0]}<extra></extra>",
    )


def _ticks(entries: Sequence[Entry]) -> list[int]:
    """The places of a few runs, evenly spread, first and last among them."""
    few = min(_TICKS, len(entries))
    return sorted({round(at) for at in np.linspace(0, len(entries) - 1, few)})


def _short(entry: Entry) -> str:
    """A day in few letters: `3 Nov`."""
    day, month = moment(entry.created).split(" ")[:2]
    return f"{day} {month[:3]}"
