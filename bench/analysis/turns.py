"""One row per attempted turn, a column per instant.

Here everything comes together: what was said or written (`speech`), what the server heard (`ear`),
who asked for an answer (`asks`), what the server answered (`replies`, `tools`), when the caller
heard it (`deltas`), who was interrupted or stopped (`bargein`, `stops`, `disturb`) and what became
of it (`outcomes`). Instants are `Int64` nanoseconds, NA where there was none.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from bench.analysis.acks import acknowledgements
from bench.analysis.asks import answered_turns, ask_instants, belonging, sent_asks, who_answers
from bench.analysis.bargein import interruptions
from bench.analysis.clock import appends, samples_sent
from bench.analysis.deltas import deltas_played, first_interjections
from bench.analysis.disturb import disturbances
from bench.analysis.ear import Ear
from bench.analysis.effective import Effective
from bench.analysis.outcomes import (
    error_texts,
    idless_calls,
    judge_turns,
    next_turns,
    patience,
)
from bench.analysis.peers import like_their_peers
from bench.analysis.playing import windows
from bench.analysis.replies import answers, earliest, replies_table, responses_said
from bench.analysis.responses import begun
from bench.analysis.sessions import span
from bench.analysis.speech import WRITTEN, disturbances_said, turns_said, utterances
from bench.analysis.stops import stops, truncations
from bench.analysis.tables import NEVER, Flags, integers
from bench.analysis.tools import tool_rounds
from bench.plan.metrics import INSTANTS

SESSION_INSTANTS: Final = (
    "scheduled", "started", "connected", "secured", "upgraded", "created", "ready",
)  # fmt: skip
TURN_INSTANTS: Final = tuple(name for name in INSTANTS if name not in SESSION_INSTANTS)

_LENGTHS: Final = (
    "queued_ns", "jitter_buffer_ns", "underrun_before_onset_ns", "leading_silence_ns",
    "reply_audio_ns", "first_audio_err_ns", "first_created_ns", "waited_until_ns",
    "cancel_waited_ns", "truncate_waited_ns",
)  # fmt: skip
_NUMBERS: Final = (
    "min_buffer", "delta_gap", "realtime_factor", "underrun_time", "stale_audio", "text_rate",
)  # fmt: skip
_POSITIONS: Final = (
    "onset_media_ns", "offset_media_ns", "audio_start_ms", "audio_end_ms", "start_media_ns",
    "end_media_ns",
)  # fmt: skip
_TEXTS: Final = (
    "script", "setting", "role", "utterance", "text", "outcome", "reason", "item_id", "response_id",
    "transcript", "reply", "interrupted_while",
)  # fmt: skip
_FILLED: Final = (
    "script", "setting", "outcome", "reason", "transcript", "reply", "utterance", "text",
)  # fmt: skip
_FLAGS: Final = (
    "measured", "manual", "textual", "split_turn", "talked_over", "interrupted_by_caller",
)  # fmt: skip
COLUMNS: Final = (
    "session", "worker", "turn", *_TEXTS, *_FLAGS, "yielded", "spurious",
    *(f"{name}_ns" for name in TURN_INSTANTS), *_LENGTHS, *_POSITIONS, *_NUMBERS,
)  # fmt: skip


class Told(NamedTuple):
    """The run as it was told.

    turns:         see `COLUMNS`
    disturbances:  of replies, see `disturb`
    said:          everything, see `speech.utterances`
    acks:          what the caller asked of the server, see `acks.acknowledgements`
    effective:     what the server said the sessions are
    """

    turns: pd.DataFrame
    disturbances: pd.DataFrame
    said: pd.DataFrame
    acks: pd.DataFrame
    effective: Effective


def turns_table(events: pd.DataFrame, sessions: pd.DataFrame, run: dict[str, Any]) -> Told:
    """Every attempted turn of the run, ordered by session and turn. `run` is its run.json."""
    plan, acks = run["plan"], acknowledgements(events)
    effective, appended = Effective(events), appends(events)
    said = utterances(events, sessions)
    turns = turns_said(said)
    session = sessions.reindex(turns["session"]).set_index(turns.index)
    turns = turns.join(session[["worker", "script", "setting", "ended_ns"]])
    turns = turns.join(who_answers(turns, effective))
    turns["listened"] = (turns["role"] != WRITTEN) & ~turns["manual"]
    asks = sent_asks(events, turns)
    ear = Ear(events, sessions, effective, appended, said, turns, asks)
    asks = belonging(asks, turns, ear.commits)
    turns = turns.join(ear.columns())
    turns = turns.join(ask_instants(asks, turns)).join(samples_sent(appended, turns))
    turns["backchannel_ns"] = first_interjections(events, turns)

    responses = begun(events)
    deltas = deltas_played(events, sessions, responses, effective)
    replies = responses_said(events, responses)
    apart = replies["apart"].to_numpy(bool)
    replies["turn"] = answered_turns(responses, apart, turns, asks, ear.commits)
    replies = replies_table(events, responses, deltas, replies)
    turns = turns.join(_answer(answers(replies, turns["stopped_row"])))
    turns["textual"] = _textual(turns, effective)
    turns["filler_ns"] = earliest(replies, "filler_ns", len(turns))
    turns = turns.join(tool_rounds(events, responses, replies))
    turns = turns.join(stops(events, turns, responses, replies, deltas))
    turns["emptied"] = turns["emptied"].astype("boolean").fillna(value=False)
    turns = turns.join(truncations(turns, acks, sessions)).join(patience(events, turns))
    turns["error"] = error_texts(events, turns)
    turns["idless_calls"] = idless_calls(events, turns)
    turns["last_said"] = turns["next_ns"] == NEVER
    turns = turns.join(judge_turns(turns, session))

    aside = disturbances_said(said)
    talked_into = [turns.loc[turns["role"] == "interruption", "session"], aside["session"]]
    # Windows are many: only those of sessions where somebody talked into a reply are looked at.
    spans = windows(deltas[deltas["session"].isin(pd.concat(talked_into))])
    cut = interruptions(turns, replies, deltas, spans, effective)
    turns = turns.join(cut.drop(columns="cut_reply"))
    turns["stale_audio"] = turns["stale_audio"].fillna(turns["late_audio"])
    turns["interrupted_by_caller"] = turns["response"].isin(cut["cut_reply"].dropna())
    early = earliest(replies, "heard_ns", len(turns)) < turns["speech_offset_ns"]
    turns["talked_over"] = early.fillna(value=False)
    turns["waited_until_ns"] = _waited(turns)
    turns["as_of_ns"] = turns["begin_ns"]
    # Typed before they meet: a missing instant would turn a column of them into floats.
    scenario = (run.get("scenario") or {}).get("effective") or {}
    table, missing = _tidy(turns, plan), next_turns(sessions, turns)
    if len(missing):
        missing = like_their_peers(missing, turns, scenario)
        table = pd.concat([table, _tidy(missing, plan)])
    return Told(
        table.sort_values(["session", "turn"], kind="stable", ignore_index=True),
        disturbances(events, aside, said, ear, replies, deltas, spans),
        said,
        acks,
        effective,
    )


def _answer(answer: pd.DataFrame) -> pd.DataFrame:
    """The columns of a turn's answer, by the names that they have in a turn."""
    return answer.drop(columns=["session", "begin_ns", "apart", "filler_ns"]).rename(
        columns={
            "row": "reply_row",
            "created_ns": "response_created_ns",
            "done_ns": "response_done_ns",
            "reason": "status_reason",
        }
    )


def _textual(turns: pd.DataFrame, effective: Effective) -> Flags:
    """Which turns are answered in text alone.

    As the response says of itself, else as the caller asked of it, else as the session is; where
    nothing says, a reply of text and no audio is one.
    """
    row = integers(turns["reply_row"].astype("Int64"), -1)
    row = np.where(row >= 0, row, turns["row"].to_numpy())
    state = effective.at(turns["session"].to_numpy(), row)
    bare = (turns["first_text_ns"].notna() & turns["first_audio_ns"].isna()).to_numpy(bool)
    unknown = state["modalities"].isna().to_numpy(bool)
    found = np.where(unknown, bare, state["textual"].to_numpy(bool))
    for column in ("asked_modalities", "modalities"):
        for index, said in enumerate(turns[column]):
            if isinstance(said, list) and said:
                found[index] = "audio" not in said
    return found


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
    for name in _FILLED:
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
