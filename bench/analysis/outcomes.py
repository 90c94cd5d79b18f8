"""What became of every attempt: one outcome each, in one table, first match wins.

=========  =====================================================================================
rejected   the session never came to talk (refused, unreachable, silent, malformed …)
dropped    the connection ended, broke or went mad in mid-turn, or before a planned turn
error      the response failed or is incomplete, nothing audible was in it, or an error message
           came instead of audio
cut        the run ended the session in mid-turn: its own doing, in no denominator
ok         an audible answer before the caller gave up
late       an audible answer after that
missed     the server's VAD heard nothing, and nothing answered
timeout    heard, and not answered
=========  =====================================================================================

A turn is *open* where nothing says that it was over: neither heard out nor given up, nothing said
after it, and the session did not end in order.
"""

from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.sessions import IN_ORDER
from bench.analysis.speech import owner
from bench.analysis.tables import Ints, integers, nullable, of_type, parsed, texts

OUTCOMES: Final = ("ok", "late", "missed", "cut", "timeout", "rejected", "error", "dropped")
FAILED: Final = tuple(outcome for outcome in OUTCOMES if outcome not in {"ok", "cut"})

BENIGN: Final = ("response_cancel_not_active",)
"""Error codes that are a race and no failure: the reply ended before the cancel arrived."""
_UNFINISHED: Final = ("failed", "incomplete")


class Case(NamedTuple):
    """One line of the table: which turns it takes, and why."""

    outcome: str
    holds: NDArray[np.bool_]
    reason: pd.Series | str


def patience(events: pd.DataFrame, turns: pd.DataFrame) -> pd.DataFrame:
    """By turn: `gave_up_ns` (NA: never) and whether the answer was `heard_out`.

    The first of the two notes of a turn counts: a later one is about a sound that followed it.
    """
    notes = of_type(events, "bench.gave_up", "bench.heard_out", direction="note")
    said = parsed(notes, "turn")["turn"].fillna(-1).astype("int64").to_numpy()
    place = pd.MultiIndex.from_frame(turns[["session", "turn"]])
    turn = place.get_indexer(pd.MultiIndex.from_arrays([notes["session"].to_numpy(), said]))
    first = notes.assign(turn=turn)[turn >= 0].drop_duplicates("turn").set_index("turn")
    gave_up = (first["type"] == "bench.gave_up").reindex(turns.index, fill_value=False)
    at = integers(first["at_ns"].astype("Int64").reindex(turns.index), 0)
    known = turns.index.isin(first.index)
    return pd.DataFrame(
        {
            "gave_up_ns": nullable(at, gave_up.to_numpy(bool)),
            "heard_out": known & ~gave_up.to_numpy(bool),
        },
        index=turns.index,
    )


def error_texts(events: pd.DataFrame, turns: pd.DataFrame) -> pd.Series:
    """By turn: the first error message in it as `code: message`; empty where none."""
    rows = of_type(events, "error")
    said = parsed(rows, "code", "message")
    said = said.assign(turn=owner(turns, rows["session"].to_numpy(), rows["at_ns"].to_numpy()))
    said = said[(said["turn"] >= 0) & ~said["code"].isin(BENIGN)].drop_duplicates("turn")
    said = said.set_index("turn")
    words = texts(said["code"]).map(str) + ": " + texts(said["message"]).map(str)
    return words.reindex(turns.index, fill_value="")


