"""The slowest turns, event by event: where a point of the other figures leads back to.

Times are in ms after the caller's last word (`speech_offset`). The bars are what the two people
hear; the marks between them are messages, at the instants of the log.
"""

from typing import Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bench.report.latency import STAGES
from bench.report.marks import safe, sampled
from bench.report.panel import Cell, Closeup, Panel, Table
from bench.report.run import Run, numbers, texts
from bench.report.theme import blank, colour
from bench.report.words import NOTHING, TIMES, clip, count, plain, quantity

_MOST: Final = 5
_BEFORE_NS: Final = 200_000_000
_MOST_ROWS: Final = 80
_APPEND: Final = "input_audio_buffer.append"
_AUDIO: Final = ("response.output_audio.delta", "response.audio.delta")
_LANES: Final = ("caller speaks", "server hears", "server answers", "audio arrives", "caller hears")
# Which lane, colour and mark a message has; the first prefix that fits decides.
_MARKS: Final = (
    ("input_audio_buffer.", "server hears", "ear", "diamond"),
    ("conversation.item.input_audio_transcription.", "server hears", "muted", "diamond-open"),
    ("response.output_audio.delta", "audio arrives", "arrival", "line-ns"),
    ("response.audio.delta", "audio arrives", "arrival", "line-ns"),
    ("response.created", "server answers", "thinking", "circle"),
    ("response.done", "server answers", "thinking", "square"),
    ("error", "server answers", "limit", "x"),
    ("response.", "server answers", "muted", "line-ns"),
)


def slowest(run: Run) -> Panel:
    """The slowest answered turns: a ranking, and each with its timeline and events."""
    key, question = "slowest", "Which turns were slowest, event by event?"
    turns = sampled(run.counted, "voice_to_voice_latency").iloc[::-1].head(_MOST)
    if turns.empty:
        return Panel(key, question, "No turn was answered, so none was slowest.")
    events = run.events(sessions={int(session) for session in turns["session"]})
    events = events[events["type"] != _APPEND]
    first, usual = turns.iloc[0], _usual(run)
    answer = (
        f"The slowest answer took {quantity(float(first['value']), 'ms')}: session "
        f"{first['session']}, turn {first['turn']}; {_excess(first, usual)}."
    )
    if run.events_file is None:
        answer += " The folder has no events, so their timelines cannot be drawn."
    closeups = [_closeup(turn, events) for _, turn in turns.iterrows()]
    return Panel(
        key, question, answer, tables=[_ranking(turns, closeups, usual)], closeups=closeups
    )


def _excess(turn: pd.Series, usual: dict[str, float]) -> str:
    """The stage in which this turn lost most against the median of all turns."""
    lost = {}
    for stage in STAGES:
        spent = _number(turn, stage.column) / (1e6 if stage.column.endswith("_ns") else 1.0)
        if not np.isnan(spent):
            lost[stage.name] = spent - usual.get(stage.name, 0.0)
    if not lost:
        return "its stages are not known"
    name = max(lost, key=lambda entry: lost[entry])
    if lost[name] <= 0.0:
        return "every stage at or under its median"
    return f"{name} {quantity(lost[name], 'ms')} above its median"


def _usual(run: Run) -> dict[str, float]:
    """The median of each stage, as the summary has it; 0 where it has none."""
    medians = {stage.name: run.statistics(stage.column).get("p50") for stage in STAGES}
    return {name: row.value for name, row in medians.items() if row and row.value is not None}


def _number(turn: pd.Series, column: str) -> float:
    value = turn.get(column)
    return float("nan") if value is None or pd.isna(value) else float(value)


def _word(turn: pd.Series, column: str) -> str:
    value = turn.get(column)
    return "" if value is None or pd.isna(value) else str(value)


def _ranking(turns: pd.DataFrame, closeups: list[Closeup], usual: dict[str, float]) -> Table:
    rows = [
        [
            f"session {turn['session']} · turn {turn['turn']}",
            quantity(float(turn["value"]), "ms"),
            _excess(turn, usual),
            clip(_word(turn, "text") or _word(turn, "utterance"), 80),
        ]
        for _, turn in turns.iterrows()
    ]
    return Table(
        "The slowest answers",
        ("turn", "voice to voice", "where it lost most", "the caller said"),
        rows,
        numeric=frozenset({1}),
        links=[closeup.anchor for closeup in closeups],
    )


def _closeup(turn: pd.Series, events: pd.DataFrame) -> Closeup:
    zero = _number(turn, "speech_offset_ns")
    begin = _number(turn, "speech_onset_ns") - _BEFORE_NS
    ends = [_number(turn, column) for column in ("heard_ns", "last_audio_ns", "response_done_ns")]
    end = np.nanmax([zero, *ends]) + _BEFORE_NS
    mine = events[
        (events["session"] == turn["session"])
        & (events["at_ns"] >= begin)
        & (events["at_ns"] <= end)
    ]
    mine = mine.assign(ms=(mine["at_ns"] - zero) / 1e6)
    said = [
        (who, words)
        for who, words in (
            ("Caller", _word(turn, "text") or _word(turn, "utterance")),
            ("Heard as", _word(turn, "transcript")),
            ("Agent", _word(turn, "reply")),
        )
        if words
    ]
    return Closeup(
        anchor=f"turn-{turn['session']}-{turn['turn']}",
        title=f"Session {turn['session']}, turn {turn['turn']}: "
        f"{quantity(float(turn['value']), 'ms')}",
        said=said,
        figure=None if mine.empty else _timeline(turn, mine, zero, end),
        events=_rows(mine),
    )


