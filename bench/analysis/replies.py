"""Replies: what each response consists of, when it was heard, and which is a turn's answer.

A turn may have several responses: the server cut it in two, interrupted itself, or called tools and
was told their outputs. Its *answer* is the first that began after the turn's last speech_stopped
and has audible audio or text; where none has, the first that began after it; where none did, the
turn's last.
"""

import pandas as pd

from bench.analysis.deltas import answering
from bench.analysis.playout import WINDOW_NS
from bench.analysis.responses import (
    TEXT,
    TEXT_DONE,
    TRANSCRIPT,
    TRANSCRIPT_DONE,
    number,
)
from bench.analysis.tables import ALWAYS, integers, joined, of_type, parsed, texts


def responses_said(events: pd.DataFrame, responses: pd.DataFrame) -> pd.DataFrame:
    """What the server says of each response, by number.

    `created_ns`, `done_ns`, `status`, `reason`; `modalities` (a list; None: not said), `apart`
    (outside of the conversation).
    """
    table = responses[["session", "row", "begin_ns"]].copy()
    table["response_id"] = responses["response_id"].astype("str")
    for column, kind in (("created_ns", "response.created"), ("done_ns", "response.done")):
        rows = of_type(events, kind)
        rows = rows.assign(response=number(responses, rows)).drop_duplicates("response")
        rows = rows.set_index("response")
        table[column] = rows["at_ns"].astype("Int64")
        said = parsed(rows, "status", "reason", "modalities", "conversation")
        said = said.reindex(table.index).astype(object)
        if column == "created_ns":
            table["modalities"] = said["modalities"]
            table["apart"] = (said["conversation"] == "none").to_numpy(bool)
        else:
            table["status"] = texts(said["status"])
            table["reason"] = texts(said["reason"])
            table["modalities"] = table["modalities"].where(
                table["modalities"].notna(), said["modalities"]
            )
    return table


def replies_table(
    events: pd.DataFrame, responses: pd.DataFrame, deltas: pd.DataFrame, said: pd.DataFrame
) -> pd.DataFrame:
    """Everything there is to know of each response, by number.

    `said` is `responses_said` with `turn`: the turn that it answers, -1: nobody's.
    """
    table = said.copy()
    for column, types in (("first_transcript_ns", TRANSCRIPT), ("first_text_ns", TEXT)):
        rows = of_type(events, *types)
        rows = rows[(texts(rows["detail"]) != "").to_numpy()]
        rows = rows.assign(response=number(responses, rows))
        first = rows.drop_duplicates("response").set_index("response")
        table[column] = first["at_ns"].astype("Int64")
    last = rows.drop_duplicates("response", keep="last").set_index("response")["at_ns"]
    spent = (last.astype("Int64") - table["first_text_ns"]).astype("Float64").astype(float) / 1e9
    after_first = rows.groupby("response").size() - 1
    rate = after_first.reindex(table.index) / spent.reindex(table.index)
    table["text_rate"] = rate.where(spent.reindex(table.index) > 0)
    table["reply"] = _words(events, responses)
    answer = answering(deltas)
    table = table.join(_fluency(answer)).join(_heard(answer))
    filler = deltas[deltas["filler"] & (deltas["first_window"] >= 0)].drop_duplicates("response")
    table["filler_ns"] = filler.set_index("response")["at_ns"].astype("Int64")
    return table


def _words(events: pd.DataFrame, responses: pd.DataFrame) -> pd.Series:
    """What each response said: its transcript, else its text; from deltas where no .done came."""
    found = pd.Series(pd.NA, responses.index, dtype=object)
    for types in (TRANSCRIPT_DONE, TRANSCRIPT, TEXT_DONE, TEXT):
        rows = of_type(events, *types)
        rows = rows.assign(response=number(responses, rows), words=texts(rows["detail"]))
        rows = rows[(rows["words"] != "") & ~rows["response"].isin(found.index[found.notna()])]
        if len(rows):
            words = joined(rows["words"], rows["response"], "")
            found = found.where(found.notna(), words.reindex(found.index))
    return texts(found)


