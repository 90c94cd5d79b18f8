"""The events of a run, told to one tracker a session.

Most rows are appends and deltas of audio. They reach a tracker in runs, from plain columns; every
other row becomes an `Event`.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from bench.analysis.envelopes import audible_windows
from bench.analysis.tables import Flags, Ints, codes, integers, is_type, places, sent_ns
from bench.tracker.event import AudioDelta, Event
from bench.tracker.responses import AUDIO
from bench.tracker.tracker import Tracker

_APPEND: Final = "input_audio_buffer.append"
_EVENT, _DELTA, _APPENDED = range(3)


class _Columns(NamedTuple):
    """Rows of one kind as plain lists, in the order of the wire."""

    events: list[Event]
    deltas: list[AudioDelta]
    media: list[int]
    sent: list[int]
    audio: list[int]


def tracked(events: pd.DataFrame, jitter_ns: dict[int, int]) -> Iterator[tuple[int, Tracker]]:
    """Every session and its tracker, which was told all and is not closed yet.

    `jitter_ns` is the jitter buffer of each session's caller.
    """
    kind = _kinds(events)
    place = places(events, events)
    rows = np.flatnonzero(kind >= 0)
    rows = rows[np.argsort(place[rows], kind="stable")]
    kind = kind[rows]
    columns = _columns(events.take(rows), place[rows], kind)
    session = events["session"].to_numpy()[rows]
    edges = np.flatnonzero(np.diff(session, prepend=-1) | np.diff(kind, prepend=-1))
    bounds = np.append(edges, len(rows))
    taken = [0, 0, 0]
    tracker: Tracker | None = None
    number = -1
    for begin, length, what in zip(
        session[edges].tolist(), np.diff(bounds).tolist(), kind[edges].tolist(), strict=True
    ):
        if begin != number:
            if tracker is not None:
                yield number, tracker
            number, tracker = begin, Tracker(jitter_ns.get(begin, 0))
        assert tracker is not None  # noqa: S101 - the first session is above every number before
        first = taken[what]
        taken[what] = last = first + length
        if what == _EVENT:
            for event in columns.events[first:last]:
                tracker.feed(event)
        elif what == _DELTA:
            tracker.audio(columns.deltas[first:last])
        else:
            tracker.appends(
                columns.media[first:last], columns.sent[first:last], columns.audio[first:last]
            )
    if tracker is not None:
        yield number, tracker


def _kinds(events: pd.DataFrame) -> Ints:
    """How each row is told; -1: it is not."""
    kind = np.full(len(events), _EVENT, np.int64)
    appended = is_type(events, _APPEND, direction="out")
    kind[appended] = np.where(events["media_ns"].notna().to_numpy()[appended], _APPENDED, -1)
    kind[is_type(events, *AUDIO) & (events["nbytes"].to_numpy() > 0)] = _DELTA
    return kind


def _columns(events: pd.DataFrame, place: Ints, kind: Ints) -> _Columns:
    """`events` in the order of `place`, of which `kind` says what they are."""
    appended, deltas, rest = kind == _APPENDED, kind == _DELTA, kind == _EVENT
    appends = events[appended]
    return _Columns(
        list(map(Event._make, zip(*_of_events(events[rest], place[rest]), strict=True))),
        list(map(AudioDelta, *_of_deltas(events[deltas]))),
        integers(appends["media_ns"], 0).tolist(),
        sent_ns(appends).tolist(),
        integers(appends["audio_ns"], 0).tolist(),
    )


def _of_events(events: pd.DataFrame, place: Ints) -> list[list[Any]]:
    return [
        events["row"].tolist(),
        place.tolist(),
        events["at_ns"].tolist(),
        events["at_err_ns"].tolist(),
        _words(events["direction"]),
        _words(events["type"]),
        _words(events["item_id"]),
        _words(events["response_id"]),
        _optional(events["media_ns"]),
        _optional(events["audio_ms"]),
        events["nbytes"].tolist(),
        _optional(events["detail"]),
        _optional(events["call_id"]),
    ]


def _of_deltas(events: pd.DataFrame) -> list[list[Any]]:
    envelopes = events["envelope"].tolist()
    first, last = audible_windows(envelopes)
    return [
        events["row"].tolist(),
        events["at_ns"].tolist(),
        events["at_err_ns"].tolist(),
        _words(events["response_id"]),
        _words(events["item_id"]),
        integers(events["audio_ns"], 0).tolist(),
        envelopes,
        first.tolist(),
        last.tolist(),
    ]


def _words(column: pd.Series) -> list[str | None]:
    """A categorical column; None where it is missing."""
    known = [*column.cat.categories.tolist(), None]
    return [known[code] for code in codes(column).tolist()]


def _optional(column: pd.Series) -> list[Any]:
    """A nullable column; None where it is missing."""
    missing: Flags = column.isna().to_numpy(bool)
    values = column.to_numpy(object, copy=True)
    values[missing] = None
    return list(values.tolist())
