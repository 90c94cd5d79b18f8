"""Marks that are in many figures: points that are turns, whiskers, labelled lines.

Theory of operation
-------------------
Every point that is a turn carries `[session, turn, words]`, shown on hover: they lead back to the
rows of turns.parquet and events.parquet. Large tables are thinned, never silently: `thin` says how
many of how many are drawn. Labels of lines stand in rows above a figure, where nothing is drawn.
"""

import html
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from bench.report.run_data import numbers, texts
from bench.report.text import clip, count, plain
from bench.report.theme import colour

MOST_POINTS: Final = 2000  # of one trace: a phone still draws and hovers it at once
TURN_HOVER: Final = "session %{customdata[0]} · turn %{customdata[1]}<br>%{customdata[2]}"
_LABEL: Final = 17
"""Pixels of a row of labels above a figure."""
_LETTER: Final = 0.027
"""The part of a phone's figure that a letter of a label takes."""


# ── points that are turns ────────────────────────────────────────────────────────────────────────


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


def turn_points(
    turns: pd.DataFrame,
    x: Any,
    y: Any,
    hover: str,
    *,
    more: Sequence[Sequence[Any]] = (),
    **look: Any,
) -> go.Scatter:
    """A point for each turn. `hover` is what it says first; `more` follows the ids of its data."""
    ids = turn_ids(turns)
    return go.Scatter(
        x=np.asarray(x),
        y=np.asarray(y),
        customdata=[[*one, *rest] for one, rest in zip(ids, more, strict=True)] if more else ids,
        mode="markers",
        hovertemplate=f"{hover}<br>{TURN_HOVER}<extra></extra>",
        **look,
    )


def thin(table: pd.DataFrame, most: int = MOST_POINTS) -> tuple[pd.DataFrame, str]:
    """At most `most` rows, evenly spaced with both ends kept, and the sentence that says so."""
    if len(table) <= most:
        return table, ""
    kept = np.unique(np.linspace(0, len(table) - 1, most).round().astype(int))
    return table.iloc[kept], (
        f"{count(len(kept), 'point')} of {plain(len(table), '1')} are drawn, evenly spaced; "
        "every statistic uses all of them."
    )


def sampled(turns: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The turns that have a sample of `metric`, sorted by it, as column `value`."""
    values = numbers(turns, metric)
    return turns.assign(value=values)[values.notna()].sort_values(
        ["value", "session", "turn"], kind="stable"
    )


def aside(points: int) -> NDArray[np.floating[Any]]:
    """How far each of many points stands aside, from -0.5 to 0.5, so that none hides another.

    A fixed irrational step spreads them evenly without randomness: the page is reproducible.
    """
    return (np.arange(points) * 0.6180339887) % 1.0 - 0.5


# ── labelled lines ───────────────────────────────────────────────────────────────────────────────


class Upright(NamedTuple):
    """An upright line at `at`, what it is, and its colour role."""

    at: float
    text: str
    role: str
    dash: str = "dash"


def uprights(
    figure: go.Figure, lines: Sequence[Upright], left: float, right: float, *, log: bool = False
) -> None:
    """Upright lines with their labels in rows above the figure, which grows by as much.

    The axis goes from `left` to `right` (of a logarithmic one: their exponents). A label stands on
    that side of its line on which there is more room, in the lowest row in which it covers no
    other on a phone.
    """
    rows: list[list[tuple[float, float]]] = []
    for line in lines:
        at = float(np.log10(line.at)) if log else line.at
        late = at > 0.5 * (left + right)
        width = _LETTER * len(html.unescape(line.text)) * (right - left)
        begin, end = (at - width, at) if late else (at, at + width)
        free = (all(end <= one or other <= begin for one, other in row) for row in rows)
        place = next((number for number, is_free in enumerate(free) if is_free), len(rows))
        rows[place:] = rows[place:] or [[]]
        rows[place].append((begin, end))
        figure.add_vline(
            x=line.at, line={"color": colour(line.role), "width": 1.5, "dash": line.dash}
        )
        figure.add_annotation(
            x=at, y=1, yref="paper", ax=0, ay=-_LABEL * place - 2, text=line.text,
            xanchor="right" if late else "left", yanchor="bottom", showarrow=True, arrowhead=0,
            arrowwidth=1.5, arrowcolor=colour(line.role),
            font={"size": 11, "color": colour(line.role)},
        )  # fmt: skip
    _room_above(figure, _LABEL * len(rows))


def _room_above(figure: go.Figure, pixels: int) -> None:
    """Make a figure taller by `pixels` between its axes and its legend."""
    layout = figure.layout
    margin = layout.template.layout.margin.to_plotly_json() | layout.margin.to_plotly_json()
    inner = layout.height - margin["t"] - margin["b"]
    figure.update_layout(
        margin={"t": margin["t"] + pixels}, height=layout.height + pixels,
        legend={"y": 1 + (pixels + 4) / inner},
    )  # fmt: skip


def level(figure: go.Figure, at: float, text: str, role: str, **where: Any) -> None:
    """A level line with its label above its right end."""
    figure.add_hline(
        y=at, line={"color": colour(role), "width": 1.5, "dash": "dash"},
        annotation_text=text, annotation_position="top right",
        annotation_font={"size": 11, "color": colour(role)}, **where,
    )  # fmt: skip


def whiskers(
    values: Sequence[float],
    ends: Sequence[tuple[float | None, float | None]],
    tint: str,
    **look: Any,
) -> dict[str, Any]:
    """Error bars from each value to both ends of its interval; none to an end that is not known."""
    pairs = list(zip(values, ends, strict=True))
    return {
        "type": "data", "symmetric": False, "color": tint, "thickness": 1.5, "width": 5,
        "array": [0.0 if high is None else max(0.0, high - value) for value, (_, high) in pairs],
        "arrayminus": [0.0 if low is None else max(0.0, value - low) for value, (low, _) in pairs],
        **look,
    }  # fmt: skip
