"""One row per attempted turn, a column per instant.

Here everything comes together: what was said (`speech`), what the server heard (`ear`), what it
answered (`replies`), when the caller heard it (`playout`), who was interrupted (`bargein`) and what
became of it (`outcomes`). Instants are `Int64` nanoseconds, NA where there was none.
"""

from typing import Any, Final

import numpy as np
import pandas as pd

from bench.analysis.bargein import interruptions
from bench.analysis.ear import Ear
from bench.analysis.outcomes import error_texts, judge_turns, never_reached, patience
from bench.analysis.replies import answers, begun, deltas_played, replies_table
from bench.analysis.sessions import span
from bench.analysis.speech import samples_sent, turns_said, utterances
from bench.analysis.tables import NEVER, integers
from bench.plan.metrics import INSTANTS

SESSION_INSTANTS: Final = (
    "scheduled", "started", "connected", "secured", "upgraded", "created", "ready",
)  # fmt: skip
TURN_INSTANTS: Final = tuple(name for name in INSTANTS if name not in SESSION_INSTANTS)

_LENGTHS: Final = (
    "queued_ns", "jitter_buffer_ns", "underrun_before_onset_ns", "leading_silence_ns",
    "reply_audio_ns", "first_audio_err_ns", "waited_until_ns",
)  # fmt: skip
_NUMBERS: Final = ("min_buffer", "delta_gap", "realtime_factor", "underrun_time")
_POSITIONS: Final = ("onset_media_ns", "offset_media_ns", "audio_start_ms", "audio_end_ms")
_TEXTS: Final = (
    "role", "utterance", "text", "outcome", "reason", "item_id", "response_id", "transcript",
    "reply",
)  # fmt: skip
_FLAGS: Final = ("measured", "split_turn", "talked_over", "interrupted_by_caller")
COLUMNS: Final = (
    "session", "worker", "turn", *_TEXTS, *_FLAGS, "yielded", "spurious",
    *(f"{name}_ns" for name in TURN_INSTANTS), *_LENGTHS, *_POSITIONS, *_NUMBERS,
)  # fmt: skip


def turns_table(events: pd.DataFrame, sessions: pd.DataFrame, plan: dict[str, Any]) -> pd.DataFrame:
    """Every attempted turn of the run, ordered by session and turn; see `COLUMNS`."""
    said = utterances(events, sessions)
    turns = turns_said(said)
    session = sessions.reindex(turns["session"]).set_index(turns.index)
    turns["worker"] = session["worker"]
    turns["ended_ns"] = session["ended_ns"]
    ear = Ear(events, sessions, said, turns)
    turns = turns.join(ear.columns())
    turns = turns.join(samples_sent(events, turns))

    responses = begun(events)
    deltas = deltas_played(events, sessions, responses)
    replies = replies_table(events, responses, deltas, ear, turns)
    answer = answers(replies, turns["stopped_row"])
    turns = turns.join(
        answer.drop(columns=["session", "row"])
        .rename(columns={"created_ns": "response_created_ns", "done_ns": "response_done_ns",
                         "reason": "status_reason"})
    )  # fmt: skip
    turns = turns.join(patience(events, turns))
    turns["error"] = error_texts(events, turns)
    last = said.drop_duplicates("session", keep="last").set_index("session")["row"]
    turns["last_said"] = (turns["row"] == turns["session"].map(last)).to_numpy(bool)
    turns = turns.join(judge_turns(turns, session))

    cut = interruptions(events, turns, responses, deltas)
    turns = turns.join(cut.drop(columns="reply"))
    turns["interrupted_by_caller"] = turns["response"].isin(cut["reply"].dropna())
    early = replies[replies["turn"] >= 0].groupby("turn")["heard_ns"].min()
    turns["talked_over"] = (early.reindex(turns.index) < turns["speech_offset_ns"]).fillna(
        value=False
    )
    turns["waited_until_ns"] = _waited(turns)
    turns["as_of_ns"] = turns["speech_onset_ns"]
    # Typed before they meet: a missing instant would turn a column of them into floats.
    missing = never_reached(sessions, turns)
    table = pd.concat([_tidy(turns, plan), _tidy(missing, plan)])
    return table.sort_values(["session", "turn"], kind="stable", ignore_index=True)


def _waited(turns: pd.DataFrame) -> pd.Series:
    """Until when the caller waited for an answer: gave up, spoke again, or the session ended."""
    until = np.minimum.reduce(
        [
            integers(turns["gave_up_ns"], NEVER),
            integers(turns["next_ns"], NEVER),
            integers(turns["ended_ns"], NEVER),
        ]
    )
    return pd.Series(until, turns.index).where(until != NEVER).astype("Int64")


def _tidy(turns: pd.DataFrame, plan: dict[str, Any]) -> pd.DataFrame:
    begin, stop = span(plan)
    as_of = integers(turns["as_of_ns"], NEVER)
    turns["measured"] = (as_of >= begin) & (as_of < stop)
    turns = turns.reindex(columns=list(COLUMNS))
    for name in _TEXTS:
        turns[name] = turns[name].astype("str")
    for name in ("outcome", "reason", "transcript", "reply", "utterance", "text"):
        turns[name] = turns[name].fillna("")
    for name in _FLAGS:
        turns[name] = turns[name].astype("boolean").fillna(value=False).astype(bool)
    for name in COLUMNS:
        if name.endswith(("_ns", "_ms")) or name == "worker":
            turns[name] = turns[name].astype("Int64")
    turns["yielded"] = turns["yielded"].astype("boolean")
    turns["spurious"] = turns["spurious"].fillna(0).astype("int64")
    for name in _NUMBERS:
        turns[name] = turns[name].astype("float64")
    return turns
