"""Replies that the caller stopped: its cancel, what became of it, and truncations.

Theory of operation
-------------------
A response.cancel stops the response that it names, else the one that began last before it was sent.
Where that had ended already the cancel came too late (a race, and no failure): it was sent, and
nothing was cancelled. Where the server says of the response that it was cancelled, and not because
it heard somebody speak, the cancel did it. A caller who only empties its player (`bench.flush` with
the cause `caller`) stops the turn too.

A truncation belongs to the turn that was begun last when it was sent: the interruption, or the turn
whose reply was stopped.
"""

import numpy as np
import pandas as pd

from bench.analysis.acks import pair
from bench.analysis.responses import named
from bench.analysis.speech import owner
from bench.analysis.tables import (
    ALWAYS,
    NEVER,
    codes,
    integers,
    latest,
    of_type,
    parsed,
    places,
    sent_ns,
)


def stops(
    events: pd.DataFrame,
    turns: pd.DataFrame,
    responses: pd.DataFrame,
    replies: pd.DataFrame,
    deltas: pd.DataFrame,
) -> pd.DataFrame:
    """By turn that was stopped: `cancel_sent_ns`, `cancelled_ns`, `cancelled_last_audio_ns`.

    `late_audio` is ms of the reply that came after the cancel (NA: it had ended before), `emptied`
    whether the caller emptied its player.
    """
    rows = _cancels(events, responses)
    rows["turn"] = np.append(replies["turn"].to_numpy(np.int64), -1)[rows["response"]]
    rows = rows[rows["turn"] >= 0].drop_duplicates("turn").set_index("turn")
    reply = replies.take(rows["response"].to_numpy(np.int64))
    done = integers(reply["done_ns"], NEVER)
    sent = rows["sent_ns"].to_numpy()
    by_caller = (reply["status"] == "cancelled") & (reply["reason"] != "turn_detected")
    taken = by_caller.to_numpy(bool) & (done >= sent)
    table = pd.DataFrame({"cancel_sent_ns": rows["sent_ns"].astype("Int64")})
    for column, source in (
        ("cancelled_ns", "done_ns"),
        ("cancelled_last_audio_ns", "last_audio_ns"),
    ):
        values = pd.Series(reply[source].to_numpy(), rows.index)
        table[column] = values.where(taken).astype("Int64")
    late = audio_after(deltas, rows["response"], rows["sent_ns"])
    table["late_audio"] = late.where(done >= sent)
    return table.join(_emptied(events, turns), how="outer")


def _cancels(events: pd.DataFrame, responses: pd.DataFrame) -> pd.DataFrame:
    """Every response.cancel sent: `sent_ns`, and `response` that it means, -1: none."""
    rows = of_type(events, "response.cancel", direction="out").reset_index(drop=True)
    last = latest(
        rows["session"].to_numpy(), places(events, rows), responses["session"].to_numpy(),
        2 * responses["row"].to_numpy(),
    )  # fmt: skip
    bare = rows["response_id"].isna().to_numpy(bool)
    meant = np.where(bare, last, named(responses, rows))
    return pd.DataFrame({"sent_ns": sent_ns(rows), "response": meant.astype(np.int64)})


def _emptied(events: pd.DataFrame, turns: pd.DataFrame) -> pd.DataFrame:
    """The turns in which the caller emptied its player of its own accord."""
    flushes = of_type(events, "bench.flush", direction="note")
    mine = flushes[(parsed(flushes, "cause")["cause"] == "caller").to_numpy(bool)]
    turn = owner(turns, mine["session"].to_numpy(), mine["at_ns"].to_numpy())
    known = np.unique(turn[turn >= 0])
    return pd.DataFrame({"emptied": np.ones(len(known), bool)}, pd.Index(known, name="turn"))


def audio_after(deltas: pd.DataFrame, response: pd.Series, since_ns: pd.Series) -> pd.Series:
    """By turn: ms of audio of a response that arrived after an instant; NA where it is NA."""
    meant = deltas[deltas["response"].isin(response.dropna()) & ~deltas["padding"]]
    asked = pd.DataFrame({"response": response, "since": integers(since_ns, NEVER)})
    asked = asked[asked["response"].notna()].astype({"response": "int64"})
    pairs = asked.rename_axis("turn").reset_index().merge(
        meant[["response", "at_ns", "audio_ns"]], on="response"
    )  # fmt: skip
    late = pairs[pairs["at_ns"] > pairs["since"]].groupby("turn")["audio_ns"].sum() / 1e6
    known = since_ns.notna() & response.notna()
    return late.reindex(response.index).fillna(0.0).astype(float).where(known)


def truncations(events: pd.DataFrame, turns: pd.DataFrame) -> pd.DataFrame:
    """By turn: the first truncate sent in it, and its acknowledgement."""
    sent = of_type(events, "conversation.item.truncate", direction="out")
    done = of_type(events, "conversation.item.truncated")
    table = pd.DataFrame(
        {
            "session": sent["session"].to_numpy(),
            "place": places(events, sent),
            "key": codes(sent["item_id"]),
            "at_ns": sent_ns(sent),
        }
    )
    answers = pd.DataFrame(
        {"session": done["session"], "place": 2 * done["row"], "key": codes(done["item_id"])}
    )
    found = pair(table, answers)
    at = np.append(done["at_ns"].to_numpy(np.int64), ALWAYS)[found]
    table["truncated_ns"] = pd.Series(at, table.index, "Int64").where(found >= 0)
    table["turn"] = owner(turns, table["session"].to_numpy(), table["at_ns"].to_numpy())
    table = table[table["turn"] >= 0].drop_duplicates("turn").set_index("turn")
    return pd.DataFrame(
        {"truncate_sent_ns": table["at_ns"].astype("Int64"), "truncated_ns": table["truncated_ns"]}
    )
