"""Responses: what each consists of, when it was heard, and whose answer it is.

Theory of operation
-------------------
A response answers what the server committed last before it began, by row: a server may create it
before or after anything else, but it has always just decided that somebody finished speaking. A
response to an item where nobody spoke answers nobody. Where nothing was ever committed, it answers
what was said last.

A turn may have several responses (the server cut it in two, or interrupted itself). Its *answer* is
the first that began after the turn's last speech_stopped; where none did, its last.
"""

from typing import Final

import numpy as np
import pandas as pd

from bench.analysis.ear import Ear
from bench.analysis.playout import WINDOW_NS, audible_windows, epochs, play
from bench.analysis.tables import (
    ALWAYS,
    NEVER,
    Ints,
    codes,
    integers,
    is_type,
    joined,
    latest,
    of_type,
    parsed,
    texts,
)

# The API's name, and the beta's, which servers in the field still speak.
AUDIO: Final = ("response.output_audio.delta", "response.audio.delta")
TRANSCRIPT: Final = ("response.output_audio_transcript.delta", "response.audio_transcript.delta")
TRANSCRIPT_DONE: Final = ("response.output_audio_transcript.done", "response.audio_transcript.done")
TEXT: Final = ("response.output_text.delta", "response.text.delta")
TEXT_DONE: Final = ("response.output_text.done", "response.text.done")


def begun(events: pd.DataFrame) -> pd.DataFrame:
    """One row per response, in the order in which they began; the index is its number.

    `row` and `begin_ns` are of the first message that names it; `response_id` its id.
    """
    named = events["response_id"].notna().to_numpy() & (events["direction"] == "in").to_numpy()
    rows = events.loc[named, ["session", "row", "at_ns", "response_id"]]
    rows = rows.drop_duplicates(["session", "response_id"]).reset_index(drop=True)
    return rows.rename(columns={"at_ns": "begin_ns"})


def number(responses: pd.DataFrame, rows: pd.DataFrame) -> Ints:
    """Which response each row belongs to; a row that names none: the last begun; -1 where none."""
    if responses.empty:
        return np.full(len(rows), -1, np.int64)
    width = len(responses["response_id"].cat.categories)
    keys = responses["session"].to_numpy() * width + codes(responses["response_id"])
    code = codes(rows["response_id"])
    found = pd.Index(keys).get_indexer(pd.Index(rows["session"].to_numpy() * width + code))
    missing = np.flatnonzero((code < 0) | (found < 0))
    found[missing] = latest(
        rows["session"].to_numpy()[missing], rows["row"].to_numpy()[missing],
        responses["session"].to_numpy(), responses["row"].to_numpy(),
    )  # fmt: skip
    return found.astype(np.int64)


def deltas_played(
    events: pd.DataFrame, sessions: pd.DataFrame, responses: pd.DataFrame
) -> pd.DataFrame:
    """Every non-empty audio delta, in order, with its place in the player.

    `played` says whether it reached the player; `start_ns` and the rest of `play` are meaningless
    where it did not; `cut_ns` is when the player is emptied next; `first_window`, `last_window` are
    its audible 10 ms windows; `before_ns` is the reply's audio before it.
    """
    heard = is_type(events, *AUDIO) & (events["nbytes"].to_numpy() > 0)
    columns = [
        "session",
        "row",
        "at_ns",
        "at_err_ns",
        "response_id",
        "item_id",
        "audio_ns",
        "envelope",
    ]
    deltas = events.loc[heard, columns].reset_index(drop=True)
    deltas["response"] = number(responses, deltas)
    deltas = deltas[deltas["response"] >= 0].reset_index(drop=True)
    deltas["audio_ns"] = integers(deltas["audio_ns"], 0)
    deltas["item"] = codes(deltas["item_id"])
    deltas["first_window"], deltas["last_window"] = audible_windows(deltas["envelope"].tolist())
    deltas["before_ns"] = (
        deltas.groupby("response")["audio_ns"].cumsum().to_numpy() - deltas["audio_ns"].to_numpy()
    )
    flushes = of_type(events, "bench.flush", direction="note")
    session, row = deltas["session"].to_numpy(), deltas["row"].to_numpy()
    epoch, deltas["cut_ns"] = epochs(flushes, session, row)
    born, _ = epochs(flushes, responses["session"].to_numpy(), responses["row"].to_numpy())
    deltas["played"] = epoch == born[deltas["response"].to_numpy()] if len(deltas) else False
    deltas["jitter_ns"] = integers(deltas["session"].map(sessions["jitter_ns"]), 0)
    deltas["group"], _ = pd.factorize(session * (len(flushes) + 1) + epoch, sort=True)
    deltas["played"] = deltas["played"].astype(bool)
    placed = play(deltas[deltas["played"]])
    return deltas.join(placed.reindex(deltas.index, fill_value=NEVER))


def replies_table(
    events: pd.DataFrame,
    responses: pd.DataFrame,
    deltas: pd.DataFrame,
    ear: Ear,
    turns: pd.DataFrame,
) -> pd.DataFrame:
    """Everything there is to know of each response, by number."""
    table = responses[["session", "row", "begin_ns"]].copy()
    table["turn"] = _answers(responses, ear, turns)
    table["response_id"] = responses["response_id"].astype("str")
    for column, kind in (("created_ns", "response.created"), ("done_ns", "response.done")):
        rows = of_type(events, kind)
        rows = rows.assign(response=number(responses, rows)).drop_duplicates("response")
        table[column] = rows.set_index("response")["at_ns"].astype("Int64")
        if column == "done_ns":
            said = parsed(rows.set_index("response"), "status", "reason")
            table["status"] = said["status"]
            table["reason"] = said["reason"]
    table["status"] = texts(table["status"])
    table["reason"] = texts(table["reason"])
    for column, types in (("first_transcript_ns", TRANSCRIPT), ("first_text_ns", TEXT)):
        rows = of_type(events, *types)
        rows = rows[(texts(rows["detail"]) != "").to_numpy()]
        rows = rows.assign(response=number(responses, rows)).drop_duplicates("response")
        table[column] = rows.set_index("response")["at_ns"].astype("Int64")
    table["reply"] = _words(events, responses)
    return table.join(_fluency(deltas)).join(_heard(deltas))


def _answers(responses: pd.DataFrame, ear: Ear, turns: pd.DataFrame) -> Ints:
    """The turn that each response answers; -1: nobody's."""
    session, row = responses["session"].to_numpy(), responses["row"].to_numpy()
    commits = ear.commits
    last = latest(session, row, commits["session"].to_numpy(), commits["row"].to_numpy())
    said = latest(session, row, turns["session"].to_numpy(), turns["row"].to_numpy())
    committed = commits["turn"].to_numpy()
    return np.where(last >= 0, committed[last] if len(committed) else -1, said).astype(np.int64)


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
    """The reply that is each turn's answer, by turn. `stopped_row`, by turn: NA for never."""
    mine = replies[replies["turn"] >= 0]
    stopped = integers(mine["turn"].map(stopped_row), -1)
    after = mine["row"].to_numpy() > stopped
    chosen = pd.concat(
        [mine[after].drop_duplicates("turn"), mine.drop_duplicates("turn", keep="last")]
    )
    chosen = chosen.drop_duplicates("turn").sort_values("turn")
    return chosen.assign(response=chosen.index).set_index("turn")
