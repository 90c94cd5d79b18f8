"""Disturbances: backchannels and sounds said into a reply, and whether the agent fell for them.

Theory of operation
-------------------
Only what began while a reply was audible could interrupt one; what is said into silence is no
sample. The agent was *silenced* by it where the server noticed a start of speech in it, and because
of that start the caller's player was emptied, or the server cancelled the reply (`turn_detected`),
soon. "Because of" means that it was the last start before.
"""

import numpy as np
import pandas as pd

from bench.analysis.bargein import YIELD_NS
from bench.analysis.ear import Ear
from bench.analysis.playing import cuts_of, interrupted
from bench.analysis.tables import Ints, latest, of_type, parsed


def disturbances(
    events: pd.DataFrame,
    aside: pd.DataFrame,
    said: pd.DataFrame,
    ear: Ear,
    replies: pd.DataFrame,
    deltas: pd.DataFrame,
    spans: pd.DataFrame,
) -> pd.DataFrame:
    """One row per disturbance of a reply: `session`, `at_ns`, `role`, `utterance`, `silenced`.

    `aside` is everything said that is no turn, by its number in `said`.
    """
    starts = ear.starts.assign(of=_number(said, ear.starts["utterance"].to_numpy()))
    mine = starts[starts["of"] >= 0].drop_duplicates("of").set_index("of")
    asked = aside.assign(speech_started_ns=mine["at_ns"].astype("Int64"))
    deltas = deltas[deltas["session"].isin(asked["session"])]
    reply = interrupted(asked, spans, cuts_of(deltas))
    silenced = np.zeros(len(aside), bool)
    for rows in (_emptied(events), _cancelled(replies)):
        session, at = rows["session"].to_numpy(np.int64), rows["at_ns"].to_numpy(np.int64)
        last = latest(session, at, starts["session"].to_numpy(), starts["at_ns"].to_numpy())
        fell = last >= 0
        start = starts.iloc[last[fell]]
        soon = at[fell] <= start["at_ns"].to_numpy() + YIELD_NS
        of = start["of"].to_numpy()[soon]
        silenced[of[of >= 0]] = True
    table = pd.DataFrame(
        {
            "session": aside["session"],
            "at_ns": aside["begin_ns"],
            "role": aside["role"],
            "utterance": aside["utterance"],
            "silenced": silenced,
        }
    )
    return table[reply.notna().to_numpy(bool)].reset_index(drop=True)


def _number(said: pd.DataFrame, utterance: Ints) -> Ints:
    """The disturbance that each of `said` is; -1 where it is none."""
    return np.append(said["disturbance"].to_numpy(np.int64), -1)[utterance]


def _emptied(events: pd.DataFrame) -> pd.DataFrame:
    """Flushes that the caller did not decide upon itself."""
    rows = of_type(events, "bench.flush", direction="note")
    return rows[(parsed(rows, "cause")["cause"] != "caller").to_numpy(bool)]


def _cancelled(replies: pd.DataFrame) -> pd.DataFrame:
    """Where the server says that it cancelled a response because somebody spoke."""
    heard = (replies["status"] == "cancelled") & (replies["reason"] == "turn_detected")
    rows = replies[heard & replies["done_ns"].notna()]
    return rows[["session", "done_ns"]].rename(columns={"done_ns": "at_ns"})
