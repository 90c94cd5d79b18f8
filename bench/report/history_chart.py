"""The chart of a history: one metric over the runs of a setting, its intervals and its changes."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import plotly.graph_objects as go

from bench.compare.change_points import Change
from bench.compare.trend import INVALID, Line, Point, size, worse
from bench.report.marks import Upright, safe, uprights, whiskers
from bench.report.text import moment, plain, with_interval
from bench.report.theme import blank, colour, metric_colour
from bench.runs.history_record import Entry

Event = tuple[Entry, list[tuple[Line, Change]]]
"""A run at which figures changed, and what changed."""
_TICKS: Final = 5  # days under the axis: so many fit a phone
_LOOKS: Final = {"p50": ("solid", 2.5), "p95": ("dot", 2.0), "share": ("solid", 2.5)}
"""By statistic: dash and width of its line."""


def events_of(lines: Sequence[Line]) -> list[Event]:
    """What changed, in order of time: all that changed at one run is one event."""
    found: dict[str, Event] = {}
    for line in lines:
        for change in line.changes:
            entry = line.points[change.at].entry
            found.setdefault(entry.key, (entry, []))[1].append((line, change))
    return sorted(found.values(), key=lambda event: event[0].created)


def is_worse(event: Event) -> bool:
    """Whether anything changed for the worse."""
    return any(worse(line, change) for line, change in event[1])


def size_words(line: Line, change: Change) -> str:
    """How large a change is, with its sign: `+12 %`."""
    step, unit = size(line, change)
    return f"{'+' if step > 0 else ''}{plain(step, '%')} {unit}"


def line_figure(entries: Sequence[Entry], lines: Sequence[Line]) -> go.Figure:
    """`lines` of one metric over the runs of their setting, in order of time.

    The axis counts runs: by date, ten runs of one afternoon would be one spot.
    """
    place = {entry.key: at for at, entry in enumerate(entries)}
    low, high = _range(lines)
    figure = blank(320)
    for line in lines:
        if line.points:
            figure.add_trace(_trace(place, line, (low, high)))
    if arrows := _open(place, lines, (low, high)):
        figure.add_trace(arrows)
    if crosses := _aside(place, lines, low):
        figure.add_trace(crosses)
    begin, end = -0.6, len(entries) - 0.4
    changes = [
        Upright(
            place[event[0].key] - 0.5,
            ", ".join(f"{line.statistic} {size_words(line, it)}" for line, it in event[1]),
            "limit" if is_worse(event) else "good",
        )
        for event in events_of(lines)
    ]
    uprights(figure, changes, begin, end)
    unit = "" if lines[0].unit == "1" else lines[0].unit
    figure.update_yaxes(range=[low, high], title={"text": unit})
    shown = _ticks(entries)
    figure.update_xaxes(
        range=[begin, end],
        tickvals=shown,
        ticktext=_days([entries[at] for at in shown]),
        title={"text": "runs in order of time"},
        showgrid=False,
    )
    figure.update_layout(margin={"r": 24})  # half of the last day under the axis
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
    dash, width = _LOOKS.get(line.statistic, ("dash", 1.5))
    values = [point.value for point in line.points]
    reaches = [_reach(point, ends) for point in line.points]
    return go.Scatter(
        x=[place[point.entry.key] for point in line.points],
        y=values,
        mode="lines+markers",
        name=line.statistic,
        showlegend=True,
        line={"width": width, "dash": dash, "color": tone},
        marker={
            "size": 7,
            "color": colour("paper") if line.statistic == "p95" else tone,
            "line": {"width": 1.5, "color": tone},
        },
        error_y=whiskers(values, reaches, tone, thickness=1, width=2),
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


def _aside(place: dict[str, int], lines: Sequence[Line], low: float) -> go.Scatter | None:
    """A cross at the foot for every run without a point, once for all lines."""
    why: dict[str, tuple[Entry, str]] = {}
    for line in lines:
        for entry, reason in line.aside:
            said = reason if reason == INVALID else f"{line.statistic} {reason}"
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
