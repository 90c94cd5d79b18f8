"""One row per session: its instants, its outcome, what it was to do.

Theory of operation
-------------------
A session is its notes (`bench.runs.rows`) and two messages. A session without `bench.end` is
`lost`: its worker died, and what it was doing is the run's own doing. A session counts as
*measured* where its life overlaps the measured phase: a closed load connects during the warm-up,
and those connects are as real as later ones.

A session is *ready* once its microphone is open; before that it holds no call. Each may take
`ALLOWANCE_NS` to become ready: with short calls and a slow handshake some are always on their way,
and the load that was asked for is held all the same.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.tables import Flags, Ints, integers, is_type, optional, texts
from bench.tracker.event import ALWAYS, NEVER, body_of, milliseconds

IN_ORDER: Final = ("finished", "drained", "lost")
"""Outcomes after which turns not yet attempted are no attempts: the run itself ended there."""
WHOLE: Final = ("finished", "drained")
"""Outcomes of sessions whose end was seen: what is missing in them did not come."""
IMPATIENT: Final = ("timeout", "silent")
"""Outcomes of sessions that gave up before they were ready: their wait came to no end."""
ALLOWANCE_NS: Final = 1_000_000_000
"""How long any session may take to become ready without being called slow."""

_INSTANTS: Final = {
    "started_ns": ("bench.start", "note"),
    "connected_ns": ("bench.connected", "note"),
    "secured_ns": ("bench.secured", "note"),
    "upgraded_ns": ("bench.upgraded", "note"),
    "opened_ns": ("bench.microphone", "note"),
    "ended_ns": ("bench.end", "note"),
    "created_ns": ("session.created", "in"),
    "ready_ns": ("session.updated", "in"),
    "update_sent_ns": ("session.update", "out"),
}
"""Instants of a session: the first row of a type, in one direction."""
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


TOLD_BY: Final = frozenset(kind for kind, _ in _INSTANTS.values())
"""The types of the rows that say everything about sessions."""


def sessions_table(
    events: pd.DataFrame, plan: dict[str, Any], numbers: Ints | None = None
) -> pd.DataFrame:
    """Sessions by number (the index, named `session`); instants are `Int64` ns.

    `events` has the rows of `TOLD_BY` at least; `numbers` are all sessions, else those of `events`.
    """
    known = np.unique(events["session"].to_numpy()) if numbers is None else numbers
    index = pd.Index(known, name="session")
    first = _Firsts(events, index)
    told: dict[str, Any] = {column: first.at_ns(*kind) for column, kind in _INSTANTS.items()}
    told["secured_ns"] = [
        connected if secured is None and upgraded is not None else secured
        for connected, secured, upgraded in zip(
            told["connected_ns"], told["secured_ns"], told["upgraded_ns"], strict=True
        )
    ]
    told["scheduled_ns"] = first.due_ns("bench.start", "note")
    start = first.bodies("bench.start", "note")
    end = first.bodies("bench.end", "note")
    microphone = first.bodies("bench.microphone", "note")
    told |= {column: _said(start, column) for column in ("worker", "slot")}
    told["planned_turns"] = _said(start, "turns")
    # None: a run that did not count them.
    told |= {column: _said(end, column) for column in ("reads", "stamped", "close_code")}
    told["prefix_padding_ns"] = [milliseconds(one.get("prefix_padding_ms")) for one in microphone]
    told["jitter_ns"] = [
        round((one.get("jitter_buffer_ms") or 0) * 1e6) if one else None for one in microphone
    ]
    table = pd.DataFrame({name: pd.array(values, "Int64") for name, values in told.items()}, index)
    for column in ("script", "setting", "marker", "address"):
        table[column] = np.array([one or "" for one in _said(start, column)], object)
    words = {
        "outcome": [one or "lost" for one in _said(end, "outcome")],
        "reason": [one or "" for one in _said(end, "reason")],
        "input_format": [_format(one["input"]) if one else np.nan for one in microphone],
        "output_format": [_format(one["output"]) if one else np.nan for one in microphone],
        "assumed": [_joined(one.get("assumed")) if one else np.nan for one in microphone],
    }
    for column, values in words.items():
        table[column] = pd.Series(values, index, "str")
    begin, stop = span(plan)
    ended = integers(table["ended_ns"], NEVER)
    started = integers(table["started_ns"], ALWAYS)
    table["measured"] = (started < stop) & (ended >= begin)
    table["awaited"], table["in_vain"] = _waits_in_vain(table)
    return table[_ORDER]


class _Firsts:
    """The first row of some types in each session of `index`."""

    def __init__(self, events: pd.DataFrame, index: pd.Index) -> None:
        told = [is_type(events, kind, direction=way) for kind, way in _INSTANTS.values()]
        taken = events.take(np.flatnonzero(np.logical_or.reduce(told)))
        self._index = index.tolist()
        self._rows: dict[tuple[int, str, str], tuple[int, Any, Any]] = {}
        for session, kind, way, at_ns, due_ns, detail in zip(
            taken["session"].tolist(), taken["type"].tolist(), taken["direction"].tolist(),
            taken["at_ns"].tolist(), optional(taken["due_ns"]), texts(taken["detail"]).tolist(),
            strict=True,
        ):  # fmt: skip
            self._rows.setdefault((session, kind, way), (at_ns, due_ns, detail))

    def _of(self, kind: str, way: str) -> list[tuple[int, Any, Any] | None]:
        return [self._rows.get((session, kind, way)) for session in self._index]

    def at_ns(self, kind: str, way: str) -> list[int | None]:
        return [row[0] if row else None for row in self._of(kind, way)]

    def due_ns(self, kind: str, way: str) -> list[int | None]:
        return [row[1] if row else None for row in self._of(kind, way)]

    def bodies(self, kind: str, way: str) -> list[dict[str, Any]]:
        """What they say; nothing where there is none."""
        return [body_of(row[2] if row else "") for row in self._of(kind, way)]


def _said(bodies: list[dict[str, Any]], key: str) -> list[Any]:
    return [body.get(key) for body in bodies]


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


def workers_of(sessions: pd.DataFrame, session: Ints) -> Ints:
    """The worker of each of these session numbers; -1: none is known.

    `sessions` is the table with `session` as a column, in order.
    """
    number = sessions["session"].to_numpy(np.int64)
    whose = np.append(integers(sessions["worker"], -1), -1)
    found: Ints = whose[np.searchsorted(number, session)]
    return found


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


def _joined(value: Any) -> str:
    """A list of words as one text."""
    return " and ".join(map(str, value)) if isinstance(value, list) else ""


def _format(value: Any) -> str:
    return f"{value['type']} {value['rate']}" if isinstance(value, dict) else ""


class Connecting(NamedTuple):
    """Sessions not ready yet, on average over the measured phase.

    `allowed` are those within the time that any may take, `waiting` those beyond it.
    """

    allowed: float
    waiting: float


def connecting(sessions: pd.DataFrame, plan: dict[str, Any]) -> Connecting:
    """How many sessions were on their way to be ready.

    No wait that came to nothing is allowed.
    """
    begin, stop = span(plan)
    if NEVER in {begin, stop} or ALWAYS in {begin, stop} or stop <= begin:
        return Connecting(0.0, 0.0)
    started = integers(sessions["started_ns"], stop)
    opened = integers(sessions["opened_ns"], NEVER)
    until = np.minimum(opened, integers(sessions["ended_ns"], NEVER))
    soon = np.where(opened == NEVER, started, np.minimum(until, started + ALLOWANCE_NS))
    allowed, whole = _overlap(started, soon, begin, stop), stop - begin
    return Connecting(allowed / whole, _overlap(soon, until, begin, stop) / whole)


def _overlap(since: Ints, until: Ints, begin: int, stop: int) -> float:
    """How long of [begin, stop) the spans hold, added up; ns."""
    return float(np.maximum(np.minimum(until, stop) - np.maximum(since, begin), 0).sum())
