"""Lines over runs: one metric of one setting, its intervals, its changes of level.

What a change is stands above the lines, in rows of its own: on a phone it would cover the points.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import plotly.graph_objects as go

from bench.compare.change_points import Change
from bench.compare.trend import Line, Point, size, worse
from bench.report.marks import safe
from bench.report.theme import blank, colour, metric_colour
from bench.report.words import moment, plain, with_interval
from bench.runs.record import Entry

_HEIGHT: Final = 320
_TICKS: Final = 5  # days under the axis: so many fit a phone
_LEGEND: Final = 28  # px: its height
_RIGHT: Final = 24  # px: half of the last day under the axis
_ROW: Final = 18  # px: a row of labels
_LETTER: Final = 0.027  # of the width of a phone's figure: a letter of a label
_DASHES: Final = {"p50": "solid", "p95": "dot", "share": "solid"}
_WIDTHS: Final = {"p50": 2.5, "p95": 2.0, "share": 2.5}


def line_figure(entries: Sequence[Entry], lines: Sequence[Line]) -> go.Figure:
    """`lines` of one metric over the runs of their setting, in order of time.

    The axis counts runs: by date, ten runs of one afternoon would be one spot.
    """
    place = {entry.key: at for at, entry in enumerate(entries)}
    low, high = _range(lines)
    changes = _changes(lines)
    labels = [_label(place, line, change) for line, change in changes]
    rows = _rows(labels)
    above = _ROW * (max(rows, default=-1) + 1)
    figure = blank(
        _HEIGHT + above,
        margin={"t": _LEGEND + above, "r": _RIGHT},
        legend={"yref": "container", "y": 1, "yanchor": "top"},
    )
    for line in lines:
        if line.points:
            figure.add_trace(_trace(place, line, (low, high)))
    if arrows := _open(place, lines, (low, high)):
        figure.add_trace(arrows)
    for (line, change), label, row in zip(changes, labels, rows, strict=True):
        _mark(figure, label, row, colour("limit" if worse(line, change) else "good"))
    if crosses := _aside(place, lines, low):
        figure.add_trace(crosses)
    unit = {"1": ""}.get(lines[0].unit, lines[0].unit)
    figure.update_yaxes(range=[low, high], title={"text": unit})
    shown = _ticks(entries)
    figure.update_xaxes(
        range=[-0.6, len(entries) - 0.4],
        tickvals=shown,
        ticktext=_days([entries[at] for at in shown]),
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


def _trace(place: dict[str, int], line: Line, ends: tuple[float, float]) -> go.Scatter:
    """The points of a line with their intervals as whiskers; an open one goes to the axis' end."""
    tone = metric_colour(line.metric)
    reaches = [(point, _reach(point, ends)) for point in line.points]
    return go.Scatter(
        x=[place[point.entry.key] for point in line.points],
        y=[point.value for point in line.points],
        mode="lines+markers",
        name=line.statistic,
        showlegend=True,
        line={
            "width": _WIDTHS.get(line.statistic, 1.5),
            "dash": _DASHES.get(line.statistic, "dash"),
            "color": tone,
        },
        marker={
            "size": 7,
            "color": colour("paper") if line.statistic == "p95" else tone,
            "line": {"width": 1.5, "color": tone},
        },
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [high - point.value for point, (_, high) in reaches],
            "arrayminus": [point.value - low for point, (low, _) in reaches],
            "color": tone,
            "thickness": 1,
            "width": 2,
        },
        customdata=[_hover(line, point) for point in line.points],
        hovertemplate="%{customdata[0]}<extra></extra>",
    )


def _reach(point: Point, ends: tuple[float, float]) -> tuple[float, float]:
    """From where to where its whisker goes; of an unknown interval nowhere, as in the table."""
    if point.low is None and point.high is None:
        return point.value, point.value
    low, high = ends
    return low if point.low is None else point.low, high if point.high is None else point.high


def _open(
    place: dict[str, int], lines: Sequence[Line], ends: tuple[float, float]
) -> go.Scatter | None:
    """An arrow where a whisker has no end."""
    low, high = ends
    found = [
        (place[point.entry.key], low if point.low is None else high)
        for line in lines
        for point in line.points
        if (point.low is None) != (point.high is None)
    ]
    if not found:
        return None
    return go.Scatter(
        x=[at for at, _ in found],
        y=[end for _, end in found],
        mode="markers",
        name="no end",
        cliponaxis=False,
        marker={
            "symbol": ["triangle-up" if end == high else "triangle-down" for _, end in found],
            "size": 8,
            "color": metric_colour(lines[0].metric),
        },
        hoverinfo="skip",
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


class _Label(NamedTuple):
    """What is said of a change, and where: its line, and what it covers, counted in runs."""

    text: str
    at: float
    begin: float
    end: float


def _label(place: dict[str, int], line: Line, change: Change) -> _Label:
    """A label stands on that side of its line on which there is more room."""
    step, unit = size(line, change)
    text = f"{line.statistic} {'+' if step > 0 else ''}{plain(step, '%')} {unit}"
    at = place[line.points[change.at].entry.key] - 0.5
    width = _LETTER * len(text) * len(place)
    late = at > 0.5 * len(place)
    return _Label(text, at, at - width if late else at, at if late else at + width)


def _rows(labels: Sequence[_Label]) -> list[int]:
    """A row for each label, the lowest in which it covers no other."""
    rows: list[int] = []
    for number, label in enumerate(labels):
        beside = {
            row
            for one, row in zip(labels[:number], rows, strict=True)
            if label.begin < one.end and one.begin < label.end
        }
        rows.append(next(row for row in range(len(labels)) if row not in beside))
    return rows


def _mark(figure: go.Figure, label: _Label, row: int, tone: str) -> None:
    """An upright line before the first run of a new level, up to what it is."""
    figure.add_vline(x=label.at, line={"color": tone, "width": 1.5, "dash": "dash"})
    figure.add_annotation(
        x=label.at,
        y=1,
        yref="paper",
        ax=0,
        ay=-_ROW * row - 2,
        xanchor="right" if label.begin < label.at else "left",
        yanchor="bottom",
        text=label.text,
        showarrow=True,
        arrowhead=0,
        arrowwidth=1.5,
        arrowcolor=tone,
        font={"size": 11, "color": tone},
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


def _days(entries: Sequence[Entry]) -> list[str]:
    """A day each, as in `3 Nov`; where several share one, the time of day above it."""
    days = [_day(entry) for entry in entries]
    if len(set(days)) == len(days):
        return days
    before = ["", *days[:-1]]
    return [
        entry.created[11:16] + (f"<br>{day}" if day != last else "")
        for entry, day, last in zip(entries, days, before, strict=True)
    ]


def _day(entry: Entry) -> str:
    day, month = moment(entry.created).split(" ")[:2]
    return f"{day} {month[:3]}"
