"""Who asked for an answer, and when: commits, response.create, and which turn a response answers.

Theory of operation
-------------------
A response answers the last *ask* before it: a server may create it before or after anything else,
but it has always just decided that somebody has finished, or was told to answer. Asks are what the
server commits (the turn of the item; nobody's where nobody spoke), a response.create of the caller,
and what is written, where no response.create came after it. Where nobody ever asked, a response
answers what was said last. A response outside of the conversation (`conversation: "none"`), of
which the caller must have asked for at least one, answers nobody.

A response.create belongs to the turn that was begun last; while that is still being said it
belongs to the ask before (the output of a tool, say, sent while the caller is speaking again).
"""

from typing import Final

import numpy as np
import pandas as pd

from bench.analysis.acks import refused
from bench.analysis.effective import Effective
from bench.analysis.speech import WRITTEN, owner
from bench.analysis.tables import Flags, Ints, bodies, dig, latest, of_type, places, sent_ns

COMMIT: Final = "input_audio_buffer.commit"
CREATE: Final = "response.create"


def sent_asks(events: pd.DataFrame, turns: pd.DataFrame) -> pd.DataFrame:
    """Commits and response.creates that the caller sent, in order.

    `turn` is whose, -1: nobody's; `place` where it stands (see `tables.places`); `apart`: it asks
    for a response outside of the conversation; `params`: what it asks for (a dict; None: nothing
    special); `refused`: an error named it.
    """
    rows = of_type(events, COMMIT, CREATE, direction="out").reset_index(drop=True)
    table = pd.DataFrame(
        {
            "session": rows["session"].to_numpy(),
            "place": places(events, rows),
            "sent_ns": sent_ns(rows),
            "create": (rows["type"] == CREATE).to_numpy(bool),
            "refused": refused(events, rows),
        }
    )
    params = [dig(body, "response") for body in bodies(rows)]
    table["params"] = pd.Series([p if isinstance(p, dict) else None for p in params], dtype=object)
    table["apart"] = [dig(asked, "conversation") == "none" for asked in params]
    table["turn"] = owner(turns, table["session"].to_numpy(), table["sent_ns"].to_numpy())
    return table


def belonging(sent: pd.DataFrame, turns: pd.DataFrame, commits: pd.DataFrame) -> pd.DataFrame:
    """`sent` with every response.create at its turn: not at one that is still being said."""
    mine = sent["turn"].to_numpy()
    early = (mine >= 0) & sent["create"].to_numpy(bool)
    early &= sent["sent_ns"].to_numpy() < _at(turns["end_ns"], mine)
    if not early.any():
        return sent
    asks = _asks(sent[~sent["create"]], turns, commits)
    asks = asks[asks["turn"] >= 0]
    before = sent[early]
    last = latest(
        before["session"].to_numpy(), before["place"].to_numpy(), asks["session"].to_numpy(),
        asks["place"].to_numpy(),
    )  # fmt: skip
    turn = mine.copy()
    turn[early] = np.where(last >= 0, _at(asks["turn"], last), mine[early])
    return sent.assign(turn=turn)


def ask_instants(sent: pd.DataFrame, turns: pd.DataFrame) -> pd.DataFrame:
    """By turn: when it was said, closed and an answer to it was asked for; `asked_modalities`.

    `turns` has `manual`, `unasked` (the server answers by itself), and the server's own instants.
    """
    mine = sent[(sent["turn"] >= 0) & ~sent["apart"]].sort_values("refused", kind="stable")
    first = mine.drop_duplicates(["turn", "create"])  # one that was not refused, where there is one
    table = pd.DataFrame(index=turns.index)
    for column, create in (("commit_sent_ns", False), ("create_sent_ns", True)):
        rows = first[first["create"] == create].set_index("turn")
        table[column] = rows["sent_ns"].astype("Int64")
    wants = [dig(params, "output_modalities") for params in rows["params"]]
    table["asked_modalities"] = pd.Series(wants, rows.index, object)
    written = turns["role"] == WRITTEN
    asked, commit = table["create_sent_ns"], table["commit_sent_ns"]
    closed = turns["speech_stopped_ns"].where(~turns["manual"], commit)
    table["turn_closed_ns"] = closed.where(~written, asked)
    table["answer_asked_ns"] = turns["committed_ns"].where(turns["unasked"] & ~written, asked)
    table["said_ns"] = turns["speech_offset_ns"].where(~written, asked)
    return table


def who_answers(turns: pd.DataFrame, effective: Effective) -> pd.DataFrame:
    """By turn: `manual` (no VAD on the server's side) and `unasked` (it answers by itself)."""
    state = effective.at(turns["session"].to_numpy(), turns["row"].to_numpy())
    spoken = (turns["role"] != WRITTEN).to_numpy(bool)
    manual = spoken & ~state["vad"].to_numpy(bool)
    return pd.DataFrame(
        {"manual": manual, "unasked": spoken & state["answers"].to_numpy(bool)}, turns.index
    )


def answered_turns(
    responses: pd.DataFrame,
    apart: Flags,
    turns: pd.DataFrame,
    sent: pd.DataFrame,
    commits: pd.DataFrame,
) -> Ints:
    """The turn that each response answers; -1: nobody's.

    `apart`: which responses say that they are outside of the conversation.
    """
    session, place = responses["session"].to_numpy(), 2 * responses["row"].to_numpy()
    asks = _asks(sent[sent["create"] & ~sent["apart"] & ~sent["refused"]], turns, commits)
    last = latest(session, place, asks["session"].to_numpy(), asks["place"].to_numpy())
    said = latest(session, place, turns["session"].to_numpy(), 2 * turns["row"].to_numpy())
    turn = np.where(last >= 0, _at(asks["turn"], last), said)
    wanted = np.unique(sent.loc[sent["apart"], "session"])
    return np.where(apart & np.isin(session, wanted), -1, turn).astype(np.int64)


def _asks(sent: pd.DataFrame, turns: pd.DataFrame, commits: pd.DataFrame) -> pd.DataFrame:
    """Everything that an answer may be to: `session`, `place`, `turn` (-1: nobody's)."""
    silent = turns[(turns["role"] == WRITTEN) & ~turns.index.isin(sent["turn"])]
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "session": commits["session"],
                    "place": 2 * commits["row"],
                    "turn": commits["turn"],
                }
            ),
            sent[["session", "place", "turn"]],
            pd.DataFrame(
                {"session": silent["session"], "place": 2 * silent["row"], "turn": silent.index}
            ),
        ],
        ignore_index=True,
    ).astype(np.int64)


def _at(column: pd.Series, place: Ints) -> Ints:
    """Values at places that may be -1 (and then mean nothing)."""
    values = column.to_numpy(np.int64)
    return values[np.maximum(place, 0)] if len(values) else np.full(len(place), -1, np.int64)
