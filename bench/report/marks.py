"""What figures share: curves over turns, their marked quantiles, gate lines, strips of points.

Theory of operation
-------------------
Every point that is a turn carries `[session, turn, words]`, shown on hover: they lead back to the
rows of turns.parquet and events.parquet. Large tables are thinned, never silently: `thin` says how
many of how many are drawn. Quantiles and their intervals are those of the summary; nothing here
computes a statistic.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from bench.analysis.samples import turn_sample
from bench.analysis.turn_columns import TurnColumns
from bench.errors import GateError
from bench.plan.gates import QUANTILES, Gate, parse_gate
from bench.plan.metrics import METRICS
from bench.report.run import Run, Statistic, numbers, texts
from bench.report.theme import colour, metric_colour
from bench.report.words import clip, count, plain, quantity, sample_size, with_interval
from bench.stats.survival import in_order, survival

METRIC_WORDS: Final = {
    "voice_to_voice_latency": "voice to voice",
    "first_audio_latency": "first audio",
    "first_text_latency": "first text",
    "barge_in_detection": "detection",
    "barge_in_silence": "silence",
    "barge_in_silence_unflushed": "silence, not emptied",
}
MOST_POINTS: Final = 2000  # of one trace: a phone still draws and hovers it at once
TURN_HOVER: Final = "session %{customdata[0]} · turn %{customdata[1]}<br>%{customdata[2]}"
_MARKED: Final = ("p50", "p95", "p99")


def safe(text: object, length: int = 90) -> str:
    """Text for a figure: one line, and inert, for plotly reads a part of HTML in labels."""
    return html.escape(clip(text, length))


def turn_ids(turns: pd.DataFrame) -> list[list[Any]]:
    """`customdata` of points that are turns: session, turn, and what was said."""
    said = texts(turns, "text").where(texts(turns, "text") != "", texts(turns, "utterance"))
    return [
        [int(session), int(turn), f"“{safe(words, 60)}”" if words else ""]
        for session, turn, words in zip(turns["session"], turns["turn"], said, strict=True)
    ]


def thin(table: pd.DataFrame, most: int = MOST_POINTS) -> tuple[pd.DataFrame, str]:
    """At most `most` rows, evenly spaced with both ends kept, and the sentence that says so."""
    if len(table) <= most:
        return table, ""
    kept = np.unique(np.linspace(0, len(table) - 1, most).round().astype(int))
    return table.iloc[kept], (
        f"{count(len(kept), 'point')} of {plain(len(table), '1')} are drawn, evenly spaced; "
        "every statistic uses all of them."
    )


def remarks(*notes: str) -> list[str]:
    """The sentences that say something, each once."""
    return list(dict.fromkeys(note for note in notes if note))


def sampled(turns: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The turns that have a sample of `metric`, sorted by it, as column `value`."""
    values = numbers(turns, metric)
    return turns.assign(value=values)[values.notna()].sort_values(
        ["value", "session", "turn"], kind="stable"
    )


def curve(
    turns: pd.DataFrame, metric: str, name: str, *, dash: str = "solid"
) -> tuple[go.Scatter | None, str]:
    """The share of turns (in %) at or below each value of `metric`, and what thinning did."""
    table = _below(turns, metric)
    if table.empty:
        return None, ""
    table, note = thin(table)
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


