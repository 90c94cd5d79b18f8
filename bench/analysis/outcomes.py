"""What became of every attempt: one outcome each, in one table, first match wins.

=========  =====================================================================================
rejected   the session never came to talk (refused, unreachable, silent, malformed …, or it waited
           in vain until the run ended): its first turn
dropped    the connection ended, broke or went mad in mid-turn, or before the next planned turn
overloaded the response failed, or an error message came instead of an answer, with words that the
           service is full (`bench.protocol.refusals`): its capacity signal
error      the response failed or is incomplete, nothing audible was in it, or an error message
           came instead of an answer
cut        the run ended the session in mid-turn, or the caller stopped the reply before anything
           of it was heard: its own doing, in no denominator
ok         an answer before the caller gave up: audible, or where the session answers in text the
           first of it; where tools were called beside it, and the caller then waited for what
           answers their outputs, that too
late       an answer after that
missed     the server's VAD heard nothing, and nothing answered; where there is none (manual mode,
           text) nothing can be missed
timeout    heard, and not answered
=========  =====================================================================================

A turn is *open* where nothing says that it was over: neither heard out, given up nor stopped,
nothing said after it, and the session did not end in order.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.errors import errors_of, faults
from bench.analysis.sessions import IN_ORDER
from bench.analysis.speech import owner
from bench.analysis.tables import Ints, bodies, integers, nullable, of_type, parsed, texts
from bench.protocol.refusals import is_overload
from bench.voice.agent import UNFINISHED
from bench.voice.conversation import ASIDE

OUTCOMES: Final = (
    "ok", "late", "missed", "cut", "timeout", "rejected", "overloaded", "error", "dropped",
)  # fmt: skip
FAILED: Final = tuple(outcome for outcome in OUTCOMES if outcome not in {"ok", "cut"})


class Case(NamedTuple):
    """One line of the table: which turns it takes, and why."""

    outcome: str
    holds: NDArray[np.bool_]
    reason: pd.Series | str


def patience(events: pd.DataFrame, turns: pd.DataFrame) -> pd.DataFrame:
    """By turn: `gave_up_ns` (NA: never) and whether the answer was `heard_out`.

    The first of the two notes of a turn counts: a later one is about a sound that followed it. But
    to have heard out a response that called tools, whose outputs were then sent, is no end:
    `continued_row` says until where such notes do not count.
    """
    notes = of_type(events, "bench.gave_up", "bench.heard_out", direction="note")
    said = parsed(notes, "turn")["turn"].fillna(-1).astype("int64").to_numpy()
    place = pd.MultiIndex.from_frame(turns[["session", "turn"]])
    turn = place.get_indexer(pd.MultiIndex.from_arrays([notes["session"].to_numpy(), said]))
    until = np.append(integers(turns["continued_row"], -1), -1)[turn]
    final = (notes["type"] == "bench.gave_up").to_numpy(bool) | (notes["row"].to_numpy() > until)
    first = notes.assign(turn=turn)[(turn >= 0) & final].drop_duplicates("turn").set_index("turn")
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


def idless_calls(events: pd.DataFrame, turns: pd.DataFrame) -> pd.Series:
    """By turn: whether tools were called without a call_id, which nobody can answer."""
    notes = of_type(events, "bench.odd_calls", direction="note")
    said = parsed(notes, "turn", "idless").fillna(0).astype("int64")
    mine = said["idless"].to_numpy() > 0
    called = pd.MultiIndex.from_arrays(
        [notes["session"].to_numpy()[mine], said["turn"].to_numpy()[mine]]
    )
    place = pd.MultiIndex.from_frame(turns[["session", "turn"]])
    return pd.Series(place.isin(called), turns.index, dtype=bool)


def error_texts(events: pd.DataFrame, turns: pd.DataFrame) -> pd.Series:
    """By turn: the first error message in it as `code: message`, of either shape; empty: none.

    Errors that are nobody's fault, and refusals of what no answer hangs on (`ASIDE`), are no
    turn's.
    """
    rows, said = errors_of(events)
    said = said.assign(turn=owner(turns, rows["session"].to_numpy(), rows["at_ns"].to_numpy()))
    aside = _ids(of_type(events, *ASIDE, direction="out"), rows)
    place = pd.MultiIndex.from_arrays([rows["session"].to_numpy(), said["event_id"].astype(str)])
    said = said[(said["turn"] >= 0) & faults(said) & ~place.isin(aside)]
    said = said.drop_duplicates("turn").set_index("turn")
    words = texts(said["code"]).map(str) + texts(said["message"]).map(lambda it: it and f": {it}")
    return words.reindex(turns.index, fill_value="")


def _ids(sent: pd.DataFrame, errors: pd.DataFrame) -> list[tuple[int, str]]:
    """(session, event_id) of messages sent in sessions that have errors."""
    sent = sent[np.isin(sent["session"].to_numpy(), errors["session"].unique())]
    return [
        (session, str(body.get("event_id")))
        for session, body in zip(sent["session"], bodies(sent), strict=True)
    ]


def judge_turns(turns: pd.DataFrame, session: pd.DataFrame) -> pd.DataFrame:
    """By turn: `outcome`, `reason`. `session` is the row of the sessions table, by turn."""
    ended_well = session["outcome"].isin(["finished"]).to_numpy()
    in_order = session["outcome"].isin(IN_ORDER).to_numpy()
    stopped = (turns["emptied"] | turns["cancel_sent_ns"].notna()).to_numpy(bool)
    over = turns["last_said"].to_numpy() == np.False_
    given_up = turns["gave_up_ns"].notna()
    is_open = ~(over | turns["heard_out"] | given_up | ended_well).to_numpy() & ~stopped
    textual = turns["textual"]
    came = turns["first_text_ns"].where(textual, turns["heard_ns"])
    some = turns["first_text_ns"].where(textual, turns["first_audio_ns"]).notna().to_numpy()
    gave_up = turns["gave_up_ns"]
    audible = came.notna().to_numpy()
    # NA: never gave up, never ended.
    in_time = audible & (came <= gave_up).fillna(value=True).to_numpy(bool)
    lived = audible & (came <= session["ended_ns"]).fillna(value=True).to_numpy(bool)
    whole = lived & (turns["status"] == "completed").to_numpy()
    broken = turns["status"].isin(UNFINISHED).to_numpy()
    responded = turns["response_id"].notna().to_numpy()
    deaf = (turns["speech_started_ns"].isna() & turns["listened"]).to_numpy(bool)
    waited = gave_up.notna().to_numpy()
    called = turns["output_sent_ns"].notna().to_numpy()
    replied = turns["after_output_audio_ns"].notna()
    replied |= turns["after_output_text_ns"].notna() & textual
    then = (gave_up > turns["output_sent_ns"]).fillna(value=False)
    unanswered = called & waited & ~replied.to_numpy(bool) & then.to_numpy(bool)
    late_ms = (came - gave_up).astype(float) / 1e6
    late = [f"answered {late:.0f} ms after the caller gave up" for late in late_ms]

    complained = (turns["error"] != "").to_numpy() & (~some | unanswered)

    status = texts(turns["status"])
    why = texts(turns["status_reason"])
    response = "response " + status + why.where(why == "", ": " + why)
    wanted = np.where(textual, "text", "audio")
    without: pd.Series = response + ", without " + wanted
    idless = turns["idless_calls"].to_numpy(bool)
    without_id = "tools were called without a call_id, so nothing could be answered"
    without_reply = "tools were called, and nothing answered their outputs"
    cases = (
        Case("dropped", is_open & ~in_order, "session " + _session_words(session)),
        Case("overloaded", broken & _full(why), response),
        Case("error", broken, response),
        Case("overloaded", complained & _full(turns["error"]), turns["error"]),
        Case("error", complained, turns["error"]),
        Case("timeout", unanswered, without_reply),
        Case("cut", is_open & ~whole, "the run ended first"),
        Case("ok", in_time, ""),
        Case("late", audible, pd.Series(late, turns.index, object)),
        Case("error", idless & ~called, without_id),
        Case("cut", stopped & ~waited, "the caller stopped the reply before any of it was heard"),
        Case("missed", deaf & ~responded, "no speech_started and no answer"),
        Case("timeout", waited & some, "audio came, and none of it was heard"),
        Case("timeout", waited & called, without_reply),
        Case("timeout", waited, _missing(wanted, "the caller gave up")),
        Case("error", responded & some, "audio came, and none of it was heard"),
        Case("error", called, without_reply),
        Case("error", responded & (status != "").to_numpy(), without),
        Case("timeout", np.ones(len(turns), bool), _missing(wanted, "what was said next")),
    )
    return _first_match(cases, turns.index)


def _full(words: pd.Series) -> NDArray[np.bool_]:
    """By turn: whether these words say that the service is full."""
    return words.map(is_overload).to_numpy(bool)


def _missing(wanted: NDArray[Any], before: str) -> pd.Series:
    """What did not come before what, by turn."""
    return pd.Series([f"no {what} before {before}" for what in wanted], dtype=object)


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
    """What became of each session; of one that the run ended while it waited, for what it did."""
    reason, outcome = texts(session["reason"]), texts(session["outcome"])
    told = outcome + reason.where(reason == "", ": " + reason)
    waiting = session["in_vain"].to_numpy(bool) & session["outcome"].isin(IN_ORDER).to_numpy()
    return told.mask(waiting, "waited in vain for " + texts(session["awaited"]))


def next_turns(sessions: pd.DataFrame, turns: pd.DataFrame) -> pd.DataFrame:
    """A row for the turn that each failed session would have come to next.

    A session that fails costs one turn, however many its script still had: the one that it was in,
    else its next. Of a session that was never ready that is `rejected`, as of its start; of one
    that was lost between turns `dropped`, as of its end (`as_of_ns`). The rest nobody came to
    (`unreached`): they are no attempts.
    """
    failed = sessions[~sessions["outcome"].isin(IN_ORDER) | sessions["in_vain"]]
    attempted = turns.groupby("session")["turn"].max().reindex(failed.index, fill_value=0)
    within = turns.loc[turns["outcome"] == "dropped", "session"]
    left = integers(failed["planned_turns"], 0) > attempted.to_numpy(np.int64)
    rows = failed[left & ~failed.index.isin(within)]
    turn = attempted.reindex(rows.index).to_numpy(np.int64) + 1
    opened = rows["opened_ns"].notna().to_numpy()
    as_of: Ints = np.where(opened, integers(rows["ended_ns"], 0), integers(rows["started_ns"], 0))
    words = _session_words(rows).to_numpy(object)
    return pd.DataFrame(
        {
            "session": rows.index.to_numpy(),
            "worker": rows["worker"].to_numpy(),
            "script": rows["script"].to_numpy(),
            "setting": rows["setting"].to_numpy(),
            "turn": turn.astype(np.int64),
            "role": "line",
            "outcome": np.where(opened, "dropped", "rejected"),
            "reason": "session " + words,
            "as_of_ns": as_of,
        }
    )


def unreached(sessions: pd.DataFrame, turns: pd.DataFrame) -> pd.Series:
    """By session that failed: how many of its planned turns have no row in `turns`; else 0."""
    failed = ~sessions["outcome"].isin(IN_ORDER) | sessions["in_vain"]
    told = turns.groupby("session")["turn"].max().reindex(sessions.index, fill_value=0)
    planned = integers(sessions["planned_turns"], 0)
    left = np.maximum(planned - told.to_numpy(np.int64), 0)
    return pd.Series(np.where(failed, left, 0), sessions.index)
