"""The truth log laid beside the events: what each stamp was off by, what was lost, what is extra.

Theory of operation
-------------------
The server notes of every event the instants before and after it handed it to the kernel. Harness
and server share a host and its monotonic clock, so an event's error is its stamp minus *before*: it
contains the server's system call and the loopback device, and can only make the harness look worse.
The harness claims that the event came within [at_ns - at_err_ns, at_ns]. It truly came between
*before* and *after*, or just after that, where the kernel finishes what the call began: the claim
covers the truth where the two spans have an instant in common.

Events are joined by id, the n-th of an id to the n-th, so what came twice is found too.

*Lost* is what the server sent and the log does not have, where the harness must have had it. TCP
keeps order: what is missing before something that came was lost, whatever the session's end was. At
the end of a session it depends on how it ended. After a closing handshake everything has come that
was sent before it was over. A session that was cut without one leaves unread what was on its way,
and what was sent in its last `IN_FLIGHT_NS` is nobody's loss. Nor is the rest of a session that did
not live to its end: a worker that died, a connection that broke.

*Figures by the truth*: the same analysis goes over the events as they were recorded and over a copy
in which every received event stands at the instant at which the server sent it. A caller's player
is emptied when speech_started arrives, so that moves along (`bench.flush`). What the caller itself
did stays where it was: it is no measurement. The two tables have the same turns; the difference of
a figure, turn by turn, is what the harness added to it: *bias* is its median, *resolution* the 99th
percentile of its absolute value.
"""

from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd
from msgspec import Struct

from bench.analysis.measure import measure_turns
from bench.analysis.sessions import sessions_table
from bench.analysis.tables import Flags, integers, is_type
from bench.analysis.told import tell
from bench.errors import RunFolderError
from bench.plan.metrics import METRICS
from bench.tracker.event import ALWAYS

IN_FLIGHT_NS: Final = 100_000_000
"""How long before a session is cut a message may have been sent and not been read yet: five times
what the loop of a fit generator may be late (`[health]` hub_lag, 20 ms)."""
LOOPBACK_NS: Final = 50_000
"""How long after the server's call has returned the kernel may stamp the segment: it delivers on
loopback within the call, or defers it to a softirq (seen: 10 to 20 µs)."""
CALIBRATED: Final = tuple(one.name for one in METRICS.values() if "calibrated" in one.uses)
_LIVED: Final = ("finished", "drained", "closed")
"""Outcomes of sessions whose ends were seen."""


class _Line(Struct, gc=False):
    """A line of the truth log, as far as it is looked at; other lines have no event_id."""

    session_id: str = ""
    event_id: str = ""
    before_ns: int = 0
    after_ns: int = 0


def read_truth(path: Path) -> pd.DataFrame:
    """Every event with an id, in the order of sending: session_id, event_id, before_ns, after_ns.

    RunFolderError where the file cannot be read.
    """
    decode = msgspec.json.Decoder(_Line).decode
    try:
        with path.open("rb") as file:
            lines = [line for line in map(decode, file) if line.event_id]
    except (OSError, msgspec.DecodeError) as error:
        raise RunFolderError(
            f"{path.parent.name}/{path.name}: no truth log can be read ({error}); calibrate "
            "against the embedded reference server"
        ) from None
    return pd.DataFrame(
        {
            "session_id": pd.Series([line.session_id for line in lines], dtype="string"),
            "event_id": pd.Series([line.event_id for line in lines], dtype="string"),
            "before_ns": np.array([line.before_ns for line in lines], np.int64),
            "after_ns": np.array([line.after_ns for line in lines], np.int64),
        }
    )