def _below(turns: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The turns with a sample of `metric` as `value`, sorted, and `below`: the share so far, in %.

    A turn that failed waited in vain: it holds the curve below 100 %, as it does the summary's
    quantiles (the same samples, the same product of Kaplan and Meier).
    """
    table = sampled(turns, metric)
    if table.empty:
        return table.assign(below=[])
    waits, censored, _ = turn_sample(METRICS[metric], TurnColumns(_whole(turns)))
    censored = censored[in_order(waits, censored)]
    left = survival(np.ones((len(censored), 1), np.int32), censored)[:, 0]
    return table.assign(below=100.0 * (1.0 - left[~censored]))


def _whole(turns: pd.DataFrame) -> pd.DataFrame:
    """The turns with the instant `said`, which folders of older definitions have not."""
    if "said_ns" in turns:
        return turns
    return turns.assign(said_ns=turns["speech_offset_ns"])


def marks(statistics: Mapping[str, Statistic], metric: str, *, position: str) -> go.Scatter | None:
    """p50, p95 and p99 of the summary on the curve, with their intervals as bars."""
    # The bar of p99 would lie on top of that of p95; its interval is in the hover.
    known = [
        statistics[word]
        for word in _MARKED
        if word in statistics and statistics[word].value is not None
    ]
    if not known:
        return None
    values = [float(row.value or 0.0) for row in known]
    return go.Scatter(
        x=values,
        y=[100.0 * QUANTILES[row.statistic] for row in known],
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [
                max(0.0, (value if row.high is None else row.high) - value)
                * (row.statistic != "p99")
                for row, value in zip(known, values, strict=True)
            ],
            "arrayminus": [
                max(0.0, value - (value if row.low is None else row.low)) * (row.statistic != "p99")
                for row, value in zip(known, values, strict=True)
            ],
            "thickness": 1.5,
            "width": 5,
            "color": metric_colour(metric),
        },
        mode="markers+text",
        text=[
            "" if _crowded(row, statistics.get("p95")) else f"{row.statistic} {plain(value, 'ms')}"
            for row, value in zip(known, values, strict=True)
        ],
        textposition=position,
        textfont={"size": 11, "color": metric_colour(metric)},
        cliponaxis=False,
        marker={
            "size": 9,
            "symbol": "circle",
            "color": colour("paper"),
            "line": {"width": 2, "color": metric_colour(metric)},
        },
        customdata=[
            [row.statistic, with_interval(row.value, row.low, row.high, row.unit), plain(row.n)]
            for row in known
        ],
        hovertemplate="<b>%{customdata[0]}</b> %{customdata[1]}<br>n = %{customdata[2]}"
        "<extra></extra>",
        showlegend=False,
    )


def _crowded(row: Statistic, p95: Statistic | None) -> bool:
    """Whether a p99 has no room for its label beside that of p95, nor clear of the bar of p95."""
    if row.statistic != "p99" or row.value is None or p95 is None or p95.value is None:
        return False
    return row.value < max(1.1 * p95.value, p95.high or 0.0)


def gates(run: Run) -> list[Gate]:
    """The gates that judged the run; a sentence this version cannot read is left out."""
    found = []
    for entry in run.verdict.get("gates") or []:
        try:
            found.append(parse_gate(str(entry.get("gate", ""))))
        except GateError:
            continue
    return found


def _limiting(run: Run, metrics: Sequence[str]) -> list[Gate]:
    return [
        gate
        for gate in gates(run)
        if gate.metric in metrics and gate.limit is not None and gate.statistic in QUANTILES
    ]


def share_axes(
    figure: go.Figure,
    run: Run,
    metrics: Sequence[str],
    values: Sequence[float],
    p99: Statistic | None,
    title: str,
) -> str:
    """Give a figure of curves its axes, ms by share of turns in %, and its gates' limits.

    `values` are all that the curves of `metrics` go through; far beyond their `p99` the figure ends
    (None: at the last of them), but never before a limit. The sentence about what lies beyond.
    """
    limiting = _limiting(run, metrics)
    upper, beyond = _room(values, p99.value if p99 else None)
    upper = max([upper, *(1.08 * (gate.limit or 0.0) for gate in limiting)])
    _gate_lines(figure, limiting, upper)
    figure.update_xaxes(range=[0, upper], title={"text": title}, ticksuffix="")
    figure.update_yaxes(
        range=[0, 104],
        tickvals=[0, 25, 50, 75, 95],
        ticktext=["0", "25 %", "50 %", "75 %", "95 %"],
    )
    return beyond


def _gate_lines(figure: go.Figure, limiting: Sequence[Gate], upper: float) -> None:
    """An upright line at every limit; the axis ends at `upper`."""
    for place, gate in enumerate(limiting):
        limit = float(gate.limit or 0.0)
        figure.add_vline(x=limit, line={"color": colour("limit"), "width": 1.5, "dash": "dash"})
        figure.add_annotation(
            x=limit,
            y=0.03 + 0.075 * (place % 4),
            yref="paper",
            xanchor="right" if limit > 0.4 * upper else "left",
            yanchor="bottom",
            text=f"{gate.statistic} {METRIC_WORDS.get(gate.metric, gate.metric)} "
            f"{html.escape(gate.operator)} {quantity(limit, 'ms')}",
            showarrow=False,
            font={"size": 11, "color": colour("limit")},
            bgcolor=colour("paper"),
        )


def _room(values: Sequence[float], p99: float | None) -> tuple[float, str]:
    """How far an axis goes, and the sentence about what lies beyond: far outliers are cut off."""
    most = max(values, default=1.0)
    edge = 2.5 * p99 if p99 and p99 > 0 else most
    if most <= edge:
        return max(most, 1.0) * 1.06, ""
    beyond = sum(value > edge for value in values)
    return edge, f"{count(beyond, 'turn')} beyond the right edge, up to {quantity(most, 'ms')}."


def scatter(points: int) -> NDArray[np.floating[Any]]:
    """How far each of many points stands aside, from -0.5 to 0.5, so that none hides another.

    A fixed irrational step spreads them evenly without randomness: the page is reproducible.
    """
    return (np.arange(points) * 0.6180339887) % 1.0 - 0.5


def half_and_most(statistics: Mapping[str, Statistic], what: str) -> str:
    """The sentence `Half of <what> within 742 ms; 95 % within 1 013 ms [980, 1 060] (n = 97)`."""
    half, most = statistics.get("p50"), statistics.get("p95")
    if half is None or half.n == 0:
        return ""
    if half.value is None:
        return f"Fewer than half of {what} in any time that was waited ({sample_size(half.n)})."
    text = f"Half of {what} within {quantity(half.value, half.unit)}"
    if most is not None and most.value is not None:
        text += f"; 95 % within {with_interval(most.value, most.low, most.high, most.unit)}"
    elif most is not None:
        text += "; 95 % never within any time that was waited"
    return f"{text} ({sample_size(half.n)})."
