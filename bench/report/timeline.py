"""Panel on the slowest turns, event by event: where a point of the other figures leads back to.

Times are in ms after the caller's last word (of a typed turn: after its answer was asked for), at
the instants of the log. The bars are what the two people hear; the marks between are messages.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bench.analysis.measure import time_in_stage
from bench.plan.instants import INSTANTS
from bench.plan.metrics import METRICS
from bench.plan.stages import STAGES
from bench.report.latency_panels import medians
from bench.report.marks import safe, sampled
from bench.report.panels import Closeup, Question, Table, table_of
from bench.report.run_data import Run, numbers, once, said_ns, texts
from bench.report.text import NOTHING, TIMES, clip, plain, quantity, seconds
from bench.report.theme import blank, colour
from bench.voice.microphone import APPEND

_MOST: Final = 5
_BEFORE_NS: Final = 200_000_000
_MOST_ROWS: Final = 80
_LANES: Final = (
    "caller speaks", "server hears", "server answers", "answer arrives", "caller hears",
)  # fmt: skip


class Mark(NamedTuple):
    """How messages whose types begin with `prefix` are drawn: lane, colour, symbol and size."""

    prefix: str
    lane: int
    role: str
    symbol: str
    size: int = 9
    words: str = ""


_DELTA: Final = Mark("", 3, "arrival", "line-ns", 14, "delta")
_MARKS: Final = (  # the first that fits decides
    Mark("input_audio_buffer.", 1, "vad", "diamond", words="VAD, commit"),
    Mark("conversation.item.input_audio_transcription.", 1, "muted", "diamond-open",
         words="transcription"),
    *(_DELTA._replace(prefix=f"response.{kind}.delta")
      for kind in ("output_audio", "audio", "output_text", "text")),
    Mark("response.created", 2, "thinking", "circle", words="created"),
    Mark("response.done", 2, "thinking", "square", words="done"),
    Mark("error", 2, "limit", "x", words="error"),
    Mark("response.", 2, "muted", "line-ns", 7, "other"),
)  # fmt: skip


def _text(turn: pd.Series, *columns: str) -> str:
    """The first of some texts of a turn, or of an event, that there is; else empty."""
    found = (turn.get(column) for column in columns)
    return next((str(value) for value in found if value is not None and not pd.isna(value)), "")


def _instants(turn: pd.Series) -> dict[str, float]:
    """Every known instant of a turn, in ms after it was said; `zero_ns` is when that was, in ns."""
    zero = float(said_ns(turn.to_frame().T).iloc[0])
    known = {name: turn.get(f"{name}_ns") for name in INSTANTS}
    return {"zero_ns": zero} | {
        name: (float(at) - zero) / 1e6
        for name, at in known.items()
        if at is not None and not pd.isna(at)
    }


# ── the panel ────────────────────────────────────────────────────────────────────────────────────


@once
def _slowest(run: Run) -> pd.DataFrame:
    return sampled(run.counted, run.wait).iloc[::-1].head(_MOST)


def _answer(run: Run) -> str:
    turns = _slowest(run)
    if turns.empty:
        return "No turn was answered, so none was slowest."
    first = turns.iloc[0]
    answer = (
        f"The slowest answer took {quantity(float(first['value']), 'ms')}: session "
        f"{first['session']}, turn {first['turn']}; {_excess(first, medians(run.counted))}."
    )
    if run.events_file is None:
        answer += " The folder has no events, so their timelines cannot be drawn."
    return answer


def _excess(turn: pd.Series, usual: dict[str, float]) -> str:
    """The stage in which this turn lost most against the median of all turns."""
    if _text(turn, "textual") == "True":
        return "in writing there are no stages"
    table = turn.to_frame().T
    lost = {
        stage.name: float(time_in_stage(table, stage).iloc[0]) - usual[stage.name]
        for stage in STAGES
    }
    lost = {name: ms for name, ms in lost.items() if not np.isnan(ms)}
    if not lost:
        return "its stages are not known"
    name = max(lost, key=lambda entry: lost[entry])
    if lost[name] <= 0.0:
        return "every stage at or under its median"
    return f"{name} {quantity(lost[name], 'ms')} above its median"


def _closeups(run: Run) -> list[Closeup]:
    """Each of the slowest turns, the first opened; all on one scale."""
    turns = [turn for _, turn in _slowest(run).iterrows()]
    if not turns:
        return []
    usual = medians(run.counted)
    events = run.events(sessions={int(turn["session"]) for turn in turns})
    events = events[events["type"] != APPEND]
    known = [_instants(turn) for turn in turns]
    ends = ("heard", "last_audio", "response_done")
    right = max(max(at.get(end, 0.0) for end in ends) for at in known) + _BEFORE_NS / 1e6
    onsets = [at["speech_onset"] for at in known if "speech_onset" in at]
    # A long utterance is cut off on the left: what these figures show is the wait after it.
    left = max(min(onsets) - 150, -right) if onsets else -0.1 * right
    found = []
    for place, (turn, at) in enumerate(zip(turns, known, strict=True)):
        mine = events[events["session"] == turn["session"]]
        mine = mine.assign(ms=(mine["at_ns"] - at["zero_ns"]) / 1e6)
        begin = min(0.0, at.get("speech_onset", 0.0)) - _BEFORE_NS / 1e6
        end = max(at.get(end, 0.0) for end in ends) + _BEFORE_NS / 1e6
        mine = mine[(mine["ms"] >= begin) & (mine["ms"] <= end)]
        said = {
            "Caller": _text(turn, "text", "utterance"),
            "Heard as": _text(turn, "transcript"),
            "Agent": _text(turn, "reply"),
        }
        found.append(
            Closeup(
                f"turn-{turn['session']}-{turn['turn']}",
                f"Session {turn['session']}, turn {turn['turn']}: "
                f"{METRICS[run.wait].label} {quantity(float(turn['value']), 'ms')}, "
                f"{_excess(turn, usual)}",
                [(who, words) for who, words in said.items() if words],
                None if mine.empty else timeline(turn, mine, left, right),
                _event_table(mine),
                opened=place == 0,
            )
        )
    return found


def _event_table(events: pd.DataFrame) -> Table | None:
    """The events as a table; the deltas of one type between two other events are one row."""
    alone = ~events["type"].str.endswith(".delta")
    stretch = (alone | alone.shift(fill_value=True)).cumsum()
    stretches = events.groupby([stretch, events["type"]], sort=False) if len(events) else ()

    def ms(part: pd.DataFrame) -> str:
        until = f" … {plain(float(part['ms'].iloc[-1]), 'ms')}" if len(part) > 1 else ""
        return f"{plain(float(part['ms'].iloc[0]), 'ms')}{until}"

    def kind(part: pd.DataFrame) -> str:
        name = str(part["type"].iloc[0])
        return f"{name} {TIMES} {len(part)}" if len(part) > 1 else name

    def carried(part: pd.DataFrame) -> str:
        if audio := numbers(part, "audio_ns").sum():
            return f"{quantity(float(audio) / 1e6, 'ms')} of audio"
        audio_ms = numbers(part, "audio_ms").dropna()
        if len(audio_ms):
            return f"audio at {plain(float(audio_ms.iloc[0]), '1')} ms"
        return clip("".join(texts(part, "detail")), 120)

    return table_of(
        "Events of this turn",
        {
            "ms": ms,
            "way": lambda part: {"in": "←", "out": "→"}.get(part["direction"].iloc[0], "·"),
            "event": kind,
            "what it carried": carried,
            "id": lambda part: _text(part.iloc[0], "event_id", "item_id") or NOTHING,
        },
        (part for _, part in stretches),
        numeric=("ms",),
        first=(_MOST_ROWS, "events.parquet"),
        note="ms after the caller's last word; ← came from the server, → was sent, · is a note of "
        "the caller. Appends are left out.",
    )


# ── the timeline ─────────────────────────────────────────────────────────────────────────────────


def timeline(turn: pd.Series, events: pd.DataFrame, left: float, right: float) -> go.Figure:
    """The timeline of one turn, from `left` to `right`; `events` have `ms`, as all times here."""
    at = _instants(turn)
    figure = blank(270, margin={"l": 104, "r": 16, "t": 8, "b": 40})
    identity = f"session {turn['session']} · turn {turn['turn']}"
    typed, heard = "speech_onset" not in at, at.get("heard")
    if not typed:
        said = f"<b>caller speaks</b><br>{identity}<br>{safe(_text(turn, 'text', 'utterance'), 70)}"
        _bar(figure, 0, (at["speech_onset"], 0.0), "caller", said)
        if at["speech_onset"] < left:
            earlier = seconds(1e6 * (left - at["speech_onset"]))
            figure.add_annotation(
                x=left, y=0, xanchor="left", text=f"◂ {earlier} more", showarrow=False,
                font={"size": 10, "color": colour("paper")},
            )  # fmt: skip
    if heard is not None:
        _playing(figure, turn, at, right, identity)
    places = [next((mark for mark in _MARKS if kind.startswith(mark.prefix)), None)
              for kind in events["type"]]  # fmt: skip
    for mark in dict.fromkeys(place for place in places if place is not None):
        part = events[[place == mark for place in places]]
        _messages(figure, mark, part, identity)
    figure.add_vline(x=0, line={"color": colour("axis"), "width": 1.5})
    if heard is not None:
        figure.add_vline(x=heard, line={"color": colour("heard"), "width": 1.5, "dash": "dot"})
    # A typed turn: nobody speaks, and perhaps nobody is heard.
    first, final = (2, len(_LANES) - 1 - (heard is None)) if typed else (0, len(_LANES) - 1)
    zero = "the answer was asked for" if typed else "the caller's last word"
    figure.update_layout(height=140 + 32 * (final - first + 1))
    figure.update_xaxes(title={"text": f"ms after {zero}"}, range=[left, right], showgrid=True)
    figure.update_yaxes(
        tickvals=list(range(len(_LANES))), ticktext=_LANES, range=[final + 0.55, first - 0.55],
        showgrid=False, automargin=False, ticklabelstandoff=6,
        tickfont={"color": colour("ink"), "size": 12},
    )  # fmt: skip
    return figure


def _bar(figure: go.Figure, lane: int, ends: tuple[float, float], role: str, says: str) -> None:
    """A bar that can be hovered at both ends and in its middle."""
    figure.add_trace(
        go.Scatter(
            x=[ends[0], sum(ends) / 2, ends[1]], y=[lane] * 3, mode="lines", showlegend=False,
            line={"width": 14, "color": colour(role)}, hovertemplate=f"{says}<extra></extra>",
        )
    )  # fmt: skip


def _playing(
    figure: go.Figure, turn: pd.Series, at: dict[str, float], right: float, identity: str
) -> None:
    """What the player plays: silence at its head pale, the rest in the agent's colour."""
    begin, heard, silent = at.get("first_heard", at["heard"]), at["heard"], at.get("agent_silent")
    if begin < heard:
        said = f"<b>silence at the head of the reply</b><br>{identity}"
        _bar(figure, 4, (begin, heard), "player", said)
    if silent is not None:
        said = f"<b>the agent it interrupts</b>, silent at {silent:,.0f} ms<br>{identity}"
        _bar(figure, 4, (-10 * right, silent), "heard", said)
    length = turn.get("reply_audio_ns")
    stop = right if length is None or pd.isna(length) else min(right, begin + float(length) / 1e6)
    said = f"<b>caller hears the agent</b><br>{identity}<br>{safe(_text(turn, 'reply'), 70)}"
    _bar(figure, 4, (heard, stop), "heard", said)


def _messages(figure: go.Figure, mark: Mark, events: pd.DataFrame, identity: str) -> None:
    audio = numbers(events, "audio_ns") / 1e6
    data: list[list[Any]] = [
        [safe(kind), safe(event_id) or "no event_id",
         "" if np.isnan(ms) else f", {quantity(ms, 'ms')} of audio"]
        for kind, event_id, ms in zip(events["type"], texts(events, "event_id"), audio, strict=True)
    ]  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=events["ms"].to_numpy(),
            y=[mark.lane] * len(events),
            mode="markers",
            name=mark.words,
            showlegend=True,
            marker={
                "symbol": mark.symbol, "size": mark.size, "color": colour(mark.role),
                "line": {"width": 1.5, "color": colour(mark.role)},
            },
            customdata=data,
            hovertemplate="<b>%{customdata[0]}</b> at %{x:,.1f} ms%{customdata[2]}<br>"
            f"{identity}<br>%{{customdata[1]}}<extra></extra>",
        )
    )  # fmt: skip


SLOWEST: Final = Question(
    "slowest",
    "Which turns were slowest, event by event?",
    says=(_answer,),
    closeups=_closeups,
)