def judge_turns(turns: pd.DataFrame, session: pd.DataFrame) -> pd.DataFrame:
    """By turn: `outcome`, `reason`. `session` is the row of the sessions table, by turn."""
    ended_well = session["outcome"].isin(["finished"]).to_numpy()
    in_order = session["outcome"].isin(IN_ORDER).to_numpy()
    over = turns["last_said"].to_numpy() == np.False_
    is_open = ~(over | turns["heard_out"] | turns["gave_up_ns"].notna() | ended_well).to_numpy()
    heard, gave_up = turns["heard_ns"], turns["gave_up_ns"]
    audible = heard.notna().to_numpy()
    audio = turns["first_audio_ns"].notna().to_numpy()
    # NA: never gave up, never ended.
    in_time = audible & (heard <= gave_up).fillna(value=True).to_numpy(bool)
    lived = audible & (heard <= session["ended_ns"]).fillna(value=True).to_numpy(bool)
    whole = lived & (turns["status"] == "completed").to_numpy()
    broken = turns["status"].isin(_UNFINISHED).to_numpy()
    complained = (turns["error"] != "").to_numpy()
    responded = turns["response_id"].notna().to_numpy()
    deaf = turns["speech_started_ns"].isna().to_numpy()
    waited = gave_up.notna().to_numpy()
    late_ms = (heard - gave_up).astype(float) / 1e6
    late = [f"answered {late:.0f} ms after the caller gave up" for late in late_ms]

    status = texts(turns["status"])
    why = texts(turns["status_reason"])
    response = "response " + status + why.where(why == "", ": " + why)
    cases = (
        Case("dropped", is_open & ~in_order, "session " + _session_words(session)),
        Case("error", broken, response),
        Case("error", complained & ~audio, turns["error"]),
        Case("cut", is_open & ~whole, "the run ended first"),
        Case("ok", in_time, ""),
        Case("late", audible, pd.Series(late, turns.index, object)),
        Case("missed", deaf & ~responded, "no speech_started and no answer"),
        Case("timeout", waited & audio, "audio came, and none of it was heard"),
        Case("timeout", waited, "no audio before the caller gave up"),
        Case("error", responded & audio, "audio came, and none of it was heard"),
        Case("error", responded & (status != "").to_numpy(), response + ", without audio"),
        Case("timeout", np.ones(len(turns), bool), "no audio before what was said next"),
    )
    return _first_match(cases, turns.index)


def _first_match(cases: tuple[Case, ...], index: pd.Index) -> pd.DataFrame:
    outcome = np.full(len(index), "", object)
    reason = np.full(len(index), "", object)
    for case in cases:
        takes = case.holds & (outcome == "")
        outcome[takes] = case.outcome
        said = case.reason
        reason[takes] = said if isinstance(said, str) else said.to_numpy(object)[takes]
    return pd.DataFrame({"outcome": outcome, "reason": reason}, index=index).astype("str")


def _session_words(session: pd.DataFrame) -> pd.Series:
    reason = texts(session["reason"])
    return texts(session["outcome"]) + reason.where(reason == "", ": " + reason)


def never_reached(sessions: pd.DataFrame, turns: pd.DataFrame) -> pd.DataFrame:
    """A row for every planned turn that a failed session never came to.

    Of a session that never opened its microphone all are `rejected`, as of its start; of one that
    was lost later, those after the last attempted are `dropped`, as of its end (`as_of_ns`).
    """
    failed = sessions[~sessions["outcome"].isin(IN_ORDER)]
    attempted = turns.groupby("session")["turn"].max().reindex(failed.index, fill_value=0)
    missing = np.maximum(integers(failed["planned_turns"], 0) - attempted.to_numpy(np.int64), 0)
    rows = failed.loc[failed.index.repeat(missing)]
    first = np.repeat(np.cumsum(missing) - missing, missing)
    turn = np.arange(len(rows)) - first + 1 + attempted.reindex(rows.index).to_numpy(np.int64)
    opened = rows["opened_ns"].notna().to_numpy()
    as_of: Ints = np.where(opened, integers(rows["ended_ns"], 0), integers(rows["started_ns"], 0))
    words = _session_words(rows).to_numpy(object)
    return pd.DataFrame(
        {
            "session": rows.index.to_numpy(),
            "worker": rows["worker"].to_numpy(),
            "turn": turn.astype(np.int64),
            "role": "line",
            "outcome": np.where(opened, "dropped", "rejected"),
            "reason": "session " + words,
            "as_of_ns": as_of,
        }
    )
