"""The agent's own backchannels: "I see", said while the caller speaks. They belong to no response.

They are in no latency of an answer; how soon the first one comes, and how many there are, is all
that is told of them.
"""

import numpy as np
import pandas as pd

from bench.analysis.speech import owner
from bench.analysis.tables import integers, is_type, texts

_DELTA = "response.backchannel.audio.delta"


def first_interjections(events: pd.DataFrame, turns: pd.DataFrame) -> pd.Series:
    """By turn: when the first chunk of one arrived while the turn was being said; NA: none did."""
    rows = events[is_type(events, _DELTA) & (events["nbytes"].to_numpy() > 0)]
    at = rows["at_ns"].to_numpy()
    turn = owner(turns, rows["session"].to_numpy(), at)
    ends = np.append(integers(turns["speech_offset_ns"], -1), -1)
    while_said = (turn >= 0) & (at <= ends[turn])
    first = pd.DataFrame({"turn": turn[while_said], "at_ns": at[while_said]})
    first = first.drop_duplicates("turn").set_index("turn")
    return first["at_ns"].astype("Int64").reindex(turns.index)


def interjections(events: pd.DataFrame) -> int:
    """How many there are among `events`: one per backchannel_id."""
    rows = events[is_type(events, _DELTA)]
    named = pd.DataFrame({"session": rows["session"].to_numpy(), "id": texts(rows["detail"])})
    return len(named.drop_duplicates())
