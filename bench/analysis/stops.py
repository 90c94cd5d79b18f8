"""Replies that the caller stopped: its cancel, what became of it, and truncations.

Theory of operation
-------------------
A response.cancel stops the response that it names, else the one that began last before it was sent.
Where that had ended already it may have been about the one that was to come (protocol.md 7.6): the
next of the same turn, if that was then cancelled. If not, the cancel came too late (a race, and no
failure): it was sent, and nothing was cancelled.

Where the server says of the response that it was cancelled, and not because it heard somebody
speak, the cancel did it. A cancel of an open response that ended in another way, or not at all, was
in vain: it was waited for until the end, and that it never came must show (flaw F12).

A caller who only empties its player (`bench.flush` with the cause `caller`) stops the turn too.

A truncation belongs to the turn that was begun last when it was sent: the interruption, or the turn
whose reply was stopped.
"""

import numpy as np
import pandas as pd

from bench.analysis.acks import in_vain
from bench.analysis.responses import named
from bench.analysis.speech import owner
from bench.analysis.tables import (
    NEVER,
    integers,
    latest,
    nullable,
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

    `cancel_waited_ns` is until when a cancel in vain was waited for (NA: it was not in vain).
    `late_audio` is ms of the reply that came after the cancel (NA: it had ended before), `emptied`
    whether the caller emptied its player.
    """
    rows = _cancels(events, turns, responses, replies)
    rows["turn"] = np.append(replies["turn"].to_numpy(np.int64), -1)[rows["response"]]
    rows = rows[rows["turn"] >= 0].drop_duplicates("turn").set_index("turn")
    reply = replies.take(rows["response"].to_numpy(np.int64))
    done = integers(reply["done_ns"], NEVER)
    sent = rows["sent_ns"].to_numpy()
    stopped, heard = reply["status"] == "cancelled", reply["reason"] == "turn_detected"
    open_ = (done >= sent) & ~(stopped & heard).to_numpy(bool)
    taken = open_ & stopped.to_numpy(bool)
    until = np.minimum(done, integers(turns["ended_ns"], NEVER)[rows.index])
    last_audio = pd.Series(reply["last_audio_ns"].to_numpy(), rows.index)
    table = pd.DataFrame(
        {
            "cancel_sent_ns": rows["sent_ns"].astype("Int64"),
            "cancelled_ns": pd.Series(nullable(done, taken), rows.index),
            "cancelled_last_audio_ns": last_audio.where(open_).astype("Int64"),
            "cancel_waited_ns": pd.Series(
                nullable(until, open_ & ~taken & (until != NEVER)), rows.index
            ),
        }
    )
    late = audio_after(deltas, rows["response"], rows["sent_ns"])
    table["late_audio"] = late.where(done >= sent)
    return table.join(_emptied(events, turns), how="outer")


def _cancels(
    events: pd.DataFrame, turns: pd.DataFrame, responses: pd.DataFrame, replies: pd.DataFrame
) -> pd.DataFrame:
    """Every response.cancel sent: `sent_ns`, and `response` that it means, -1: none."""
    rows = of_type(events, "response.cancel", direction="out").reset_index(drop=True)
    session, place, sent = rows["session"].to_numpy(), places(events, rows), sent_ns(rows)
    of_session, begun = responses["session"].to_numpy(), 2 * responses["row"].to_numpy()
    last = latest(session, place, of_session, begun)
    over = (last < 0) | (np.append(integers(replies["done_ns"], NEVER), NEVER)[last] < sent)
    # Counted back from the end the next one is the last before.
    following = latest(session, -place, of_session, -begun)
    stopped = (replies["status"] == "cancelled") & (replies["reason"] != "turn_detected")
    turn = np.append(np.where(stopped, replies["turn"], -1), -1)[following]
    pending = over & (turn >= 0) & (turn == owner(turns, session, sent))
    bare = rows["response_id"].isna().to_numpy(bool)
    meant = np.where(bare, np.where(pending, following, last), named(responses, rows))
    return pd.DataFrame({"sent_ns": sent, "response": meant.astype(np.int64)})


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


def truncations(turns: pd.DataFrame, acks: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
    """By turn: the first truncate sent in it, its acknowledgement, how long it waited in vain.

    `acks`: see `acks.acknowledgements`.
    """
    sent = acks[acks["metric"] == "truncate_ack"]
    turn = owner(turns, sent["session"].to_numpy(np.int64), sent["sent_ns"].to_numpy(np.int64))
    sent = sent.assign(turn=turn, waited=in_vain(sent, sessions))
    sent = sent[turn >= 0].drop_duplicates("turn").set_index("turn")
    return pd.DataFrame(
        {
            "truncate_sent_ns": sent["sent_ns"].astype("Int64"),
            "truncated_ns": sent["answered_ns"],
            "truncate_waited_ns": sent["waited"],
        }
    )
