"""The events of a run, told to one tracker a session.

Most rows are appends and deltas of audio. They reach a tracker in runs, from plain columns; every
other row becomes an `Event`.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bench.analysis.envelopes import audible_windows
from bench.analysis.tables import Flags, Ints, changes, codes, integers, is_type, optional, places
from bench.tracker.event import AudioDelta, Event
from bench.tracker.responses import AUDIO
from bench.tracker.tracker import Tracker
from bench.voice.microphone import APPEND

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
    rows = np.argsort(place, kind="stable")
    # What chunks and deltas say does not depend on each other: between two events all of a kind.
    session, alone = events["session"].to_numpy(), kind == _EVENT
    block = np.cumsum(changes(session[rows], alone[rows]))
    rows = rows[np.lexsort((kind[rows], block))]
    kind, session = kind[rows], session[rows]
    columns = _columns(events, place, rows, kind)
    edges = np.flatnonzero(changes(session, kind, _alike(events, rows, kind)))
    told, deltas = map(Event, *columns.events), map(AudioDelta, *columns.deltas)
    firsts = map(Event, *_event_columns(events, place, rows[edges[kind[edges] == _DELTA]]))
    bounds = np.append(edges, len(rows))
    appended = 0
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
        if what == _EVENT:
            for event in islice(told, length):
                tracker.feed(event)
        elif what == _DELTA:
            tracker.audio(next(firsts), list(islice(deltas, length)))
        else:
            some = slice(appended, appended + length)
            tracker.appends(*(column[some] for column in columns.appends))
            appended += length
    if tracker is not None:
        yield number, tracker


def telling(events: pd.DataFrame) -> Flags:
    """Which rows say more than their stamps: all but chunks that are like the one before them."""
    kind = _kinds(events)
    found = kind == _EVENT
    words = [codes(events[name]) for name in ("type", "response_id", "item_id")]
    for what in (_DELTA, _APPENDED):
        rows = np.flatnonzero(kind == what)
        found[rows] = changes(*(column[rows] for column in (events["session"].to_numpy(), *words)))
    return np.asarray(found, bool)


def _kinds(events: pd.DataFrame) -> Ints:
    """How each row is told. An append that is not of the microphone is an event like others."""
    kind = np.full(len(events), _EVENT, np.int64)
    appended = is_type(events, APPEND, direction="out")
    kind[appended & events["media_ns"].notna().to_numpy()] = _APPENDED
    kind[is_type(events, *AUDIO) & (events["nbytes"].to_numpy() > 0)] = _DELTA
    return kind


def _alike(events: pd.DataFrame, rows: Ints, kind: Ints) -> Ints:
    """A number for every row: of two deltas in a row the same where `Tracker.audio` may have both.

    `rows` are in order, and `kind` says what they are.
    """
    deltas = np.flatnonzero(kind == _DELTA)
    of = rows[deltas]
    alike = np.zeros(len(rows), np.int64)
    alike[deltas] = np.cumsum(
        changes(
            *(codes(events[name])[of] for name in ("type", "response_id", "item_id")),
            *(integers(events[name].iloc[of], -1) for name in ("output_index", "content_index")),
            events["nbytes"].to_numpy()[of] % 2,
        )
    )
    return alike


def _columns(events: pd.DataFrame, place: Ints, rows: Ints, kind: Ints) -> _Columns:
    """The rows of `events` in order, of which `kind` says what they are."""
    appends, deltas, rest = (rows[kind == what] for what in (_APPENDED, _DELTA, _EVENT))
    at, width = events["at_ns"].to_numpy(), events["at_err_ns"].to_numpy()
    envelopes = events["envelope"].to_numpy(object)[deltas].tolist()
    first, last = audible_windows(envelopes)
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
    return _Columns(_event_columns(events, place, rest), heard, sent)


def _event_columns(events: pd.DataFrame, place: Ints, rows: Ints) -> list[list[Any]]:
    """Some rows as the columns of `Event`."""
    return [
        events["row"].to_numpy()[rows].tolist(),
        place[rows].tolist(),
        events["at_ns"].to_numpy()[rows].tolist(),
        events["at_err_ns"].to_numpy()[rows].tolist(),
        _words(events["direction"], rows),
        _words(events["type"], rows),
        _words(events["item_id"], rows),
        _words(events["response_id"], rows),
        optional(events["media_ns"].iloc[rows]),
        optional(events["audio_ms"].iloc[rows]),
        events["nbytes"].to_numpy()[rows].tolist(),
        optional(events["detail"].iloc[rows]),
        *(
            optional(events[name].iloc[rows])
            for name in ("call_id", "audio_ns", "output_index", "content_index", "previous_id")
        ),
    ]


def _lengths(events: pd.DataFrame, rows: Ints) -> list[int]:
    """How long the audio of each row is; 0 where it carries none."""
    return list(integers(events["audio_ns"].iloc[rows], 0).tolist())


def _words(column: pd.Series, rows: Ints) -> list[str | None]:
    """A categorical column; None where it is missing."""
    known = [*column.cat.categories.tolist(), None]
    return [known[code] for code in codes(column)[rows].tolist()]