def join_truth(events: pd.DataFrame, truth: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables, each knowing of the other.

    `events` (of `tables.read_events`, with `event_id`) gains `before_ns` and `after_ns`, NA where
    the truth says nothing; `truth` gains `row`, the event's row, NA where it is not in the log.
    """
    named = (events["direction"] == "in").to_numpy(bool) & events["event_id"].notna().to_numpy()
    mine = pd.DataFrame(
        {"event_id": events["event_id"][named], "row": events["row"][named].astype("Int64")}
    )
    mine["nth"] = mine.groupby("event_id", sort=False).cumcount()
    theirs = truth.assign(nth=truth.groupby("event_id", sort=False).cumcount())
    theirs = theirs.merge(mine, on=["event_id", "nth"], how="left").drop(columns="nth")
    found = theirs["row"].notna().to_numpy()
    row = integers(theirs["row"], -1)[found]
    told = {}
    for name in ("before_ns", "after_ns"):
        stamps = np.full(len(events), ALWAYS, np.int64)
        stamps[row] = theirs[name].to_numpy()[found]
        told[name] = pd.arrays.IntegerArray(stamps, stamps == ALWAYS)
    return events.assign(**told), theirs


def stamp_errors(events: pd.DataFrame) -> dict[str, Any]:
    """How far stamps are off, over all events whose truth is known.

    `events` is that of `join_truth`. p1, p50, p99 of the error in ms, p99 and maximum of its
    absolute value, the share in % whose own interval covers the truth, and how wide those intervals
    are. None where there is no event.
    """
    known = events[events["before_ns"].notna()]
    at, width = known["at_ns"].to_numpy(np.int64), known["at_err_ns"].to_numpy(np.int64)
    before, after = integers(known["before_ns"], 0), integers(known["after_ns"], 0)
    names = ("covered", "p1_ms", "p50_ms", "p99_ms", "p99_abs_ms", "max_ms", "width_p99_ms")
    if not len(known):
        return {"n": 0, **dict.fromkeys(names)}
    error = (at - before) / 1e6
    low, middle, high = np.quantile(error, (0.01, 0.5, 0.99))
    covered = (at >= before) & (at - width <= after + LOOPBACK_NS)
    values = (
        100 * covered.mean(), low, middle, high, np.quantile(np.abs(error), 0.99),
        np.abs(error).max(), np.quantile(width, 0.99) / 1e6,
    )  # fmt: skip
    return {"n": len(known), **dict(zip(names, map(float, values), strict=True))}


def extra_events(events: pd.DataFrame) -> int:
    """Events of the log that the server never sent, or not so often; `events` of `join_truth`."""
    named = (events["direction"] == "in").to_numpy(bool) & events["event_id"].notna().to_numpy()
    return int((named & events["before_ns"].isna().to_numpy()).sum())


def lost_events(events: pd.DataFrame, truth: pd.DataFrame, sessions: pd.DataFrame) -> int:
    """Events that the server sent and the harness does not have, though it must (see above).

    `events` and `truth` of `join_truth`, `sessions` of `sessions_table`.
    """
    missing = truth["row"].isna().to_numpy()
    if not missing.any():
        return 0
    row = integers(truth["row"], -1)
    place = np.arange(len(truth))
    came = pd.DataFrame(
        {
            "session_id": truth["session_id"][~missing],
            "last": place[~missing],
            "session": events["session"].to_numpy()[row[~missing]],
        }
    ).groupby("session_id")
    whose = truth["session_id"]
    last = integers(whose.map(came["last"].max()).astype("Int64"), -1)
    session = whose.map(came["session"].first()).astype("Int64")
    return int((missing & ((place < last) | _owed(truth, session, sessions, events))).sum())


def _owed(
    truth: pd.DataFrame, session: pd.Series, sessions: pd.DataFrame, events: pd.DataFrame
) -> Flags:
    """Which events were sent early enough to have come before their session was over.

    Of a session of which nothing came at all: before the whole run was.
    """
    over = events["at_ns"].max() if len(events) else ALWAYS
    unseen = session.isna().to_numpy()
    lived = session.map(sessions["outcome"].isin(_LIVED)).astype("boolean").fillna(value=False)
    ended = np.where(unseen, over, integers(session.map(sessions["ended_ns"]).astype("Int64"), 0))
    shaken = session.map(sessions["close_code"].notna()).astype("boolean").fillna(value=False)
    margin = np.where(shaken.to_numpy(bool), 0, IN_FLIGHT_NS)
    early = truth["before_ns"].to_numpy() < ended - margin
    return np.asarray(early & (unseen | lived.to_numpy(bool)), bool)


# ── figures by the truth ─────────────────────────────────────────────────────────────────────────


def at_the_truth(events: pd.DataFrame) -> pd.DataFrame:
    """A copy of the events of `join_truth` with the truth's stamps, ordered by them, no error."""
    known = events["before_ns"].notna().to_numpy()
    at = events["at_ns"].to_numpy(np.int64).copy()
    error = events["at_err_ns"].to_numpy(np.int64).copy()
    truth = integers(events["before_ns"], 0)
    moved = at.copy()
    moved[known], error[known] = truth[known], 0
    noticed = known & is_type(events, "input_audio_buffer.speech_started")
    causes = pd.DataFrame(
        {"session": events["session"][noticed], "at_ns": at[noticed], "truth": truth[noticed]}
    ).drop_duplicates(["session", "at_ns"])
    emptied = is_type(events, "bench.flush", direction="note")
    flushes = pd.DataFrame(
        {"session": events["session"][emptied], "at_ns": at[emptied]}
    ).merge(causes, on=["session", "at_ns"], how="left")  # fmt: skip
    since = flushes["truth"].astype("Int64").fillna(flushes["at_ns"].astype("Int64"))
    moved[emptied] = since.to_numpy(np.int64)
    copy = events.assign(at_ns=moved, at_err_ns=error)
    copy = copy.take(np.lexsort((moved, events["session"].to_numpy()))).reset_index(drop=True)
    copy["row"] = np.arange(len(copy), dtype=np.int64)
    return copy


def measured(events: pd.DataFrame, run: dict[str, Any]) -> pd.DataFrame:
    """The measured turns of some events of a run; `run` is its run.json."""
    sessions = sessions_table(events, run["plan"])
    return measure_turns(tell([events], len(events), sessions, run).turns, ())


def figure_errors(told: pd.DataFrame, truth: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By headline metric: n turns, bias_ms, p99_abs_ms; None where there is no turn.

    `told` and `truth` are turns of the same run. `unpaired` turns have the figure in one only.
    """
    both = told.merge(truth, on=["session", "turn"], how="outer", suffixes=("", "_truth"))
    found = {}
    for name in CALIBRATED:
        mine, theirs = (
            both[column].to_numpy(np.float64, na_value=np.nan) for column in (name, f"{name}_truth")
        )
        error = (mine - theirs)[~np.isnan(mine) & ~np.isnan(theirs)]
        unpaired = int((np.isnan(mine) != np.isnan(theirs)).sum())
        if not len(error) and not unpaired and METRICS[name].needs:
            continue
        found[name] = {
            "n": len(error),
            "bias_ms": float(np.median(error)) if len(error) else None,
            "p99_abs_ms": float(np.quantile(np.abs(error), 0.99)) if len(error) else None,
            "unpaired": unpaired,
        }
    return found