def _timeline(turn: pd.Series, events: pd.DataFrame, zero: float, end: float) -> go.Figure:
    figure = blank(250, showlegend=False, margin={"l": 96, "r": 16, "t": 8, "b": 40})
    identity = f"session {turn['session']} · turn {turn['turn']}"
    last = (end - zero) / 1e6
    _speech(figure, turn, zero, identity)
    _playing(figure, turn, zero, last, identity)
    places = events.assign(place=[_mark(str(kind)) for kind in events["type"]])
    for mark, part in places[places["place"] != ""].groupby("place", sort=False):
        _messages(figure, str(mark), part, identity)
    figure.add_vline(x=0, line={"color": colour("axis"), "width": 1.5})
    heard = (_number(turn, "heard_ns") - zero) / 1e6
    if not np.isnan(heard):
        figure.add_vline(x=heard, line={"color": colour("heard"), "width": 1.5, "dash": "dot"})
    # A long utterance is cut off on the left: what this figure shows is the wait after it.
    left = max((_number(turn, "speech_onset_ns") - zero) / 1e6 - 150, -last)
    figure.update_xaxes(
        title={"text": "ms after the caller's last word"}, range=[left, last], showgrid=True
    )
    figure.update_yaxes(
        tickvals=list(range(len(_LANES))), ticktext=_LANES, range=[len(_LANES) - 0.45, -0.55],
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
    onset = (_number(turn, "speech_onset_ns") - zero) / 1e6
    said = safe(_word(turn, "text") or _word(turn, "utterance"), 70)
    _bar(figure, 0, onset, 0.0, "caller", f"<b>caller speaks</b><br>{identity}<br>{said}")


def _playing(figure: go.Figure, turn: pd.Series, zero: float, last: float, identity: str) -> None:
    """What the player plays: silence at its head pale, the rest in the agent's colour."""
    begin, heard = (
        (_number(turn, column) - zero) / 1e6 for column in ("first_heard_ns", "heard_ns")
    )
    if np.isnan(heard):
        return
    if begin < heard:
        _bar(
            figure, 4, begin, heard, "player",
            f"<b>silence at the head of the reply</b><br>{identity}",
        )  # fmt: skip
    silent = (_number(turn, "agent_silent_ns") - zero) / 1e6
    if not np.isnan(silent):
        _bar(
            figure, 4, -10 * last, silent, "heard",
            f"<b>the agent it interrupts</b>, silent at {silent:,.0f} ms<br>{identity}",
        )  # fmt: skip
    length = _number(turn, "reply_audio_ns") / 1e6
    stop = last if np.isnan(length) else min(last, begin + length)
    reply = safe(_word(turn, "reply"), 70)
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
    return 14 if lane == "audio arrives" else 7


def _carried(audio_ns: float) -> str:
    return "" if np.isnan(audio_ns) else f", {quantity(audio_ns / 1e6, 'ms')} of audio"


def _rows(events: pd.DataFrame) -> Table:
    """The events as a table; the deltas of one type between two other events are one row."""
    rows: list[list[Cell]] = []
    alone = ~events["type"].str.endswith(".delta")
    stretch = (alone | alone.shift(fill_value=True)).cumsum()
    for _, part in events.groupby([stretch, events["type"]], sort=False):
        first = part.iloc[0]
        kind, many = str(first["type"]), len(part)
        until = f" … {plain(float(part['ms'].iloc[-1]), 'ms')}" if many > 1 else ""
        rows.append(
            [
                f"{plain(float(first['ms']), 'ms')}{until}",
                {"in": "←", "out": "→"}.get(str(first["direction"]), "·"),
                f"{kind} {TIMES} {many}" if many > 1 else kind,
                _shown(part),
                _word(first, "event_id") or _word(first, "item_id") or NOTHING,
            ]
        )
    return Table(
        "Events of this turn",
        ("ms", "way", "event", "what it carried", "id"),
        rows[:_MOST_ROWS],
        numeric=frozenset({0}),
        note="ms after the caller's last word; ← came from the server, → was sent, · is a note of "
        "the caller. Appends are left out."
        + (
            f" The first {_MOST_ROWS} of {count(len(rows), 'row')}."
            if len(rows) > _MOST_ROWS
            else ""
        ),
    )


def _shown(part: pd.DataFrame) -> str:
    audio = numbers(part, "audio_ns").sum()
    if audio:
        return f"{quantity(float(audio) / 1e6, 'ms')} of audio"
    audio_ms = numbers(part, "audio_ms").dropna()
    if len(audio_ms):
        return f"audio at {plain(float(audio_ms.iloc[0]), '1')} ms"
    return clip("".join(texts(part, "detail")), 120)
