"""Which reply is in the player at an instant, window by window of 10 ms.

Theory of operation
-------------------
A reply is *playing* at an instant where it has been audible before and, were the player never
emptied, would be again. Both are asked of every audible window: when it ends in the player as it
was (emptied at `bench.flush`), and in one that plays all it was sent.
"""

import numpy as np
import pandas as pd

from bench.analysis.playout import WINDOW_NS, audible_spans, play_alone
from bench.analysis.tables import NEVER, Ints, integers


def windows(deltas: pd.DataFrame) -> pd.DataFrame:
    """Audible windows of the replies, as `session`, `response`, `begin_ns`, `end_ns`.

    `in_player`: it was played; `alone_ns` is its end in a player that is never emptied. Of deltas
    that were not cut short the first and the last audible window stand for all.
    """
    first = deltas[deltas["played"]].drop_duplicates("response").set_index("response")["start_ns"]
    known = deltas[deltas["response"].isin(first.index)]
    ordered = known.iloc[np.argsort(known["response"].to_numpy(), kind="stable")]
    run, replies = pd.factorize(ordered["response"].to_numpy(), sort=True)
    length = ordered["audio_ns"].to_numpy()
    alone = play_alone(
        run.astype(np.int64), ordered["at_ns"].to_numpy(), length,
        first.reindex(replies).to_numpy(np.int64),
    )  # fmt: skip
    delta, window = _shown(ordered)
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
        },
        copy=False,
    )


def _shown(deltas: pd.DataFrame) -> tuple[Ints, Ints]:
    """(which delta, which window of it) of every audible window that can matter."""
    start, cut = deltas["start_ns"].to_numpy(), deltas["cut_ns"].to_numpy()
    short = deltas["played"].to_numpy(bool) & (start < cut)
    short &= cut - np.where(short, start, 0) < deltas["audio_ns"].to_numpy()
    within = np.flatnonzero(short)
    delta, window = audible_spans(deltas["envelope"].iloc[within].tolist())
    first, last = deltas["first_window"].to_numpy(), deltas["last_window"].to_numpy()
    whole = np.flatnonzero(~short & (first >= 0))
    return (
        np.concatenate([within[delta], whole, whole]),
        np.concatenate([window, first[whole], last[whole]]),
    )


def cuts_of(deltas: pd.DataFrame) -> pd.Series:
    """When the player was emptied of each reply, by response; NEVER: it was not."""
    cut: pd.Series = deltas[deltas["played"]].groupby("response")["cut_ns"].max()
    return cut


def interrupted(asked: pd.DataFrame, spans: pd.DataFrame, cuts: pd.Series) -> pd.Series:
    """The reply that was playing when each of `asked` began; NA where none was.

    `asked` has `session`, `begin_ns` and `speech_started_ns` (NA: the server noticed nothing); the
    result has its index.
    """
    begin = asked["begin_ns"].to_numpy(np.int64)
    noticed = np.minimum(begin, integers(asked["speech_started_ns"], NEVER))
    replies = spans.groupby("response")
    heard = spans[spans["in_player"]].groupby("response")["begin_ns"].min()
    life = pd.DataFrame(
        {
            "session": replies["session"].first().reindex(heard.index),
            "response": heard.index,
            "heard_ns": heard,
            "until_ns": replies["alone_ns"].max().reindex(heard.index),
            "cut_ns": cuts.reindex(heard.index),
        }
    )
    mine = pd.DataFrame(
        {
            "session": asked["session"].to_numpy(),
            "asked": np.arange(len(asked)),
            "begin_ns": begin,
            "noticed_ns": noticed,
        }
    )
    pairs = mine.merge(life, on="session")
    audible = (pairs["heard_ns"] <= pairs["begin_ns"]) & (pairs["begin_ns"] < pairs["until_ns"])
    # A detector may be early: a player that this very interruption emptied was playing.
    inside = pairs[audible & (pairs["cut_ns"] >= pairs["noticed_ns"])]
    last = inside.sort_values(["asked", "response"]).drop_duplicates("asked", keep="last")
    found = last.set_index("asked")["response"].reindex(mine["asked"])
    return pd.Series(found.to_numpy(), asked.index).astype("Int64")
