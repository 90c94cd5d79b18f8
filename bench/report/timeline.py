"""The timeline of one turn: what the two people hear as bars, the messages between them as marks.

Times are in ms after the caller's last word, at the instants of the log.
"""

from typing import Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bench.report.marks import safe
from bench.report.run import numbers, texts
from bench.report.theme import blank, colour
from bench.report.words import quantity

_LANES: Final = (
    "caller speaks",
    "server hears",
    "server answers",
    "answer arrives",
    "caller hears",
)
# Which lane, colour and mark a message has; the first prefix that fits decides.
_MARKS: Final = (
    ("input_audio_buffer.", "server hears", "ear", "diamond"),
    ("conversation.item.input_audio_transcription.", "server hears", "muted", "diamond-open"),
    ("response.output_audio.delta", "answer arrives", "arrival", "line-ns"),
    ("response.audio.delta", "answer arrives", "arrival", "line-ns"),
    ("response.output_text.delta", "answer arrives", "arrival", "line-ns"),
    ("response.text.delta", "answer arrives", "arrival", "line-ns"),
    ("response.created", "server answers", "thinking", "circle"),
    ("response.done", "server answers", "thinking", "square"),
    ("error", "server answers", "limit", "x"),
    ("response.", "server answers", "muted", "line-ns"),
)


def number(turn: pd.Series, column: str) -> float:
    """One number of a turn; NaN where there is none."""
    value = turn.get(column)
    return float("nan") if value is None or pd.isna(value) else float(value)


def said(turn: pd.Series) -> float:
    """The instant at which the turn was said, in ns: its last word, or its asking if typed."""
    instant = number(turn, "said_ns")
    return number(turn, "speech_offset_ns") if np.isnan(instant) else instant


def word(turn: pd.Series, column: str) -> str:
    """One text of a turn; empty where there is none."""
    value = turn.get(column)
    return "" if value is None or pd.isna(value) else str(value)


def timeline(turn: pd.Series, events: pd.DataFrame, zero: float, end: float) -> go.Figure:
    """The timeline of one turn: `events` have `ms`; `zero` and `end` are instants in ns."""
    figure = blank(250, showlegend=False, margin={"l": 104, "r": 16, "t": 8, "b": 40})
    identity = f"session {turn['session']} · turn {turn['turn']}"
    last = (end - zero) / 1e6
    _speech(figure, turn, zero, identity)
    _playing(figure, turn, zero, last, identity)
    places = events.assign(place=[_mark(str(kind)) for kind in events["type"]])
    for mark, part in places[places["place"] != ""].groupby("place", sort=False):
        _messages(figure, str(mark), part, identity)
    figure.add_vline(x=0, line={"color": colour("axis"), "width": 1.5})
    heard = (number(turn, "heard_ns") - zero) / 1e6
    if not np.isnan(heard):
        figure.add_vline(x=heard, line={"color": colour("heard"), "width": 1.5, "dash": "dot"})
    # A long utterance is cut off on the left: what this figure shows is the wait after it.
    onset = (number(turn, "speech_onset_ns") - zero) / 1e6
    left = -0.1 * last if np.isnan(onset) else max(onset - 150, -last)
    zero_words = "the answer was asked for" if np.isnan(onset) else "the caller's last word"
    figure.update_xaxes(title={"text": f"ms after {zero_words}"}, range=[left, last], showgrid=True)
    first, final = 0, len(_LANES) - 1
    if np.isnan(onset):  # a typed turn: nobody speaks, and perhaps nobody is heard
        first, final = _LANES.index("server answers"), final - bool(np.isnan(heard))
        figure.update_layout(height=90 + 40 * (final - first + 1))
    figure.update_yaxes(
        tickvals=list(range(len(_LANES))), ticktext=_LANES, range=[final + 0.55, first - 0.55],
        showgrid=False, automargin=False, ticklabelstandoff=6,
        tickfont={"color": colour("ink"), "size": 12},
    )  # fmt: skip
    return figure


def _bar(figure: go.Figure, lane: int, start: float, stop: float, role: str, says: str) -> None:
    """A bar that can be hovered at both ends and in its middle."""
    figure.add_trace(
        go.Scatter(
            x=[start, (start + stop) / 2, stop],
            y=[lane] * 3,
            mode="lines",
            line={"width": 14, "color": colour(role)},
            hovertemplate=f"{says}<extra></extra>",
        )
    )


def _speech(figure: go.Figure, turn: pd.Series, zero: float, identity: str) -> None:
    onset = (number(turn, "speech_onset_ns") - zero) / 1e6
    if np.isnan(onset):
        return
    words = safe(word(turn, "text") or word(turn, "utterance"), 70)
    _bar(figure, 0, onset, 0.0, "caller", f"<b>caller speaks</b><br>{identity}<br>{words}")


def _playing(figure: go.Figure, turn: pd.Series, zero: float, last: float, identity: str) -> None:
    """What the player plays: silence at its head pale, the rest in the agent's colour."""
    begin, heard = (
        (number(turn, column) - zero) / 1e6 for column in ("first_heard_ns", "heard_ns")
    )
    if np.isnan(heard):
        return
    if begin < heard:
        _bar(
            figure, 4, begin, heard, "player",
            f"<b>silence at the head of the reply</b><br>{identity}",
        )  # fmt: skip
    silent = (number(turn, "agent_silent_ns") - zero) / 1e6
    if not np.isnan(silent):
        _bar(
            figure, 4, -10 * last, silent, "heard",
            f"<b>the agent it interrupts</b>, silent at {silent:,.0f} ms<br>{identity}",
        )  # fmt: skip
    length = number(turn, "reply_audio_ns") / 1e6
    stop = last if np.isnan(length) else min(last, begin + length)
    reply = safe(word(turn, "reply"), 70)
    _bar(figure, 4, heard, stop, "heard", f"<b>caller hears the agent</b><br>{identity}<br>{reply}")


def _mark(kind: str) -> str:
    """The prefix in `_MARKS` that fits a message; empty for one that has no mark."""
    return next((prefix for prefix, *_ in _MARKS if kind.startswith(prefix)), "")


def _messages(figure: go.Figure, prefix: str, events: pd.DataFrame, identity: str) -> None:
    lane, role, symbol = next(rest for start, *rest in _MARKS if start == prefix)
    figure.add_trace(
        go.Scatter(
            x=events["ms"].to_numpy(),
            y=[_LANES.index(lane)] * len(events),
            mode="markers",
            marker={
                "symbol": symbol,
                "size": _size(lane, symbol),
                "color": colour(role),
                "line": {"width": 1.5, "color": colour(role)},
            },
            customdata=[
                [safe(kind), safe(event_id) or "no event_id", _carried(audio)]
                for kind, event_id, audio in zip(
                    events["type"],
                    texts(events, "event_id"),
                    numbers(events, "audio_ns"),
                    strict=True,
                )
            ],
            hovertemplate="<b>%{customdata[0]}</b> at %{x:,.1f} ms%{customdata[2]}<br>"
            f"{identity}<br>%{{customdata[1]}}<extra></extra>",
        )
    )


def _size(lane: str, symbol: str) -> int:
    """Audio deltas are tall strokes, other streams of messages short ones."""
    if symbol != "line-ns":
        return 9
    return 14 if lane == "answer arrives" else 7


def _carried(audio_ns: float) -> str:
    return "" if np.isnan(audio_ns) else f", {quantity(audio_ns / 1e6, 'ms')} of audio"
