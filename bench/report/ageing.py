"""Figure on history: whether answers come later as a call grows long."""

from typing import Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bench.report.marks import TURN_HOVER, remarks, sampled, scatter, thin, turn_ids
from bench.report.panel import Panel
from bench.report.run import Run, Statistic
from bench.report.theme import blank, colour
from bench.report.words import count, quantity, sample_size, with_interval

_METRIC: Final = "first_audio_latency"
_LONG: Final = 5  # turns: a shorter call has no trend to speak of (the metric's own bound)


def ageing(run: Run) -> Panel | None:
    """First audio by turn number with the median and its quartiles; none of short calls."""
    turns = sampled(run.counted, _METRIC)
    if turns.empty or turns.groupby("session").size().max() < _LONG:
        return None
    middle = by_turn(turns)
    figure = blank(360)
    drawn, note = thin(turns.sort_values(["turn", "session"], kind="stable"))
    _dots(figure, drawn)
    _band(figure, middle)
    figure.update_xaxes(
        title={"text": "turn of the call"}, dtick=1 if len(middle) <= 15 else None, showgrid=False
    )
    figure.update_yaxes(title={"text": "first audio, ms"}, rangemode="tozero")
    caption = (
        "Every answer at its turn; the line is the median of that turn, the band its middle half"
    )
    return Panel(
        "ageing",
        "Does it slow down as the call goes on?",
        _answer(run.statistics("latency_drift").get("p50"), middle),
        [(caption, figure)],
        notes=remarks(note),
    )


def by_turn(turns: pd.DataFrame) -> pd.DataFrame:
    """Columns turn, low, middle, high (quartiles of `value`) and n, one row a turn number."""
    grouped = turns.groupby("turn")["value"]
    return pd.DataFrame(
        {
            "low": grouped.quantile(0.25),
            "middle": grouped.median(),
            "high": grouped.quantile(0.75),
            "n": grouped.size(),
        }
    ).reset_index()


def _answer(drift: Statistic | None, middle: pd.DataFrame) -> str:
    first, last = middle.iloc[0], middle.iloc[-1]
    ends = (
        f"The median first audio is {quantity(float(first['middle']), 'ms')} in turn "
        f"{int(first['turn'])} and {quantity(float(last['middle']), 'ms')} in turn "
        f"{int(last['turn'])}."
    )
    if drift is None or drift.value is None:
        return f"{ends} How much it grows within a session is not known."
    grown = with_interval(drift.value, drift.low, drift.high, "ms")
    over = f"{grown} a turn in the median session ({sample_size(drift.n)})"
    if drift.low is None or drift.high is None:
        return f"It changes by {over}; without an interval that shows no trend. {ends}"
    if drift.low > 0:
        return f"Yes: it grows by {over}. {ends}"
    if drift.high < 0:
        return f"No: it gets quicker, by {over}. {ends}"
    return f"No drift is shown: {over}, and the interval holds 0. {ends}"


def _dots(figure: go.Figure, turns: pd.DataFrame) -> None:
    """Every answer, moved sideways a little so that none hides."""
    aside = scatter(len(turns))
    figure.add_trace(
        go.Scatter(
            x=turns["turn"].to_numpy() + 0.3 * aside,
            y=turns["value"].to_numpy(),
            customdata=turn_ids(turns),
            mode="markers",
            name="turn",
            marker={"size": 4, "opacity": 0.4, "color": colour("arrival")},
            hovertemplate=f"<b>%{{y:,.0f}} ms</b><br>{TURN_HOVER}<extra></extra>",
        )
    )


def _band(figure: go.Figure, middle: pd.DataFrame) -> None:
    turn = middle["turn"].to_numpy()
    figure.add_trace(
        go.Scatter(
            x=np.concatenate([turn, turn[::-1]]),
            y=np.concatenate([middle["high"].to_numpy(), middle["low"].to_numpy()[::-1]]),
            mode="lines",
            fill="toself",
            fillcolor=colour("arrival"),
            line={"width": 0, "color": colour("arrival")},
            opacity=0.22,
            name="middle half",
            hoverinfo="skip",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=turn,
            y=middle["middle"].to_numpy(),
            mode="lines+markers",
            name="median",
            line={"width": 2, "color": colour("ink")},
            marker={"size": 5},
            customdata=[count(int(number), "answer") for number in middle["n"]],
            hovertemplate="median of turn %{x}: <b>%{y:,.0f} ms</b><br>%{customdata}"
            "<extra></extra>",
        )
    )
