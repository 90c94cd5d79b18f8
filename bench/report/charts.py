"""The charts that panels declare: curves over turns, strips of points, ranges of statistics.

Quantiles and their intervals are those of the summary; nothing here computes a statistic. The words
of a row stand above its marks and not beside them, so that a phone has the whole width.
"""

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bench.analysis.samples import turn_sample
from bench.analysis.turn_columns import TurnColumns
from bench.plan.gates import QUANTILES, Gate
from bench.plan.metrics import METRICS
from bench.report.marks import (
    TURN_HOVER,
    Upright,
    aside,
    safe,
    sampled,
    thin,
    turn_ids,
    turn_points,
    uprights,
    whiskers,
)
from bench.report.panels import Chart, Drawn
from bench.report.run_data import Run, Statistic, gate_of
from bench.report.text import count, plain, quantity, sample_size
from bench.report.theme import blank, colour, metric_colour
from bench.stats.survival import in_order, survival

_MARKED: Final = ("p50", "p95", "p99")
_EDGE: Final = 2.5
"""Times p99: what lies beyond that is cut off an axis, and said."""


# ── curves: the share of turns at or below a time ────────────────────────────────────────────────


class Curve(NamedTuple):
    """A curve of a figure. `labels` is where its marked quantiles are named; none marks none."""

    metric: str
    words: str
    dash: str = "solid"
    labels: str = ""


def curves(
    caption: str,
    lines: Sequence[Curve],
    title: str,
    *,
    of: Callable[[Run], pd.DataFrame] = lambda run: run.counted,
    edge: str = "",
) -> Chart:
    """A chart of curves over the turns `of` a run; far beyond the p99 of `edge` it ends."""

    def draw(run: Run) -> Drawn:
        figure, values, notes = blank(380), [], []
        turns = of(run)
        for line in lines:
            trace, note = curve(turns, line.metric, line.words, dash=line.dash)
            if trace is not None:
                figure.add_trace(trace)
                values += [float(value) for value in trace.x]
                notes.append(note)
        if not values:
            return None, []
        for line in lines:
            known = run.statistics(line.metric)
            if line.labels and (trace := marks(known, line.metric, position=line.labels)):
                figure.add_trace(trace)
        limits = _limits(run, [line.metric for line in lines])
        p99 = run.statistic(edge, "p99").value if edge else None
        notes.append(_share_axes(figure, limits, values, p99, title))
        return figure, notes

    return Chart(caption, draw)


def curve(
    turns: pd.DataFrame, metric: str, name: str, *, dash: str = "solid"
) -> tuple[go.Scatter | None, str]:
    """The share of turns (in %) at or below each value of `metric`, and what thinning did.

    A turn that failed waited in vain: it holds the curve below 100 %, as it does the summary's
    quantiles (the same samples, the same product of Kaplan and Meier).
    """
    table = sampled(turns, metric)
    if table.empty:
        return None, ""
    if "said_ns" not in turns:  # a folder of older definitions
        turns = turns.assign(said_ns=turns["speech_offset_ns"])
    waits, censored, _ = turn_sample(METRICS[metric], TurnColumns(turns))
    censored = censored[in_order(waits, censored)]
    left = survival(np.ones((len(censored), 1), np.int32), censored)[:, 0]
    table, note = thin(table.assign(below=100.0 * (1.0 - left[~censored])))
    trace = go.Scatter(
        x=table["value"].to_numpy(),
        y=table["below"].to_numpy(),
        customdata=turn_ids(table),
        name=name,
        mode="lines",
        line={"shape": "hv", "width": 2, "color": metric_colour(metric), "dash": dash},
        hovertemplate=f"<b>%{{x:,.0f}} ms</b> {name}<br>{TURN_HOVER}"
        "<br>%{y:.1f} % of turns at or below<extra></extra>",
    )
    return trace, note


def marks(statistics: Mapping[str, Statistic], metric: str, *, position: str) -> go.Scatter | None:
    """p50, p95 and p99 of the summary on the curve, with their intervals as bars.

    The bar of p99 would lie on top of that of p95; its interval is in the hover.
    """
    known = [statistics[word] for word in _MARKED if word in statistics and statistics[word].known]
    if not known:
        return None
    tint = metric_colour(metric)
    bars = [row.statistic != "p99" for row in known]
    ends = zip(known, bars, strict=True)
    return go.Scatter(
        x=[row.number for row in known],
        y=[100.0 * QUANTILES[row.statistic] for row in known],
        error_x=whiskers(
            [row.number for row in known],
            [(row.low, row.high) if bar else (None, None) for row, bar in ends],
            tint,
        ),
        mode="markers+text",
        text=[
            "" if _crowded(row, statistics.get("p95")) else f"{row.statistic} {plain(row.value)}"
            for row in known
        ],
        textposition=position,
        textfont={"size": 11, "color": tint},
        cliponaxis=False,
        marker={"size": 9, "color": colour("paper"), "line": {"width": 2, "color": tint}},
        customdata=[[row.statistic, row.whole, plain(row.n)] for row in known],
        hovertemplate="<b>%{customdata[0]}</b> %{customdata[1]}<br>n = %{customdata[2]}"
        "<extra></extra>",
        showlegend=False,
    )


