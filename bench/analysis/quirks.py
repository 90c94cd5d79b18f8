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

from bench.analysis.tables import Flags, Ints, bodies, is_type, latest, of_type, parsed
from bench.protocol.codec import message_table
from bench.tracker.responses import AUDIO, TEXT, TRANSCRIPT

_COMPLETED: Final = "conversation.item.input_audio_transcription.completed"
_STARTED: Final = "input_audio_buffer.speech_started"
_STOPPED: Final = "input_audio_buffer.speech_stopped"
_COMMITTED: Final = "input_audio_buffer.committed"
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


def quirks(events: pd.DataFrame) -> list[dict[str, Any]]:
    """{quirk, about, count, example} of those that were seen."""
    found = {**_seen(events), **_borne(events)}
    return [
        {"quirk": name, "about": about, "count": found[name][0], "example": found[name][1]}
        for name, about in _ABOUT.items()
        if name in found
    ]


def _seen(events: pd.DataFrame) -> dict[str, tuple[int, str]]:
    """Those that the rows show: how many rows, and the first of them in words."""
    done = of_type(events, "response.done")
    said = parsed(done, "usage", "status")
    usage = said["usage"].map(lambda used: isinstance(used, dict)).astype(bool)
    # A reply that was cut off is over early: what comes after it need not be late.
    whole = done[(said["status"] == "completed").to_numpy(bool)]
    completed = of_type(events, _COMPLETED)
    speech, stopped = of_type(events, _STARTED, _STOPPED), of_type(events, _STOPPED)
    errors = of_type(events, "error")
    created = of_type(events, "response.created")
    again = stopped["item_id"].notna() & stopped.duplicated(["session", "item_id"])
    odd = _odd_calls(events)
    rows = {
        "transcription_duplicate": completed[completed.duplicated(["session", "item_id"])],
        "transcription_late": _late(events, completed, whole),
        "missing_ms": speech[speech["audio_ms"].isna()],
        "missing_usage": done[~usage],
        "beta_names": of_type(events, *_BETA),
        "turn_suggestion": of_type(events, "input_audio_buffer.turn_suggestion"),
        "flat_error": errors[(parsed(errors, "flat")["flat"] == True).to_numpy(bool)],  # noqa: E712
        **_greetings(events),
        "no_response_created": _uncreated(events, created),
        "repeated_response_created": created[created.duplicated(["session", "response_id"])],
        "repeated_speech_stopped": stopped[again],
        "stray_speech_started": _strays(events, whole),
        "unknown_types": _unknown(events),
        "redirects": of_type(events, "bench.redirected", direction="note"),
        "nameless_calls": odd["nameless"],
        "idless_calls": odd["idless"],
    }
    return {name: (len(seen), _example(seen)) for name, seen in rows.items() if len(seen)}


def _example(rows: pd.DataFrame) -> str:
    """The first of the rows: its session, type and ids."""
    first = rows.iloc[0]
    ids = (first[name] for name in ("response_id", "item_id") if name in rows)
    words = [str(first["type"]), *(str(one) for one in ids if isinstance(one, str))]
    return f"session {first['session']}: {' '.join(words)}"


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


def _late(events: pd.DataFrame, completed: pd.DataFrame, done: pd.DataFrame) -> pd.DataFrame:
    """Items that were first transcribed after a response that began with them had ended.

    `done` are the ends of responses that were completed.
    """
    key = ["session", "item_id"]
    commits = of_type(events, _COMMITTED).drop_duplicates(key)
    first = completed.drop_duplicates(key).dropna(subset="item_id")
    first = first.merge(commits[[*key, "row"]], on=key, suffixes=("", "_committed"))
    began = _before(first, of_type(events, "response.created"))
    ended = _before(first, done)
    return first[(began > first["row_committed"].to_numpy()) & (ended > began)]


