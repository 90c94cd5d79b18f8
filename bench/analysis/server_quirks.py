"""Ways of a server that a client can bear, and that a reader of figures wants to know.

Each is counted over the whole run, under the name that the reference server's profile and
`bench probe` give it, with an example. What a message had to be borne for when it was read is in
the rows of the session (`bench.quirk`, and the counts in `bench.end`); all else is found here. Of
what stands in fields that nobody reads only the first message of each type is looked at.
"""

from collections import Counter
from typing import Any, Final

import numpy as np
import pandas as pd

from bench.analysis.tables import Flags, Ints, bodies, codes, is_type, latest, of_type
from bench.protocol.codec import message_table
from bench.tracker.event import NEVER
from bench.tracker.responses import AUDIO, TEXT, TRANSCRIPT
from bench.tracker.vad_events import COMMITTED, STARTED, STOPPED, TRANSCRIBED

_BETA: Final = (AUDIO[1], TRANSCRIPT[1], TEXT[1], "conversation.item.created")
_KNOWN: Final = frozenset(entry.type for entry in message_table())
_ABOUT: Final = {
    "transcription_duplicate": "input transcriptions that were completed again",
    "transcription_late": "input transcriptions completed after the whole answer to them was done",
    "missing_ms": "speech_started and speech_stopped without their position",
    "missing_usage": "response.done without usage",
    "beta_names": "messages in the spelling of the beta",
    "turn_suggestion": "guesses that a turn has ended",
    "flat_error": "errors without an error object",
    "no_session_updated": "sessions in which session.update was never acknowledged",
    "updated_as_created": "sessions in which session.update was acknowledged by session.created",
    "late_session_created": "sessions that were greeted after the caller had begun",
    "no_response_created": "responses that began without response.created",
    "repeated_response_created": "response.created that came again",
    "repeated_speech_stopped": "speech_stopped that came again for one item",
    "stray_speech_started": "speech_started of items that nothing ever followed",
    "unknown_types": "messages of types that are in no list",
    "nameless_calls": "tool calls without a name",
    "idless_calls": "tool calls without a call_id, which were not answered",
    "binary_frames": "messages in binary frames",
    "lone_surrogates": "messages with half a character in a text",
    "invalid_utf8": "messages that are not UTF-8",
    "odd_numbers": "messages with numbers that are none (NaN, 1e999)",
    "deep_nesting": "messages nested without end",
    "loose_json": "messages with a byte order mark, or a line end inside a string",
    "loose_base64": "audio in base64 of URLs, in lines, or without padding",
    "float_positions": "messages with a position or index that is no integer",
    "error_string": "errors that are a string",
    "integer_code": "errors whose code is a number",
    "untyped_error": "errors without a type",
    "missing_ids": "messages of a response that do not say which",
    "odd_deltas": "audio deltas that tear a sample: the rest of it is in the next",
    "wav_header": "audio deltas that begin with a WAV header, which is taken off",
    "unread_header": "audio deltas with a WAV header of a format that the API has not",
    "two_channels": "replies in two channels, of which one is taken",
    "other_format": "replies in another format than the session states, which they say themselves",
    "no_subprotocol": "sessions whose server took no subprotocol, though one was offered",
    "redirects": "sessions that were sent elsewhere before they began",
}


