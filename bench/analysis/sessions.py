"""One row per session: its instants, its outcome, what it was to do.

Theory of operation
-------------------
A session is its notes (`bench.runs.rows`) and two messages. A session without `bench.end` is
`lost`: its worker died, and what it was doing is the run's own doing. A session counts as
*measured* where its life overlaps the measured phase: a closed load connects during the warm-up,
and those connects are as real as later ones.
"""

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.tables import (
    ALWAYS,
    NEVER,
    Flags,
    integers,
    milliseconds,
    of_type,
    parsed,
    texts,
)

IN_ORDER: Final = ("finished", "drained", "lost")
"""Outcomes after which turns not yet attempted are no attempts: the run itself ended there."""
WHOLE: Final = ("finished", "drained")
"""Outcomes of sessions whose end was seen: what is missing in them did not come."""
IMPATIENT: Final = ("timeout", "silent")
"""Outcomes of sessions that gave up before they were ready: their wait came to no end."""
ALLOWANCE_NS: Final = 1_000_000_000
"""How long any session may take to become ready without being called slow."""

_NOTES: Final = {
    "started_ns": "bench.start",
    "connected_ns": "bench.connected",
    "secured_ns": "bench.secured",
    "upgraded_ns": "bench.upgraded",
    "opened_ns": "bench.microphone",
    "ended_ns": "bench.end",
}
_MESSAGES: Final = {
    "created_ns": ("session.created", "in"),
    "ready_ns": ("session.updated", "in"),
    "update_sent_ns": ("session.update", "out"),
}
_STAGES: Final = {
    "connected": "a TCP connection",
    "secured": "the TLS handshake",
    "upgraded": "the WebSocket upgrade",
    "created": "session.created",
    "opened": "session.updated",
}
_ORDER: Final = [
    "worker", "slot", "script", "setting", "marker", "address", "outcome", "reason", "close_code",
    "scheduled_ns", "started_ns", "connected_ns", "secured_ns", "upgraded_ns", "created_ns",
    "update_sent_ns", "ready_ns", "opened_ns", "ended_ns", "planned_turns", "input_format",
    "output_format", "prefix_padding_ns", "jitter_ns", "reads", "stamped", "measured", "awaited",
    "in_vain", "assumed",
]  # fmt: skip


def sessions_table(events: pd.DataFrame, plan: dict[str, Any]) -> pd.DataFrame:
    """Sessions by number (the index, named `session`); instants are `Int64` ns."""
    index = pd.Index(np.unique(events["session"].to_numpy()), name="session")
    table = pd.DataFrame(index=index)
    notes = events[events["direction"] == "note"]
    for column, kind in _NOTES.items():
        table[column] = _first(notes, kind, "note")["at_ns"].astype("Int64")
    for column, (kind, direction) in _MESSAGES.items():
        table[column] = _first(events, kind, direction)["at_ns"].astype("Int64")
    bare = table["secured_ns"].isna() & table["upgraded_ns"].notna()
    table.loc[bare, "secured_ns"] = table.loc[bare, "connected_ns"]

    starts = _first(notes, "bench.start", "note")
    table["scheduled_ns"] = starts["due_ns"].astype("Int64")
    start = parsed(starts, "worker", "slot", "script", "turns", "setting", "marker", "address")
    table["worker"] = start["worker"].astype("Int64")
    table["slot"] = start["slot"].astype("Int64")
    for column in ("script", "setting", "marker", "address"):
        table[column] = texts(start[column].reindex(index))
    table["planned_turns"] = start["turns"].astype("Int64")

    end = parsed(
        _first(notes, "bench.end", "note"), "outcome", "reason", "close_code", "reads", "stamped"
    )
    for column in ("reads", "stamped"):
        table[column] = end[column].astype("Int64")  # NA: a run that did not count them
    table["outcome"] = end["outcome"]
    table["outcome"] = table["outcome"].fillna("lost").astype("str")
    table["reason"] = texts(end["reason"])
    table["reason"] = texts(table["reason"]).astype("str")
    table["close_code"] = end["close_code"].astype("Int64")

    microphone = parsed(
        _first(notes, "bench.microphone", "note"),
        "input", "output", "jitter_buffer_ms", "prefix_padding_ms", "assumed",
    )  # fmt: skip
    table["input_format"] = microphone["input"].map(_format).astype("str")
    table["output_format"] = microphone["output"].map(_format).astype("str")
    table["assumed"] = microphone["assumed"].map(_joined).astype("str")
    jitter = microphone["jitter_buffer_ms"].fillna(0).astype(float).mul(1e6).round()
    table["jitter_ns"] = jitter.astype("Int64").fillna(0)
    padding = [milliseconds(said) for said in microphone["prefix_padding_ms"]]
    table["prefix_padding_ns"] = pd.Series(padding, microphone.index, "Int64")  # NA: not said

    begin, stop = span(plan)
    ended = integers(table["ended_ns"], NEVER)
    started = integers(table["started_ns"], ALWAYS)
    table["measured"] = (started < stop) & (ended >= begin)
    table["awaited"], table["in_vain"] = _waits_in_vain(table)
    return table[_ORDER]


def _waits_in_vain(sessions: pd.DataFrame) -> tuple[NDArray[np.object_], Flags]:
    """By session: what it never got ("" where it was ready), and whether it waited in vain.

    It did where it gave up, or where the run ended a wait that was longer than that of any session
    that was let in: whoever had just dialled is no failure.
    """
    ready = sessions["opened_ns"].notna().to_numpy()
    awaited = np.full(len(sessions), "", object)
    for stage, words in reversed(_STAGES.items()):
        awaited[sessions[f"{stage}_ns"].isna().to_numpy() & ~ready] = words
    begin = integers(sessions["started_ns"], NEVER)
    until = integers(sessions["opened_ns"].fillna(sessions["ended_ns"]), ALWAYS)
    wait = np.where((begin == NEVER) | (until == ALWAYS), 0, until - begin)
    longest = max(ALLOWANCE_NS, int(wait[ready].max(initial=0)))
    gave_up, ended = (sessions["outcome"].isin(few).to_numpy() for few in (IMPATIENT, IN_ORDER))
    return awaited, ~ready & (gave_up | (ended & (wait > longest)))


def session_words(session: pd.DataFrame) -> pd.Series:
    """What became of each session; of one that the run ended while it waited, for what it did."""
    reason, outcome = texts(session["reason"]), texts(session["outcome"])
    told = outcome + reason.where(reason == "", ": " + reason)
    waiting = session["in_vain"].to_numpy(bool) & session["outcome"].isin(IN_ORDER).to_numpy()
    return told.mask(waiting, "waited in vain for " + texts(session["awaited"]))


def span(plan: dict[str, Any]) -> tuple[int, int]:
    """The measured phase [from, to) of a plan; open where the plan does not say."""
    begin, stop = plan.get("measured_from_ns"), plan.get("measured_to_ns")
    return ALWAYS if begin is None else int(begin), NEVER if stop is None else int(stop)


def _first(events: pd.DataFrame, kind: str, direction: str) -> pd.DataFrame:
    """The first row of a type in each session, by session."""
    rows = of_type(events, kind, direction=direction)
    return rows.drop_duplicates("session").set_index("session")


def _joined(value: Any) -> str:
    """A list of words as one text."""
    return " and ".join(map(str, value)) if isinstance(value, list) else ""


def _format(value: Any) -> str:
    return f"{value['type']} {value['rate']}" if isinstance(value, dict) else ""