def _before(rows: pd.DataFrame, others: pd.DataFrame) -> Ints:
    """The row of the last of the others before each, in its session; -1 where there is none."""
    of_session, of_row = (others[name].to_numpy() for name in ("session", "row"))
    last = latest(rows["session"].to_numpy(), rows["row"].to_numpy(), of_session, of_row)
    return np.append(of_row, -1)[last]


def _greetings(events: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of sessions that began to talk in another way than by session.updated."""
    opened = of_type(events, "bench.microphone", direction="note").drop_duplicates("session")
    answer = parsed(opened, "answer")["answer"]
    never = ~opened["session"].isin(of_type(events, "session.updated")["session"])
    greeted = of_type(events, "session.created").drop_duplicates("session")
    asked = of_type(events, "session.update", direction="out").drop_duplicates("session")
    asked_row = greeted["session"].map(asked.set_index("session")["row"])
    late = (greeted["row"] > asked_row).fillna(value=False)
    return {
        "no_session_updated": opened[((answer == "nothing") & never).to_numpy(bool)],
        "updated_as_created": opened[((answer == "session.created") & never).to_numpy(bool)],
        "late_session_created": greeted[late.to_numpy(bool)],
    }


def _uncreated(events: pd.DataFrame, created: pd.DataFrame) -> pd.DataFrame:
    """The first rows of responses that were never said to be created."""
    responses = _begun(events)
    known = pd.MultiIndex.from_frame(created[["session", "response_id"]].astype(object))
    named = pd.MultiIndex.from_frame(responses[["session", "response_id"]].astype(object))
    return events.loc[responses.loc[~named.isin(known), "row"].to_numpy()]


def _strays(events: pd.DataFrame, done: pd.DataFrame) -> pd.DataFrame:
    """Starts that nothing followed, though a response was completed after them.

    `done` are the ends of responses that were completed: a start that the end of its session cut
    off is no stray.
    """
    starts = of_type(events, _STARTED)
    lone = _unended(starts, *(of_type(events, kind) for kind in (_STOPPED, _COMMITTED, _COMPLETED)))
    last_done = starts["session"].map(done.groupby("session")["row"].max())
    return starts[lone & (last_done > starts["row"]).fillna(value=False).to_numpy(bool)]


def _unknown(events: pd.DataFrame) -> pd.DataFrame:
    kinds = events["type"].cat.categories
    strange = [k for k in kinds if k not in _KNOWN and not k.startswith(("(", "errorType:"))]
    return events[_received(events, strange)]


def _received(events: pd.DataFrame, kinds: list[str]) -> Flags:
    return is_type(events, *kinds) if kinds else np.zeros(len(events), bool)


def _odd_calls(events: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """A row for every call without a name, and for every one without an id."""
    notes = of_type(events, "bench.odd_calls", direction="note")
    said = parsed(notes, "nameless", "idless").fillna(0).astype("int64")
    kinds = ("nameless", "idless")
    return {kind: notes.loc[notes.index.repeat(said[kind])] for kind in kinds}


def _begun(events: pd.DataFrame) -> pd.DataFrame:
    """One row per response, in the order in which they began; the index is its number.

    `row` and `begin_ns` are of the first message that names it; `response_id` its id.
    """
    named = events["response_id"].notna().to_numpy() & (events["direction"] == "in").to_numpy()
    rows = events.loc[named, ["session", "row", "at_ns", "response_id"]]
    rows = rows.drop_duplicates(["session", "response_id"]).reset_index(drop=True)
    return rows.rename(columns={"at_ns": "begin_ns"})


def _unended(starts: pd.DataFrame, *ends: pd.DataFrame) -> Flags:
    """Which starts name an item that is in none of `ends`; none in sessions that have no ends.

    All have `session` and `item_id`.
    """
    key = ["session", "item_id"]
    told = pd.concat([table[key].astype(object) for table in ends])
    named = (starts["item_id"].notna() & starts["session"].isin(told["session"])).to_numpy(bool)
    followed = pd.MultiIndex.from_frame(starts[key].astype(object)).isin(
        pd.MultiIndex.from_frame(told)
    )
    return np.asarray(named & ~followed, bool)