def _fluency(deltas: pd.DataFrame) -> pd.DataFrame:
    """Of each response: arrivals of its audio, and how evenly it came."""
    grouped = deltas.groupby("response")
    table = pd.DataFrame(
        {
            "first_audio_ns": grouped["at_ns"].first().astype("Int64"),
            "last_audio_ns": grouped["at_ns"].last().astype("Int64"),
            "first_audio_err_ns": grouped["at_err_ns"].first().astype("Int64"),
            "reply_audio_ns": grouped["audio_ns"].sum().astype("Int64"),
        }
    )
    at = deltas["at_ns"]
    # A player that waits b before it starts never starves if b ≥ arrival_i - arrival_0 - audio
    # before i, for every i.
    need = at - grouped["at_ns"].transform("first") - deltas["before_ns"]
    table["min_buffer"] = need.groupby(deltas["response"]).max() / 1e6
    previous = grouped["at_ns"].shift(1, fill_value=ALWAYS)
    later = previous != ALWAYS
    gaps = (at[later] - previous[later]).groupby(deltas.loc[later, "response"])
    table["delta_gap"] = gaps.max() / 1e6
    spent = (table["last_audio_ns"] - table["first_audio_ns"]).astype(float)
    length = table["reply_audio_ns"].astype(float)
    table["realtime_factor"] = (spent / length).where(length > 0)
    return table


def _heard(deltas: pd.DataFrame) -> pd.DataFrame:
    """Of each response: when it was first heard, and what came before its first audible sample."""
    audible = deltas[deltas["first_window"] >= 0].drop_duplicates("response").set_index("response")
    into = audible["first_window"] * WINDOW_NS
    table = pd.DataFrame(index=pd.Index(deltas["response"].unique(), name="response"))
    table["leading_silence_ns"] = (audible["before_ns"] + into).astype("Int64")
    heard = audible["start_ns"] + into
    reached = audible["played"] & (heard < audible["cut_ns"])
    table["heard_ns"] = heard[reached].astype("Int64")
    # What was still waiting when the player was emptied was never heard, and never starved it.
    played = deltas[deltas["played"] & (deltas["start_ns"] < deltas["cut_ns"])]
    first = played.drop_duplicates("response").set_index("response")
    table["first_heard_ns"] = first["start_ns"].astype("Int64")
    table["queued_ns"] = first["queued_ns"].astype("Int64")
    table["jitter_buffer_ns"] = first["held_ns"].astype("Int64")
    starved = played["gap_ns"].groupby(played["response"]).sum()
    table["underrun_time"] = starved / 1e6
    onset = played["response"].map(audible["row"])
    before = played["gap_ns"].where(played["row"] <= onset, 0)
    table["underrun_before_onset_ns"] = before.groupby(played["response"]).sum().astype("Int64")
    return table


def answers(replies: pd.DataFrame, stopped_row: pd.Series) -> pd.DataFrame:
    """The reply that is each turn's answer, by turn. `stopped_row`, by turn: NA for never.

    `first_created_ns` is of the first reply after that, which may be another: one that called tools
    whose outputs the answer is to.
    """
    mine = replies[replies["turn"] >= 0]
    stopped = integers(mine["turn"].map(stopped_row).astype("Int64"), -1)
    after = mine["row"].to_numpy() > stopped
    says = (mine["leading_silence_ns"].notna() | mine["first_text_ns"].notna()).to_numpy(bool)
    chosen = pd.concat(
        [
            mine[after & says].drop_duplicates("turn"),
            mine[after].drop_duplicates("turn"),
            mine.drop_duplicates("turn", keep="last"),
        ]
    )
    chosen = chosen.drop_duplicates("turn").sort_values("turn")
    chosen = chosen.assign(response=chosen.index).set_index("turn")
    first = mine[after].drop_duplicates("turn").set_index("turn")["created_ns"]
    chosen["first_created_ns"] = first.reindex(chosen.index).fillna(chosen["created_ns"])
    return chosen


def earliest(replies: pd.DataFrame, column: str, count: int) -> pd.Series:
    """By turn, of `count`: the earliest instant in a column of any of its replies."""
    mine: pd.Series = replies[replies["turn"] >= 0].groupby("turn")[column].min()
    return mine.reindex(range(count)).astype("Int64")
