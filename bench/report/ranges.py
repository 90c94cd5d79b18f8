"""Ranges: a metric a line, from its p50 to its p95, where only statistics are known or compared.

Theory of operation
-------------------
A dot is p50 with its 95 % interval as a bar, a tick is p95. The words stand above each line and
not beside it, so that a phone has the whole width for the scale. Everything is of the summary.
"""

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from bench.report.marks import safe
from bench.report.panel import Table
from bench.report.run import Statistic
from bench.report.theme import blank, colour
from bench.report.words import (
    NOTHING,
    interval,
    measured,
    missing,
    plain,
    sample_size,
    with_interval,
)


class Range(NamedTuple):
    """One line: its name, what it is, its colour role and the statistics of its samples."""

    name: str
    about: str
    role: str
    statistics: dict[str, Statistic]

    @property
    def n(self) -> int:
        """How many samples there are."""
        half = self.statistics.get("p50")
        return half.n if half else 0


def ranges(lines: Sequence[Range], title: str) -> go.Figure | None:
    """A line per range that has samples, in order from the top; None without any p50.

    Of a p50 beyond every wait there are words and no dot.
    """
    shown = [line for line in lines if line.n]
    if all(missing(line.statistics["p50"].value) for line in shown):
        return None
    figure = blank(58 + 62 * len(shown), showlegend=False, margin={"l": 12, "r": 16, "t": 8})
    for position, line in enumerate(shown):
        row = len(shown) - 1 - position
        if not missing(line.statistics["p50"].value):
            _line(figure, line, float(row))
        figure.add_annotation(
            x=0, xref="paper", xanchor="left", y=row + 0.48, yanchor="middle",
            text=f"<b>{safe(line.name, 40)}</b><br>{_said(line)}", align="left", showarrow=False,
            font={"size": 12, "color": colour("ink")}, bgcolor=colour("paper"),
        )  # fmt: skip
    figure.update_xaxes(title={"text": title}, showgrid=True, rangemode="tozero")
    figure.update_yaxes(
        range=[-0.25, len(shown) - 0.2], showticklabels=False, showgrid=False, fixedrange=True
    )
    return figure


def _said(line: Range) -> str:
    half, most = line.statistics["p50"], line.statistics.get("p95")
    said = f"p50 {measured(half.value, half.n, half.unit, half.longest)}"
    if most is not None:
        said += f" · p95 {measured(most.value, most.n, most.unit, most.longest)}"
    return f"{said} · {sample_size(line.n)}"


def _line(figure: go.Figure, line: Range, row: float) -> None:
    half, most = line.statistics["p50"], line.statistics.get("p95")
    value = float(half.value or 0.0)
    if most is not None and most.value is not None:
        figure.add_trace(
            go.Scatter(
                x=[value, most.value],
                y=[row, row],
                mode="lines+markers",
                line={"width": 3, "color": colour(line.role)},
                marker={
                    "symbol": "line-ns", "size": [0, 13],
                    "line": {"width": 3, "color": colour(line.role)},
                },
                opacity=0.55,
                customdata=[_hover(line, half), _hover(line, most)],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )  # fmt: skip
    low = value if half.low is None else half.low
    high = value if half.high is None else half.high
    figure.add_trace(
        go.Scatter(
            x=[value],
            y=[row],
            mode="markers",
            error_x={
                "type": "data", "symmetric": False, "array": [max(0.0, high - value)],
                "arrayminus": [max(0.0, value - low)], "thickness": 1.5, "width": 5,
                "color": colour("ink"),
            },
            marker={
                "size": 10, "color": colour("paper"),
                "line": {"width": 2.5, "color": colour(line.role)},
            },
            customdata=[_hover(line, half)],
            hovertemplate="%{customdata}<extra></extra>",
        )
    )  # fmt: skip


def _hover(line: Range, row: Statistic) -> str:
    return (
        f"<b>{safe(line.name, 40)}</b> {row.statistic} "
        f"{with_interval(row.value, row.low, row.high, row.unit)}<br>n = {plain(row.n, '1')}"
    )


def range_table(lines: Sequence[Range], caption: str, head: str) -> Table | None:
    """The same as a table: name, what it is, p50, p95, n; None without a sample."""
    rows = [
        [
            (line.name, line.about) if line.about else line.name,
            *(spread(line.statistics.get(word)) for word in ("p50", "p95")),
            plain(line.n, "1"),
        ]
        for line in lines
        if line.n
    ]
    if not rows:
        return None
    return Table(caption, (head, "p50", "p95", "n"), rows, numeric=frozenset({1, 2, 3}))


def overlap(one: Statistic | None, other: Statistic | None) -> bool:
    """Whether two intervals share a value; an interval that is not known shares all."""
    ends = [None] if one is None or other is None else [one.low, other.high, other.low, one.high]
    known = [end for end in ends if end is not None]
    return len(known) < 4 or (known[0] <= known[1] and known[2] <= known[3])


def spread(row: Statistic | None) -> str | tuple[str, str]:
    """A statistic as a cell: its value over its interval."""
    if row is None or not row.n:
        return NOTHING
    value = measured(row.value, row.n, row.unit, row.longest)
    bounds = interval(row.low, row.high, row.unit)
    return (value, bounds) if bounds else value
