"""Interruptions: which reply was talked into, and when the agent fell silent.

Theory of operation
-------------------
The reply that is interrupted is the one in the player when the interruption's speech begins (see
`playing`). Where none is, nobody was interrupted: there is no sample, and whether the agent yielded
is unknown. The server may still be generating that reply, and has to cancel it, or have finished,
and then only playout has to stop (`interrupted_while`).

Silence is where the caller's player is last audible, not where the last packet came (flaw F17: a
reply that was sent whole and fast shows a last packet in the past while it plays on for seconds).
It is given twice: for the player as it was, emptied at `bench.flush`, and for one that plays all
it was sent.
"""

from typing import Final

import numpy as np
import pandas as pd

from bench.analysis.effective import Effective
from bench.analysis.playing import cuts_of, interrupted
from bench.analysis.stops import audio_after
from bench.analysis.tables import ALWAYS, NEVER, integers

YIELD_NS: Final = 2_000_000_000
"""How long after the server noticed the interruption an agent may stay audible and still yield."""


def interruptions(
    turns: pd.DataFrame,
    replies: pd.DataFrame,
    deltas: pd.DataFrame,
    spans: pd.DataFrame,
    effective: Effective,
) -> pd.DataFrame:
    """By turn, for interruptions only: the instants of the reply that was cut, and `yielded`.

    `turns` has `session`, `role`, `begin_ns`, `speech_started_ns`, `started_row`. The column
    `cut_reply` is the number of the interrupted response; `stale_audio` the ms of it that came
    after speech_started (NA: it was whole by then, or the server is not to be interrupted).
    """
    asked = turns[turns["role"] == "interruption"]
    table = pd.DataFrame(index=asked.index)
    deltas = deltas[deltas["session"].isin(asked["session"])]
    cuts = cuts_of(deltas)
    table["cut_reply"] = interrupted(asked, spans, cuts)
    hit = table["cut_reply"].dropna().astype("int64")
    reply = hit.to_numpy()

    def by_reply(values: pd.Series) -> pd.Series:
        return pd.Series(values.astype("Int64").reindex(reply).array, hit.index)

    last_audio = deltas[~deltas["padding"]].groupby("response")["at_ns"].last()
    table["interrupted_last_audio_ns"] = by_reply(last_audio)
    table["agent_silent_unflushed_ns"] = by_reply(spans.groupby("response")["alone_ns"].max())
    table["agent_silent_ns"] = by_reply(
        spans[spans["in_player"]].groupby("response")["end_ns"].max()
    )
    cut = by_reply(cuts)
    done = pd.Series(integers(by_reply(replies["done_ns"]), NEVER), hit.index)
    open_ = done > asked.loc[hit.index, "begin_ns"]
    table["interrupted_while"] = pd.Series(
        np.where(open_, "generating", "finished"), hit.index, object
    )
    noticed = asked["speech_started_ns"]
    open_ = (done >= noticed.reindex(hit.index)).fillna(value=False).reindex(table.index)
    place = integers(asked["started_row"], ALWAYS)
    state = effective.at(asked["session"].to_numpy(), place)
    open_ = open_.fillna(value=False).to_numpy(bool) & state["interrupts"].to_numpy(bool)
    table["stale_audio"] = audio_after(deltas, table["cut_reply"], noticed).where(open_)

    table["yielded"] = pd.Series(pd.NA, table.index, dtype="boolean")
    if len(hit):
        turn = turns.loc[hit.index]
        silent = table.loc[hit.index, "agent_silent_ns"]
        # Still audible when the session ended: it was never heard to fall silent.
        silent = silent.where(silent <= integers(turn["ended_ns"], NEVER))
        table.loc[hit.index, "agent_silent_ns"] = silent
        soon = silent <= turn["speech_started_ns"] + YIELD_NS
        emptied = (silent <= cut) & (cut < integers(turn["next_ns"], NEVER))
        stopped = (soon.fillna(value=False) | emptied.fillna(value=False)).to_numpy(bool)
        # A reply that ran out by itself, neither emptied nor cancelled, shows nothing of yielding.
        flushed = cut.fillna(NEVER).to_numpy(np.int64) < NEVER
        cancelled = (replies["status"] == "cancelled").to_numpy(bool)[reply]
        shown = flushed | cancelled | ~stopped
        table.loc[hit.index[shown], "yielded"] = stopped[shown]
    return table
