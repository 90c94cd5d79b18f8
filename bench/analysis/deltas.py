"""Audio of the agent, delta by delta: its place in the player, and what of it is no answer.

Theory of operation
-------------------
Two kinds of audio are in a response and are not what it has to say (protocol.md 2.4, 5):

* a *filler*: audio before the first word of the response (its first transcript or text delta),
  where the session has fillers on (providerData.responsiveness) and the server sends words at all;
  without an audible sample in it, it is only the answer's leading silence;
* *padding*: digital silence of at most `PADDING_NS` a delta, with no other audio of the response
  behind it.

Both are played like everything else and are in no figure of the answer.

The agent's own backchannels ("I see", said while the caller speaks) are *interjections*: they
belong to no response. How soon the first one comes, and how many there are, is all that is told of
them.
"""

from typing import Final

import numpy as np
import pandas as pd

from bench.analysis.effective import Effective
from bench.analysis.playout import audible_windows, epochs, play
from bench.analysis.responses import AUDIO, WORDS, number
from bench.analysis.speech import owner
from bench.analysis.tables import NEVER, Flags, Ints, codes, integers, is_type, of_type, texts

PADDING_NS: Final = 100_000_000
"""The longest delta of digital silence that may be padding; a pause in speech is longer or is not
at the end."""
_INTERJECTION: Final = "response.backchannel.audio.delta"
_COLUMNS: Final = [
    "session", "row", "at_ns", "at_err_ns", "response_id", "item_id", "audio_ns", "envelope",
]  # fmt: skip


def deltas_played(
    events: pd.DataFrame,
    sessions: pd.DataFrame,
    responses: pd.DataFrame,
    effective: Effective,
) -> pd.DataFrame:
    """Every non-empty audio delta, in order, with its place in the player.

    `played` says whether it reached the player; `start_ns` and the rest of `play` are meaningless
    where it did not; `cut_ns` is when the player is emptied next; `first_window`, `last_window` are
    its audible 10 ms windows; `filler` and `padding` say that it is no answer; `before_ns` is the
    answer's audio before it.
    """
    heard = is_type(events, *AUDIO) & (events["nbytes"].to_numpy() > 0)
    deltas = events.loc[heard, _COLUMNS].reset_index(drop=True)
    deltas["response"] = number(responses, deltas)
    deltas = deltas[deltas["response"] >= 0].reset_index(drop=True)
    deltas["audio_ns"] = integers(deltas["audio_ns"], 0)
    deltas["item"] = codes(deltas["item_id"])
    deltas["first_window"], deltas["last_window"] = audible_windows(deltas["envelope"].tolist())
    flushes = of_type(events, "bench.flush", direction="note")
    session, row = deltas["session"].to_numpy(), deltas["row"].to_numpy()
    epoch, deltas["cut_ns"] = epochs(flushes, session, row)
    born, _ = epochs(flushes, responses["session"].to_numpy(), responses["row"].to_numpy())
    deltas["played"] = epoch == born[deltas["response"].to_numpy()] if len(deltas) else False
    deltas["jitter_ns"] = integers(deltas["session"].map(sessions["jitter_ns"]), 0)
    deltas["group"], _ = pd.factorize(session * (len(flushes) + 1) + epoch, sort=True)
    deltas["played"] = deltas["played"].astype(bool)
    placed = play(deltas[deltas["played"]])
    deltas = deltas.join(placed.reindex(deltas.index, fill_value=NEVER))
    deltas["padding"] = _padding(deltas)
    deltas["filler"] = _filler(events, responses, deltas, effective)
    length = deltas["audio_ns"].where(~(deltas["filler"] | deltas["padding"]), 0)
    deltas["before_ns"] = length.groupby(deltas["response"]).cumsum().to_numpy() - length.to_numpy()
    return _begun_after_fillers(deltas)


def answering(deltas: pd.DataFrame) -> pd.DataFrame:
    """The deltas that are answer: neither filler nor padding."""
    apart = (deltas["filler"] | deltas["padding"]).to_numpy(bool)
    return deltas[~apart] if apart.any() else deltas


def _padding(deltas: pd.DataFrame) -> Flags:
    soft = (deltas["first_window"] < 0) & (deltas["audio_ns"] <= PADDING_NS)
    few = deltas[soft]
    silent = np.fromiter(
        (isinstance(level, bytes) and not any(level) for level in few["envelope"]), bool, len(few)
    )
    found = np.zeros(len(deltas), bool)
    found[few.index[silent]] = True
    if not found.any():
        return found
    other = deltas[~found & deltas["response"].isin(deltas.loc[found, "response"])]
    last = other.drop_duplicates("response", keep="last").set_index("response")["row"]
    behind = deltas["row"].to_numpy() > integers(deltas["response"].map(last).astype("Int64"), -1)
    return np.asarray(found & behind, bool)


def _filler(
    events: pd.DataFrame, responses: pd.DataFrame, deltas: pd.DataFrame, effective: Effective
) -> Flags:
    none = np.zeros(len(deltas), bool)
    if not any(state.responsive for state in effective.states):
        return none
    place = responses["session"].to_numpy(), responses["row"].to_numpy()
    responsive = effective.at(*place)["responsive"].to_numpy(bool)
    words = of_type(events, *WORDS)
    words = words[(texts(words["detail"]) != "").to_numpy()]
    responsive = responsive & np.isin(
        place[0], words["session"].unique()
    )  # a server that sends no words
    first: Ints = np.full(len(responses), NEVER)
    named = number(responses, words)
    known = named >= 0
    np.minimum.at(first, named[known], words["row"].to_numpy()[known])
    response = deltas["response"].to_numpy()
    early = responsive[response] & (deltas["row"].to_numpy() < first[response])
    audible = early & (deltas["first_window"] >= 0).to_numpy()
    return np.asarray(early & np.isin(response, response[audible]), bool)


def _begun_after_fillers(deltas: pd.DataFrame) -> pd.DataFrame:
    """The first delta of an answer waits for its own filler as for any other audio before it."""
    if not deltas["filler"].any():
        return deltas
    told = deltas[~deltas["filler"]].drop_duplicates("response")
    filled = deltas.loc[deltas["filler"], "response"]
    first = told.index[told["response"].isin(filled).to_numpy() & told["played"].to_numpy()]
    waited = deltas.loc[first, "start_ns"] - deltas.loc[first, "at_ns"]
    deltas.loc[first, "queued_ns"] = waited - deltas.loc[first, "held_ns"]
    deltas.loc[first, "gap_ns"] = 0
    return deltas


def first_interjections(events: pd.DataFrame, turns: pd.DataFrame) -> pd.Series:
    """By turn: when the first chunk of one arrived while the turn was being said; NA: none did."""
    rows = events[is_type(events, _INTERJECTION) & (events["nbytes"].to_numpy() > 0)]
    at = rows["at_ns"].to_numpy()
    turn = owner(turns, rows["session"].to_numpy(), at)
    ends = np.append(integers(turns["speech_offset_ns"], -1), -1)
    while_said = (turn >= 0) & (at <= ends[turn])
    first = pd.DataFrame({"turn": turn[while_said], "at_ns": at[while_said]})
    first = first.drop_duplicates("turn").set_index("turn")
    return first["at_ns"].astype("Int64").reindex(turns.index)


def interjections(events: pd.DataFrame) -> int:
    """How many there are among `events`: one per backchannel_id."""
    rows = events[is_type(events, _INTERJECTION)]
    named = pd.DataFrame({"session": rows["session"].to_numpy(), "id": texts(rows["detail"])})
    return len(named.drop_duplicates())