def _crowded(row: Statistic, p95: Statistic | None) -> bool:
    """Whether a p99 has no room for its label beside that of p95, nor clear of the bar of p95."""
    if row.statistic != "p99" or p95 is None or not p95.known:
        return False
    return row.number < max(1.1 * p95.number, p95.high or 0.0)


def _limits(run: Run, metrics: Sequence[str]) -> list[Gate]:
    """The gates with a fixed limit to a quantile of `metrics`; one that cannot be read is none."""
    gates = map(gate_of, run.verdict.get("gates") or [])
    return [
        gate
        for gate in gates
        if gate is not None
        and gate.metric in metrics
        and gate.limit is not None
        and gate.statistic in QUANTILES
    ]


def _share_axes(
    figure: go.Figure,
    limits: Sequence[Gate],
    values: Sequence[float],
    p99: float | None,
    title: str,
) -> str:
    """Give curves their axes, ms by share of turns in %, and the gates' limits.

    `values` are all that the curves go through; far beyond `p99` the figure ends (None: at the last
    of them), but never before a limit. The sentence about what lies beyond.
    """
    beyond, edge = "", max(values)
    if p99 and 0 < _EDGE * p99 < edge:
        edge = _EDGE * p99
        number = sum(value > edge for value in values)
        beyond = (
            f"{count(number, 'turn')} beyond the right edge, up to {quantity(max(values), 'ms')}."
        )
    right = max([1.06 * max(edge, 1.0), *(1.08 * (gate.limit or 0.0) for gate in limits)])
    lowest = min(values)
    left = lowest - 0.15 * (right - lowest) if lowest > 0.4 * right else 1.06 * min(0.0, lowest)
    lines = [
        Upright(
            float(gate.limit or 0.0),
            f"{gate.statistic} {METRICS[gate.metric].label} {html.escape(gate.operator)} "
            f"{quantity(gate.limit, 'ms')}",
            "limit",
        )
        for gate in limits
    ]
    uprights(figure, lines, left, right)
    figure.update_xaxes(range=[left, right], title={"text": title})
    ticks = [0, 25, 50, 75, 95, 100]
    figure.update_yaxes(
        range=[0, 104], tickvals=ticks, ticktext=["0", *(f"{tick} %" for tick in ticks[1:])]
    )
    return beyond


# ── rows: strips of points, and ranges ───────────────────────────────────────────────────────────


def rows_of(number: int, pitch: int) -> go.Figure:
    """An empty figure of `number` rows, `pitch` pixels each, the first with y 0 at the foot."""
    figure = blank(58 + pitch * number, showlegend=False, margin={"l": 12, "r": 16, "t": 8})
    figure.update_yaxes(
        range=[-0.5, number - 0.34], showticklabels=False, showgrid=False, fixedrange=True
    )
    return figure


def row_label(figure: go.Figure, row: float, name: str, more: str) -> None:
    """The words of a row, above its marks."""
    figure.add_annotation(
        x=0, xref="paper", xanchor="left", y=row + 0.62, yanchor="top", align="left",
        text=f"<b>{name}</b>{more}", showarrow=False, font={"size": 12, "color": colour("ink")},
    )  # fmt: skip


def p50_p95(statistics: Mapping[str, Statistic]) -> str:
    """`p50 742 ms · p95 1 013 ms` of what there is."""
    found = (statistics.get(word) for word in ("p50", "p95"))
    return " · ".join(f"{row.statistic} {row.shown}" for row in found if row is not None)


class Reference(NamedTuple):
    """A value that strips are read against: a line through each row."""

    of: Callable[[Run], float | None]
    role: str
    dash: str = "solid"


ZERO: Final = Reference(lambda _run: 0.0, "axis")