def quirks(events: pd.DataFrame, messages: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
    """{quirk, about, count, example} of those that were seen.

    `events` are the run's, with or without its chunks; `messages` counts all of them, as
    `bench.analysis.counts.count_messages` does.
    """
    found = {**_seen(events), **_borne(events)}
    if beta := found.get("beta_names"):
        found["beta_names"] = (sum(messages["in", kind] for kind in _BETA), beta[1])
    return [
        {"quirk": name, "about": about, "count": found[name][0], "example": found[name][1]}
        for name, about in _ABOUT.items()
        if name in found
    ]


def _seen(events: pd.DataFrame) -> dict[str, tuple[int, str]]:
    """Those that the rows show: how many rows, and the first of them in words."""
    log = _Log(events)
    completed, created = log.rows(TRANSCRIBED), log.rows("response.created")
    stopped, speech = log.rows(STOPPED), log.rows(STARTED, STOPPED)
    done, errors = log.rows("response.done"), log.rows("error")
    bodies_of_done = bodies(events.take(done))
    spent = np.array([isinstance(body.get("usage"), dict) for body in bodies_of_done], bool)
    # A reply that was cut off is over early: what comes after it need not be late.
    whole = done[np.array([body.get("status") == "completed" for body in bodies_of_done], bool)]
    flat = np.array([body.get("flat") is True for body in bodies(events.take(errors))], bool)
    nameless, idless = _odd_calls(events, log)
    rows = {
        "transcription_duplicate": completed[log.again(completed, log.item)],
        "transcription_late": _late(log, completed, whole),
        "missing_ms": speech[events["audio_ms"].isna().to_numpy(bool)[speech]],
        "missing_usage": done[~spent],
        "beta_names": log.rows(*_BETA),
        "turn_suggestion": log.rows("input_audio_buffer.turn_suggestion"),
        "flat_error": errors[flat],
        **_greetings(events, log),
        "no_response_created": _uncreated(log, created),
        "repeated_response_created": created[log.again(created, log.response)],
        "repeated_speech_stopped": stopped[(log.item[stopped] >= 0) & log.again(stopped, log.item)],
        "stray_speech_started": _strays(log, whole),
        "unknown_types": log.rows(*_unknown(events)),
        "redirects": log.rows("bench.redirected", direction="note"),
        "nameless_calls": nameless,
        "idless_calls": idless,
    }
    first = {name: events.iloc[seen[0]] for name, seen in rows.items() if len(seen)}
    return {name: (len(rows[name]), _example(row)) for name, row in first.items()}


class _Log:
    """The columns of the events that say what belongs together, as dense integers; -1: no id."""

    def __init__(self, events: pd.DataFrame) -> None:
        self._events = events
        self.session = events["session"].to_numpy(np.int64)
        self.item, self.response = codes(events["item_id"]), codes(events["response_id"])
        self.received = (events["direction"] == "in").to_numpy(bool)

    def rows(self, *types: str, direction: str = "in") -> Ints:
        """The rows of some message types in one direction, in order."""
        return np.flatnonzero(is_type(self._events, *types, direction=direction))

    def pairs(self, rows: Ints, ids: Ints) -> Ints:
        """An integer for each (session, id); rows without an id are alike."""
        return self.session[rows] * (int(ids.max(initial=0)) + 2) + ids[rows]

    def first(self, rows: Ints, ids: Ints) -> Ints:
        """Those of the rows that are the first of their (session, id), in order."""
        return rows[~self.again(rows, ids)]

    def again(self, rows: Ints, ids: Ints) -> Flags:
        """Which rows are not the first of their (session, id)."""
        found = np.ones(len(rows), bool)
        found[np.unique(self.pairs(rows, ids), return_index=True)[1]] = False
        return found

    def last_before(self, rows: Ints, others: Ints) -> Ints:
        """The row of the last of the others before each, in its session; -1 where there is none."""
        last = latest(self.session[rows], rows, self.session[others], others)
        return np.asarray(np.append(others, -1)[last])

    def first_of_sessions(self, rows: Ints) -> Ints:
        """The first of the rows in each session."""
        return self.first(rows, np.zeros(len(self.session), np.int64))


def _example(row: pd.Series) -> str:
    """A row in words: its session, type and ids."""
    ids = (row[name] for name in ("response_id", "item_id"))
    words = [str(row["type"]), *(str(one) for one in ids if isinstance(one, str))]
    return f"session {row['session']}: {' '.join(words)}"


def _borne(events: pd.DataFrame) -> dict[str, tuple[int, str]]:
    """Those that sessions counted as they read; of one that is not over the first alone counts."""
    counted: Counter[str] = Counter()
    ends = of_type(events, "bench.end", direction="note")
    over = set()
    for session, body in zip(ends["session"].tolist(), bodies(ends), strict=True):
        if isinstance(told := body.get("quirks"), dict):
            over.add(session)
            counted.update(told)
    examples: dict[str, str] = {}
    notes = of_type(events, "bench.quirk", direction="note")
    for session, body in zip(notes["session"].tolist(), bodies(notes), strict=True):
        name = str(body.get("quirk"))
        examples.setdefault(name, f"session {session}: {body.get('example')}")
        counted[name] += session not in over
    return {name: (count, examples.get(name, "")) for name, count in counted.items()}


def _late(log: _Log, completed: Ints, done: Ints) -> Ints:
    """Items that were first transcribed after a response that began with them had ended.

    `done` are the ends of responses that were completed.
    """
    commits = log.first(log.rows(COMMITTED), log.item)
    first = log.first(completed, log.item)
    first = first[log.item[first] >= 0]
    mine, theirs = log.pairs(first, log.item), log.pairs(commits, log.item)
    order = np.argsort(theirs)
    place = np.searchsorted(theirs, mine, sorter=order)
    known = np.append(theirs[order], -1)[place] == mine
    first, committed = first[known], commits[order[place[known]]]
    began = log.last_before(first, log.rows("response.created"))
    ended = log.last_before(first, done)
    late: Ints = first[(began > committed) & (ended > began)]
    return late


def _greetings(events: pd.DataFrame, log: _Log) -> dict[str, Ints]:
    """The rows of sessions that began to talk in another way than by session.updated."""
    opened = log.first_of_sessions(log.rows("bench.microphone", direction="note"))
    answers = np.array([body.get("answer") for body in bodies(events.take(opened))], object)
    never = ~np.isin(log.session[opened], log.session[log.rows("session.updated")])
    greeted = log.first_of_sessions(log.rows("session.created"))
    asked = log.rows("session.update", direction="out")
    return {
        "no_session_updated": opened[never & (answers == "nothing")],
        "updated_as_created": opened[never & (answers == "session.created")],
        "late_session_created": greeted[log.last_before(greeted, asked) >= 0],
    }


def _uncreated(log: _Log, created: Ints) -> Ints:
    """The first rows of responses that were never said to be created."""
    begun = log.first(np.flatnonzero(log.received & (log.response >= 0)), log.response)
    return begun[~np.isin(log.pairs(begun, log.response), log.pairs(created, log.response))]


def _strays(log: _Log, done: Ints) -> Ints:
    """Starts that nothing followed, though a response was completed after them.

    `done` are the ends of responses that were completed: a start that the end of its session cut
    off is no stray.
    """
    starts, ends = log.rows(STARTED), log.rows(STOPPED, COMMITTED, TRANSCRIBED)
    lone = (log.item[starts] >= 0) & np.isin(log.session[starts], log.session[ends])
    lone &= ~np.isin(log.pairs(starts, log.item), log.pairs(ends, log.item))
    later = latest(log.session[starts], np.full(len(starts), NEVER), log.session[done], done)
    return starts[lone & (np.append(done, -1)[later] > starts)]


def _unknown(events: pd.DataFrame) -> list[str]:
    """Types that are in no list."""
    kinds = events["type"].cat.categories
    return [k for k in kinds if k not in _KNOWN and not k.startswith(("(", "errorType:"))]


def _odd_calls(events: pd.DataFrame, log: _Log) -> tuple[Ints, Ints]:
    """A row for every call without a name, and for every one without an id."""
    notes = log.rows("bench.odd_calls", direction="note")
    said = bodies(events.take(notes))
    nameless, idless = (
        np.array([body.get(kind) or 0 for body in said], np.int64)
        for kind in ("nameless", "idless")
    )
    return notes.repeat(nameless), notes.repeat(idless)
