"""Interruptions: which reply was talked into, and when the agent fell silent.

Theory of operation
-------------------
The reply that is interrupted is the one in the player when the interruption's speech begins: it has
been audible and, were the player never emptied, would be again. Where none is, nobody was
interrupted: there is no sample, and whether the agent yielded is unknown.

Silence is where the caller's player is last audible, not where the last packet came (flaw F17: a
reply that was sent whole and fast shows a last packet in the past while it plays on for seconds).
It is given twice: for the player as it was, emptied at `bench.flush`, and for one that plays all
it was sent.
"""

from typing import Final

import numpy as np
import pandas as pd

from bench.analysis.playout import WINDOW_NS, audible_spans, play_alone
from bench.analysis.replies import number
from bench.analysis.speech import owner
from bench.analysis.tables import NEVER, Ints, codes, integers, of_type, parsed

YIELD_NS: Final = 2_000_000_000
"""How long after the server noticed the interruption an agent may stay audible and still yield."""


def interruptions(
    events: pd.DataFrame, turns: pd.DataFrame, responses: pd.DataFrame, deltas: pd.DataFrame
) -> pd.DataFrame:
    """By turn, for interruptions only: the instants of the reply that was cut, and `yielded`.

    `turns` has `session`, `role`, `speech_onset_ns`, `speech_started_ns`. The column `reply` is the
    number of the interrupted response.
    """
    table = pd.DataFrame(index=turns.index[turns["role"] == "interruption"])
    # Windows are many: only those of sessions with an interruption are looked at.
    deltas = deltas[deltas["session"].isin(turns.loc[table.index, "session"])]
    spans = _audible(deltas)
    cuts = deltas[deltas["played"]].groupby("response")["cut_ns"].max()
    table["reply"] = _interrupted(turns.loc[table.index], spans, cuts, responses)
    hit = table["reply"].dropna().astype("int64")
    reply = hit.to_numpy()
    ends = spans.groupby("response")

    def by_reply(values: pd.Series) -> pd.Series:
        return pd.Series(values.reindex(reply).to_numpy(), hit.index).astype("Int64")

    last_audio = deltas.groupby("response")["at_ns"].last()
    table["interrupted_last_audio_ns"] = by_reply(last_audio)
    table["agent_silent_unflushed_ns"] = by_reply(ends["alone_ns"].max())
    table["agent_silent_ns"] = by_reply(
        spans[spans["in_player"]].groupby("response")["end_ns"].max()
    )
    cut = by_reply(cuts)

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
        shown = flushed | np.isin(reply, _cancelled(events, responses)) | ~stopped
        known = hit.index[shown]
        table.loc[known, "yielded"] = stopped[shown]
    return table.join(_truncations(events, turns))


def _cancelled(events: pd.DataFrame, responses: pd.DataFrame) -> Ints:
    """Numbers of the responses that the server says it cancelled."""
    done = of_type(events, "response.done")
    status = parsed(done, "status")["status"]
    return number(responses, done[(status == "cancelled").to_numpy()])


def _audible(deltas: pd.DataFrame) -> pd.DataFrame:
    """Every audible window of the replies: when it ends in the player, and in one never emptied."""
    first = deltas[deltas["played"]].drop_duplicates("response").set_index("response")["start_ns"]
    known = deltas[deltas["response"].isin(first.index)]
    ordered = known.iloc[np.argsort(known["response"].to_numpy(), kind="stable")]
    run, replies = pd.factorize(ordered["response"].to_numpy(), sort=True)
    length = ordered["audio_ns"].to_numpy()
    alone = play_alone(
        run.astype(np.int64), ordered["at_ns"].to_numpy(), length,
        first.reindex(replies).to_numpy(np.int64),
    )  # fmt: skip
    delta, window = audible_spans(ordered["envelope"].tolist())
    begin = window * WINDOW_NS
    end = np.minimum(begin + WINDOW_NS, length[delta])
    start, cut = ordered["start_ns"].to_numpy()[delta], ordered["cut_ns"].to_numpy()[delta]
    played = ordered["played"].to_numpy()[delta]
    start = np.where(played, start, 0)
    return pd.DataFrame(
        {
            "session": ordered["session"].to_numpy()[delta],
            "response": ordered["response"].to_numpy()[delta],
            "in_player": played & (start + begin < cut),
            "begin_ns": start + begin,
            "end_ns": np.minimum(start + end, cut),
            "alone_ns": alone[delta] + end,
        }
    )


def _interrupted(
    turns: pd.DataFrame, spans: pd.DataFrame, cuts: pd.Series, responses: pd.DataFrame
) -> pd.Series:
    """The reply in the player at each interruption's onset, by turn; NA where none was."""
    noticed = np.minimum(
        turns["speech_onset_ns"].to_numpy(), integers(turns["speech_started_ns"], NEVER)
    )
    heard = spans[spans["in_player"]].groupby("response")["begin_ns"].min()
    until = spans.groupby("response")["alone_ns"].max()
    life = pd.DataFrame(
        {
            "session": responses["session"].reindex(heard.index),
            "response": heard.index,
            "heard_ns": heard,
            "until_ns": until.reindex(heard.index),
            "cut_ns": cuts.reindex(heard.index),
        }
    )
    asked = turns[["session", "speech_onset_ns"]].assign(turn=turns.index, noticed_ns=noticed)
    pairs = asked.merge(life, on="session")
    onset = pairs["speech_onset_ns"]
    audible = (pairs["heard_ns"] <= onset) & (onset < pairs["until_ns"])
    # A detector may be early: a player that this very interruption emptied was playing.
    inside = pairs[audible & (pairs["cut_ns"] >= pairs["noticed_ns"])]
    last = inside.sort_values(["turn", "response"]).drop_duplicates("turn", keep="last")
    return last.set_index("turn")["response"].astype("Int64").reindex(turns.index)


def _truncations(events: pd.DataFrame, turns: pd.DataFrame) -> pd.DataFrame:
    """By turn, for interruptions: the first truncate sent in it, and its acknowledgement."""
    sent = of_type(events, "conversation.item.truncate", direction="out")
    done = of_type(events, "conversation.item.truncated")
    table = sent[["session", "at_ns"]].reset_index(drop=True)
    before = (sent["at_ns"] - sent["at_err_ns"]).to_numpy()
    table["at_ns"] = before  # before the system call: see `tables`
    table["item"] = codes(sent["item_id"])
    turn = owner(turns, table["session"].to_numpy(), table["at_ns"].to_numpy())
    table["turn"] = turn
    answered = done.assign(item=codes(done["item_id"])).drop_duplicates(["session", "item"])
    table = table.merge(
        answered[["session", "item", "at_ns"]].rename(columns={"at_ns": "truncated_ns"}),
        on=["session", "item"], how="left",
    )  # fmt: skip
    table["truncated_ns"] = table["truncated_ns"].astype("Int64")
    table = table[table["turn"] >= 0].drop_duplicates("turn").set_index("turn")
    return pd.DataFrame(
        {"truncate_sent_ns": table["at_ns"].astype("Int64"), "truncated_ns": table["truncated_ns"]}
    )