def strips(
    caption: str,
    metrics: Mapping[str, str],
    title: str,
    *,
    unit: str = "ms",
    against: Sequence[Reference] = (),
    from_zero: bool = False,
) -> Chart:
    """A chart of every sample of each metric that has some, over a bar from p50 to p95."""

    def draw(run: Run) -> Drawn:
        tables = {metric: sampled(run.counted, metric) for metric in metrics}
        shown = [metric for metric, table in tables.items() if not table.empty]
        if not shown:
            return None, []
        figure, notes = rows_of(len(shown), 92), []
        for place, metric in enumerate(shown):
            row = len(shown) - 1 - place
            table, note = thin(tables[metric])
            notes.append(note)
            digits = 2 if unit == "ratio" else 0
            figure.add_trace(
                turn_points(
                    table, table["value"], row - 0.02 + 0.38 * aside(len(table)),
                    f"<b>%{{x:,.{digits}f}}{' ms' if unit == 'ms' else ''}</b> {metrics[metric]}",
                    name=metrics[metric], showlegend=False,
                    marker={"size": 5, "opacity": 0.55, "color": metric_colour(metric)},
                )
            )  # fmt: skip
            known = run.statistics(metric)
            if (middle := _middle(known, row - 0.33)) is not None:
                figure.add_trace(middle)
            row_label(figure, row, metrics[metric], f"<br>{p50_p95(known)}")
            for line in against:
                if (at := line.of(run)) is not None:
                    look = {"color": colour(line.role), "width": 1.5, "dash": line.dash}
                    figure.add_shape(x0=at, x1=at, y0=row - 0.36, y1=row + 0.2, line=look)
        figure.update_xaxes(title={"text": title}, showgrid=True)
        if from_zero:
            figure.update_xaxes(rangemode="tozero")
        return figure, notes

    return Chart(caption, draw)


def _middle(statistics: Mapping[str, Statistic], row: float) -> go.Scatter | None:
    """A bar from p50 to p95 under a strip, with a tick at both."""
    half, most = statistics.get("p50"), statistics.get("p95")
    if half is None or not half.known:
        return None
    look = {"width": 2, "color": colour("ink")}
    return go.Scatter(
        x=[half.number, half.number if most is None or not most.known else most.number],
        y=[row, row],
        mode="lines+markers",
        line=look,
        marker={"size": [13, 9], "symbol": "line-ns", "line": look, "color": colour("ink")},
        customdata=["p50", "p95"],
        hovertemplate="%{customdata}: <b>%{x:,.2f}</b><extra></extra>",
        showlegend=False,
    )


class Range(NamedTuple):
    """A line of `ranges`: its name, its colour role and the statistics of its samples."""

    name: str
    role: str
    statistics: Mapping[str, Statistic]

    def row(self, word: str) -> Statistic:
        """One of its statistics; one without value and samples where it has none."""
        return self.statistics.get(word) or Statistic("", "", word)


def ranges(lines: Sequence[Range], title: str) -> go.Figure | None:
    """Where only statistics are known or compared: a dot at p50 with its interval, a tick at p95.

    A row for each line that has samples, in order from the top; None without any p50. Of a p50 that
    was not reached there are words and no dot.
    """
    shown = [line for line in lines if line.row("p50").n]
    if not any(line.row("p50").known for line in shown):
        return None
    figure = rows_of(len(shown), 68)
    for place, line in enumerate(shown):
        row = len(shown) - 1 - place
        half, most = line.row("p50"), line.row("p95")
        said = f"<br>{p50_p95(line.statistics)} · {sample_size(half.n)}"
        row_label(figure, row, safe(line.name, 40), said)
        if not half.known:
            continue
        hovers = [
            f"<b>{safe(line.name, 40)}</b> {one.statistic} {one.whole}<br>n = {plain(one.n, '1')}"
            for one in (half, most)
        ]
        thick = {"width": 3, "color": colour(line.role)}
        if most.known:
            figure.add_trace(
                go.Scatter(
                    x=[half.number, most.number], y=[row - 0.1] * 2, mode="lines+markers",
                    line=thick, opacity=0.55, customdata=hovers,
                    marker={"symbol": "line-ns", "size": [0, 13], "line": thick},
                    hovertemplate="%{customdata}<extra></extra>",
                )
            )  # fmt: skip
        figure.add_trace(
            go.Scatter(
                x=[half.number], y=[row - 0.1], mode="markers", customdata=hovers[:1],
                error_x=whiskers([half.number], [(half.low, half.high)], colour("ink")),
                marker={"size": 10, "color": colour("paper"), "line": thick | {"width": 2.5}},
                hovertemplate="%{customdata}<extra></extra>",
            )
        )  # fmt: skip
    figure.update_xaxes(title={"text": title}, showgrid=True, rangemode="tozero")
    return figure


def overlap(one: Statistic, other: Statistic) -> bool:
    """Whether two intervals share a value; an interval that is not known shares all."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return True
    return one.low <= other.high and other.low <= one.high
