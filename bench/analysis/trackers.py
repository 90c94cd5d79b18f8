"""The events of a run, told to one tracker a session.

Most rows are appends and deltas of audio. They reach a tracker in runs, from plain columns; every
other row becomes an `Event`.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bench.analysis.envelopes import audible_windows
from bench.analysis.tables import Ints, changes, codes, integers, is_type, optional, places
from bench.protocol.grammar import APPEND
from bench.tracker.event import AudioDelta, Event
from bench.tracker.responses import AUDIO
from bench.tracker.tracker import Tracker

_EVENT, _DELTA, _APPENDED = range(3)


class _Columns(NamedTuple):
    """Rows of one kind as plain lists, in the order of the wire: columns as trackers want them."""

    events: list[list[Any]]
    deltas: list[list[Any]]
    appends: list[list[Any]]


def tracked(events: pd.DataFrame, jitter_ns: dict[int, int]) -> Iterator[tuple[int, Tracker]]:
    """Every session and its tracker, which was told all and is not closed yet.

    `jitter_ns` is the jitter buffer of each session's caller.
    """
    kind = _kinds(events)
    place = places(events, events)
    rows = np.flatnonzero(kind >= 0)
    rows = rows[np.argsort(place[rows], kind="stable")]
    # What chunks and deltas say does not depend on each other: between two events all of a kind.
    session, told = events["session"].to_numpy(), kind == _EVENT
    block = np.cumsum(changes(session[rows], told[rows]))
    rows = rows[np.lexsort((kind[rows], block))]
    kind, session = kind[rows], session[rows]
    columns = _columns(events, place, rows, kind)
    edges = np.flatnonzero(changes(session, kind))
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
        fields = [column[first:last] for column in columns[what]]
        if what == _EVENT:
            for event in map(Event, *fields):
                tracker.feed(event)
        elif what == _DELTA:
            tracker.audio(map(AudioDelta, *fields))
        else:
            tracker.appends(*fields)
    if tracker is not None:
        yield number, tracker


def _kinds(events: pd.DataFrame) -> Ints:
    """How each row is told; -1: it is not."""
    kind = np.full(len(events), _EVENT, np.int64)
    appended = is_type(events, APPEND, direction="out")
    kind[appended] = np.where(events["media_ns"].notna().to_numpy()[appended], _APPENDED, -1)
    kind[is_type(events, *AUDIO) & (events["nbytes"].to_numpy() > 0)] = _DELTA
    return kind


def _columns(events: pd.DataFrame, place: Ints, rows: Ints, kind: Ints) -> _Columns:
    """The rows of `events` in order, of which `kind` says what they are."""
    appends, deltas, rest = (rows[kind == what] for what in (_APPENDED, _DELTA, _EVENT))
    at, width = events["at_ns"].to_numpy(), events["at_err_ns"].to_numpy()
    envelopes = events["envelope"].to_numpy(object)[deltas].tolist()
    first, last = audible_windows(envelopes)
    told = [
        events["row"].to_numpy()[rest].tolist(),
        place[rest].tolist(),
        at[rest].tolist(),
        width[rest].tolist(),
        _words(events["direction"], rest),
        _words(events["type"], rest),
        _words(events["item_id"], rest),
        _words(events["response_id"], rest),
        optional(events["media_ns"].iloc[rest]),
        optional(events["audio_ms"].iloc[rest]),
        events["nbytes"].to_numpy()[rest].tolist(),
        optional(events["detail"].iloc[rest]),
        optional(events["call_id"].iloc[rest]),
    ]
    heard = [
        events["row"].to_numpy()[deltas].tolist(),
        at[deltas].tolist(),
        width[deltas].tolist(),
        _words(events["response_id"], deltas),
        _words(events["item_id"], deltas),
        _lengths(events, deltas),
        envelopes,
        first.tolist(),
        last.tolist(),
    ]
    sent = [
        integers(events["media_ns"].iloc[appends], 0).tolist(),
        (at - width)[appends].tolist(),
        _lengths(events, appends),
    ]
    return _Columns(told, heard, sent)


def _lengths(events: pd.DataFrame, rows: Ints) -> list[int]:
    """How long the audio of each row is; 0 where it carries none."""
    return list(integers(events["audio_ns"].iloc[rows], 0).tolist())


def _words(column: pd.Series, rows: Ints) -> list[str | None]:
    """A categorical column; None where it is missing."""
    known = [*column.cat.categories.tolist(), None]
    return [known[code] for code in codes(column)[rows].tolist()]
