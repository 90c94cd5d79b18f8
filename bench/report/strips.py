"""Strips: every sample of a few metrics on one line each, over a bar from p50 to p95.

For figures whose question is where samples lie, not how many lie below: errors of the VAD, gaps.
"""

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from bench.report.marks import TURN_HOVER, remarks, sampled, scatter, thin, turn_ids
from bench.report.run import Run, Statistic
from bench.report.theme import blank, colour, metric_colour
from bench.report.words import measured


def _strip(table: pd.DataFrame, metric: str, name: str, *, row: float, unit: str) -> go.Scatter:
    """Every row of `sampled` as a point at height `row`, spread a little so that none hides."""
    aside = scatter(len(table))
    return go.Scatter(
        x=table["value"].to_numpy(),
        y=row - 0.02 + 0.38 * aside,
        customdata=turn_ids(table),
        mode="markers",
        name=name,
        marker={"size": 5, "opacity": 0.55, "color": metric_colour(metric)},
        hovertemplate=f"<b>%{{x:,.{2 if unit == 'ratio' else 0}f}}"
        f"{' ms' if unit == 'ms' else ''}</b> {name}<br>{TURN_HOVER}<extra></extra>",
        showlegend=False,
    )


def _middle(statistics: Mapping[str, Statistic], *, row: float) -> go.Scatter | None:
    """A bar from p50 to p95 under a strip, with a tick at the median."""
    half, most = statistics.get("p50"), statistics.get("p95")
    if half is None or half.value is None:
        return None
    ends = [half.value, half.value if most is None or most.value is None else most.value]
    return go.Scatter(
        x=ends,
        y=[row, row],
        mode="lines+markers",
        line={"width": 2, "color": colour("ink")},
        marker={
            "size": [13, 9],
            "symbol": ["line-ns", "line-ns"],
            "line": {"width": 2, "color": colour("ink")},
            "color": colour("ink"),
        },
        customdata=["p50", "p95"],
        hovertemplate="%{customdata}: <b>%{x:,.2f}</b><extra></extra>",
        showlegend=False,
    )


def strips(
    run: Run, metrics: Mapping[str, str], *, title: str, unit: str = "ms"
) -> tuple[go.Figure | None, list[str]]:
    """One strip of points per metric that has samples, each labelled above, and the remarks.

    No figure without any sample.
    """
    tables = {metric: sampled(run.counted, metric) for metric in metrics}
    shown = [metric for metric, table in tables.items() if not table.empty]
    if not shown:
        return None, []
    notes = []
    figure = blank(58 + 92 * len(shown), showlegend=False)
    for position, metric in enumerate(shown):
        row = float(len(shown) - 1 - position)
        statistics = run.statistics(metric)
        table, note = thin(tables[metric])
        notes.append(note)
        figure.add_trace(_strip(table, metric, metrics[metric], row=row, unit=unit))
        if trace := _middle(statistics, row=row - 0.33):
            figure.add_trace(trace)
        half, most = statistics.get("p50"), statistics.get("p95")
        said = " · ".join(
            f"{row_.statistic} {measured(row_.value, row_.n, unit, row_.longest)}"
            for row_ in (half, most)
            if row_
        )
        figure.add_annotation(
            x=0, xref="paper", xanchor="left", y=row + 0.62, yanchor="top",
            text=f"<b>{metrics[metric]}</b><br>{said}", align="left", showarrow=False,
            font={"size": 12, "color": colour("ink")}, bgcolor=colour("paper"),
        )  # fmt: skip
    figure.update_xaxes(title={"text": title}, showgrid=True)
    figure.update_yaxes(
        range=[-0.5, len(shown) - 0.34], showticklabels=False, showgrid=False, fixedrange=True
    )
    figure.update_layout(margin={"l": 12, "r": 16, "t": 8, "b": 44})
    return figure, remarks(*notes)
