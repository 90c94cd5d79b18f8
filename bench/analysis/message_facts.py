"""A run's events as the facts that rules look at, the many that no rule can tell apart as one.

Theory of operation
-------------------
A run has a million events. Most of them are chunks and deltas that no rule can tell apart, so the
table is reduced:

* appends between two positions that the server states become one: all that a rule wants of them is
  how much audio was written by then;
* deltas of one kind, response, item and place between two other messages of responses become one,
  at the place of the first: texts joined, audio and bytes summed. No rule looks at the order of
  deltas of different kinds. Deltas with half a sample are kept apart from those without;
* types that no rule is about are left out.

A sent message stands before what may answer it (`tables.places`).
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pandas as pd

from bench.analysis.tables import (
    Flags,
    Ints,
    changes,
    codes,
    integers,
    is_type,
    nullable,
    optional,
    places,
    texts,
)
from bench.protocol.grammar import APPEND, DELTAS, HEARD, SENT, Fact
from bench.tracker.responses import AUDIO

_PLACED: Final = ("input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped")
_TRUNCATED: Final = "conversation.item.truncated"
_TEXTS: Final = frozenset(DELTAS) | frozenset(
    name.replace(".delta", ".done") for name, kind in DELTAS.items() if kind != "audio"
)
"""Types whose detail is the text itself, whatever it looks like."""
_TRANSCRIPTION: Final = "conversation.item.input_audio_transcription."


class Runs(NamedTuple):
    """Deltas that count as one. `rows`: the first row of each, ascending.

    last: the last row; messages: how many; audio_ns: of all; nbytes: of the first; texts: joined,
    None for audio.
    """

    rows: Ints
    last: Ints
    messages: Ints
    audio_ns: Ints
    nbytes: Ints
    texts: list[str | None]


_OF_DELTAS: Final = [
    "type", "direction", "response_id", "item_id", "output_index", "content_index", "audio_ns",
    "detail",
]  # fmt: skip


def delta_runs(events: pd.DataFrame, odd: Flags | None = None) -> Runs:
    """All deltas received, those that count as one as one.

    `odd` (by row) says which hold half a sample: they are never one with those that do not.
    """
    kind = _kinds(events)
    rows = np.flatnonzero(kind == _DELTA)
    session = events["session"].to_numpy()
    borders = kind == _BORDER
    borders[1:] |= session[1:] != session[:-1]
    segment = np.cumsum(borders)[rows]
    taken = events[_OF_DELTAS].take(rows)
    response, item = codes(taken["response_id"]), codes(taken["item_id"])
    same = _dense(
        segment,
        _dense(response, item),
        _dense(codes(taken["type"]), integers(taken["output_index"], -1)),
        _dense(
            integers(taken["content_index"], -1), np.zeros(len(rows)) if odd is None else odd[rows]
        ),
    )
    count = int(same.max()) + 1 if len(rows) else 0
    first, last = np.zeros(count, np.int64), np.zeros(count, np.int64)
    first[same[::-1]], last[same] = rows[::-1], rows
    return Runs(
        first,
        last,
        np.bincount(same, minlength=count),
        # Exact: sums of ns are far below 2^53.
        np.bincount(same, integers(taken["audio_ns"], 0), count).astype(np.int64),
        events["nbytes"].to_numpy()[first],
        _joined_texts(taken, same, count),
    )


def _joined_texts(deltas: pd.DataFrame, same: Ints, count: int) -> list[str | None]:
    """The words of each run; None where it has none (audio)."""
    spoken = np.flatnonzero(~is_type(deltas, *AUDIO))
    spoken = spoken[np.argsort(same[spoken], kind="stable")]
    words = texts(deltas["detail"].iloc[spoken]).tolist()
    found: list[str | None] = [None] * count
    runs, begins = np.unique(same[spoken], return_index=True)
    ends = np.append(begins, len(words))[1:]
    for run, begin, end in zip(runs.tolist(), begins.tolist(), ends.tolist(), strict=True):
        found[run] = words[begin] if end - begin == 1 else "".join(words[begin:end])
    return found


_OTHER, _KEPT, _BORDER, _DELTA, _APPEND = range(5)


def _kinds(events: pd.DataFrame) -> Ints:
    """What the reduction does with each row. A border parts deltas before it from those after."""
    known = events["type"].cat.categories
    heard, sent = np.zeros(len(known) + 1, np.int8), np.zeros(len(known) + 1, np.int8)
    for place, name in enumerate(known):
        if name in DELTAS:
            heard[place] = _DELTA
        elif name in HEARD:
            inside = name.startswith("response.") or name == _TRUNCATED
            heard[place] = _BORDER if inside else _KEPT
        if name in SENT:
            sent[place] = _APPEND if name == APPEND else _KEPT
    kind = events["type"].cat.codes.to_numpy()
    way = events["direction"].cat.categories
    direction = events["direction"].cat.codes.to_numpy()
    coming = direction == (way.get_loc("in") if "in" in way else -2)
    going = direction == (way.get_loc("out") if "out" in way else -2)
    return np.where(coming, heard[kind], np.where(going, sent[kind], _OTHER)).astype(np.int64)


def _dense(*columns: Any) -> Ints:
    """A dense integer for each distinct row of integer columns, in order of appearance."""
    found = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        number, known = pd.factorize(np.asarray(column, np.int64))
        found, _ = pd.factorize(found * max(1, len(known)) + number)
    return found.astype(np.int64)


_OF_PLACES: Final = ["session", "row", "at_ns", "at_err_ns", "direction"]
_OF_FACTS: Final = [
    "session", "direction", "type", "item_id", "response_id", "previous_id", "call_id",
    "output_index", "content_index", "audio_ms", "detail",
]  # fmt: skip


def message_facts(
    events: pd.DataFrame, sessions: pd.DataFrame
) -> tuple[list[Fact], Ints, list[int]]:
    """All facts in order; the places where each session's begin, and the end; sessions' numbers."""
    kind = _kinds(events)
    runs = delta_runs(events, _odd(events, sessions))
    kept = np.flatnonzero((kind == _KEPT) | (kind == _BORDER))
    written, chunks, length = _written(events, kind == _APPEND, kept)
    rows = np.concatenate([kept, runs.rows, written])
    order = np.argsort(places(events, events[_OF_PLACES].take(rows)), kind="stable")
    last = np.concatenate([kept, runs.last, written])[order]
    ones = np.ones(len(kept), np.int64)
    table = events[_OF_FACTS].take(rows[order])
    table = table.assign(
        at_ns=events["at_ns"].to_numpy()[last],
        messages=np.concatenate([ones, runs.messages, chunks])[order],
        audio_ns=nullable(
            np.concatenate([ones, runs.audio_ns, np.maximum(length, 0)])[order],
            np.concatenate([np.zeros(len(kept), bool), runs.audio_ns > 0, length >= 0])[order],
        ),
        nbytes=np.concatenate([ones * 0, runs.nbytes, chunks * 0])[order],
    )
    joined = np.full(len(rows), -1, np.int64)
    joined[len(kept) : len(kept) + len(runs.rows)] = np.arange(len(runs.rows))
    details = list(_details(table, joined[order].tolist(), runs.texts))
    session = table["session"].to_numpy()
    begins = np.flatnonzero(changes(session))
    bounds = np.append(begins, len(session)).astype(np.int64)
    return _as_facts(table, details), bounds, session[bounds[:-1]].tolist()


def _odd(events: pd.DataFrame, sessions: pd.DataFrame) -> Flags:
    """Which deltas carry half a sample of 16 bits, in sessions that speak PCM."""
    pcm = sessions.index[sessions["output_format"].str.startswith("audio/pcm ").to_numpy(bool)]
    half: Flags = is_type(events, *AUDIO) & (events["nbytes"].to_numpy() % 2 == 1)
    rows = np.flatnonzero(half)
    half[rows] = np.isin(events["session"].to_numpy()[rows], pcm.to_numpy())
    return half


def _written(events: pd.DataFrame, appends: Flags, kept: Ints) -> tuple[Ints, Ints, Ints]:
    """The appends before each stated position, as one: its last row, how many, how much audio.

    Length -1: not known (an append that a script sent by hand).
    """
    known = events["type"].cat.categories
    stated = known.isin(_PLACED)[events["type"].cat.codes.to_numpy()[kept]]
    asked = kept[stated & events["audio_ms"].notna().to_numpy()[kept]]
    rows = np.flatnonzero(appends)
    session = events["session"].to_numpy()
    length = integers(events["audio_ns"].iloc[rows], -1)
    before = np.searchsorted(rows, asked)
    # A run begins after the one before it, or with its session.
    begin = np.searchsorted(rows, np.searchsorted(session, session[asked]))
    if len(asked):
        begin[1:] = np.maximum(begin[1:], np.where(np.diff(session[asked]) == 0, before[:-1], 0))
    some = before > begin
    begin, before = begin[some], before[some]
    total_ns = np.concatenate([[0], np.cumsum(np.maximum(length, 0))])
    unknown = np.concatenate([[0], np.cumsum(length < 0)])
    torn = unknown[before] > unknown[begin]
    summed = np.where(torn, -1, total_ns[before] - total_ns[begin])
    return rows[before - 1] if len(before) else before, before - begin, summed


def _details(table: pd.DataFrame, joined: list[int], said: list[str | None]) -> Iterator[Any]:
    kinds = table["type"].astype(object).tolist()
    for text, run, kind in zip(texts(table["detail"]).tolist(), joined, kinds, strict=True):
        if run >= 0:
            yield said[run]
        elif kind in _TEXTS or kind.startswith(_TRANSCRIPTION) or not text:
            yield text
        else:
            yield _parsed(text)


def _parsed(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def _as_facts(table: pd.DataFrame, details: list[Any]) -> list[Fact]:
    sent = (table["direction"] == "out").to_numpy()
    return [
        Fact(*values)
        for values in zip(
            table["direction"].astype(object).tolist(),
            table["type"].astype(object).tolist(),
            table["at_ns"].tolist(),
            [
                str(detail.get("event_id") or "") if out and isinstance(detail, dict) else ""
                for out, detail in zip(sent.tolist(), details, strict=True)
            ],
            _words(table["item_id"]),
            _words(table["response_id"]),
            optional(table["output_index"]),
            optional(table["content_index"]),
            _words(table["previous_id"]),
            _words(table["call_id"]),
            optional(table["audio_ms"]),
            optional(table["audio_ns"]),
            table["nbytes"].tolist(),
            details,
            table["messages"].tolist(),
            strict=True,
        )
    ]


def _words(column: pd.Series) -> list[str]:
    found: list[str] = texts(column).tolist()
    return found
