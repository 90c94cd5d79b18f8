"""The slowest turns, event by event: where a point of the other figures leads back to.

Times are in ms after the caller's last word (of a typed turn: after its answer was asked for). The
bars are what the two people hear; the marks between them are messages, at the instants of the log.
"""

from typing import Final

import numpy as np
import pandas as pd

from bench.plan.stages import STAGES
from bench.report.latency import medians, spent_ms
from bench.report.marks import METRIC_WORDS, sampled
from bench.report.panel import Cell, Closeup, Panel, Table
from bench.report.run import Run, numbers, texts
from bench.report.timeline import number, said, timeline, word
from bench.report.words import NOTHING, TIMES, clip, count, plain, quantity

_MOST: Final = 5
_BEFORE_NS: Final = 200_000_000
_MOST_ROWS: Final = 80
_APPEND: Final = "input_audio_buffer.append"


def slowest(run: Run) -> Panel:
    """The slowest answered turns: a ranking, and each with its timeline and events."""
    key, question = "slowest", "Which turns were slowest, event by event?"
    turns = sampled(run.counted, run.wait).iloc[::-1].head(_MOST)
    if turns.empty:
        return Panel(key, question, "No turn was answered, so none was slowest.")
    events = run.events(sessions={int(session) for session in turns["session"]})
    events = events[events["type"] != _APPEND]
    first, usual = turns.iloc[0], medians(run.counted)
    answer = (
        f"The slowest answer took {quantity(float(first['value']), 'ms')}: session "
        f"{first['session']}, turn {first['turn']}; {_excess(first, usual)}."
    )
    if run.events_file is None:
        answer += " The folder has no events, so their timelines cannot be drawn."
    closeups = [_closeup(turn, events) for _, turn in turns.iterrows()]
    return Panel(
        key, question, answer, tables=[_ranking(turns, closeups, usual, run.wait)],
        closeups=closeups,
    )  # fmt: skip


def _excess(turn: pd.Series, usual: dict[str, float]) -> str:
    """The stage in which this turn lost most against the median of all turns."""
    if word(turn, "textual") == "True":
        return "in writing there are no stages"
    lost = {}
    for stage in STAGES:
        spent = spent_ms(turn, stage)
        if not np.isnan(spent):
            lost[stage.name] = spent - usual.get(stage.name, 0.0)
    if not lost:
        return "its stages are not known"
    name = max(lost, key=lambda entry: lost[entry])
    if lost[name] <= 0.0:
        return "every stage at or under its median"
    return f"{name} {quantity(lost[name], 'ms')} above its median"


def _ranking(
    turns: pd.DataFrame, closeups: list[Closeup], usual: dict[str, float], metric: str
) -> Table:
    wait = METRIC_WORDS.get(metric, metric.replace("_", " "))
    rows = [
        [
            f"session {turn['session']} · turn {turn['turn']}",
            quantity(float(turn["value"]), "ms"),
            _excess(turn, usual),
            clip(word(turn, "text") or word(turn, "utterance"), 80),
        ]
        for _, turn in turns.iterrows()
    ]
    return Table(
        "The slowest answers",
        ("turn", wait, "where it lost most", "the caller said"),
        rows,
        numeric=frozenset({1}),
        links=[closeup.anchor for closeup in closeups],
    )


def _closeup(turn: pd.Series, events: pd.DataFrame) -> Closeup:
    zero = said(turn)
    begin = np.nanmin([zero, number(turn, "speech_onset_ns")]) - _BEFORE_NS
    ends = [number(turn, column) for column in ("heard_ns", "last_audio_ns", "response_done_ns")]
    end = np.nanmax([zero, *ends]) + _BEFORE_NS
    mine = events[
        (events["session"] == turn["session"])
        & (events["at_ns"] >= begin)
        & (events["at_ns"] <= end)
    ]
    mine = mine.assign(ms=(mine["at_ns"] - zero) / 1e6)
    spoken = [
        (who, words)
        for who, words in (
            ("Caller", word(turn, "text") or word(turn, "utterance")),
            ("Heard as", word(turn, "transcript")),
            ("Agent", word(turn, "reply")),
        )
        if words
    ]
    return Closeup(
        anchor=f"turn-{turn['session']}-{turn['turn']}",
        title=f"Session {turn['session']}, turn {turn['turn']}: "
        f"{quantity(float(turn['value']), 'ms')}",
        said=spoken,
        figure=None if mine.empty else timeline(turn, mine, zero, end),
        events=_rows(mine),
    )


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
                word(first, "event_id") or word(first, "item_id") or NOTHING,
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
