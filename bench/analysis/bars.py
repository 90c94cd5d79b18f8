"""The error bar of every latency: how far its own two instants may be off.

Theory of operation
-------------------
Of a received event it is known that it came in [at_ns - at_err_ns, at_ns], of a sent one that it
left in such a span (`tables`); an instant of a turn is the stamp of one of these, so its bar is
found by that stamp. Where several messages share one (they came in one segment) the widest bar
counts. What the caller's player does with audio is as uncertain as the arrival of that audio
(`_FOLLOWS`). Instants on the microphone's timeline and the program's own notes have no bar. A
latency's bar is the sum of its two instants': the latency is the value given or as much less or
more.
"""

from collections.abc import Collection
from typing import Final

import numpy as np
import pandas as pd

from bench.analysis.tables import ALWAYS, Floats, Ints, integers
from bench.plan.metrics import Metric

_FOLLOWS: Final = {
    "heard": "first_audio",
    "first_heard": "first_audio",
    "agent_silent": "interrupted_last_audio",
    "agent_silent_unflushed": "interrupted_last_audio",
}


class Bars:
    """The bars of a run's events: of `of(session, stamp)`, ns, 0 where a stamp is exact."""

    def __init__(self, events: pd.DataFrame) -> None:
        width = events["at_err_ns"].to_numpy(np.int64)
        rows = np.flatnonzero(width > 0)
        out = (events["direction"].to_numpy() == "out")[rows]
        width = width[rows]
        at = events["at_ns"].to_numpy(np.int64)[rows]
        # A sent message is timed from when it began to leave.
        self._stamp = np.where(out, at - width, at)
        self._session = events["session"].to_numpy(np.int64)[rows]
        self._width = width

    def of(self, session: Ints, stamp: Ints) -> Ints:
        """The width of the bar of each (session, stamp), ns."""
        known = np.isin(self._stamp, stamp)
        mine = pd.DataFrame(
            {
                "session": self._session[known],
                "stamp": self._stamp[known],
                "width": self._width[known],
            }
        )
        widest = mine.groupby(["session", "stamp"])["width"].max()
        asked = pd.MultiIndex.from_arrays([session, stamp], names=["session", "stamp"])
        place = widest.index.get_indexer(asked)
        return np.where(place >= 0, np.append(widest.to_numpy(np.int64), 0)[place], 0)


def widths(bars: Bars, table: pd.DataFrame, metrics: Collection[Metric]) -> dict[str, Floats]:
    """By interval metric: the width in ms of every row's bar, NaN where the row has no figure.

    `table` (turns or sessions) has `session`, the metrics, and their instants as `*_ns`.
    """
    intervals = [metric for metric in metrics if metric.kind == "interval"]
    names = {name for metric in intervals for name in (metric.start, metric.end)}
    names |= {_FOLLOWS[name] for name in names & set(_FOLLOWS)}
    known = sorted(name for name in names if f"{name}_ns" in table)
    session = table["session"].to_numpy(np.int64)
    stamps = [integers(table[f"{name}_ns"], ALWAYS) for name in known]
    asked = np.concatenate(stamps) if stamps else np.zeros(0, np.int64)
    found = bars.of(np.tile(session, len(known)), asked).reshape(len(known), len(table))
    width = dict(zip(known, found, strict=True))
    nothing = np.zeros(len(table), np.int64)
    for name, source in _FOLLOWS.items():
        if name in width:
            width[name] = np.maximum(width[name], width.get(source, nothing))
    return {
        metric.name: np.where(
            table[metric.name].isna().to_numpy(bool),
            np.nan,
            (width.get(metric.start, nothing) + width.get(metric.end, nothing)) / 1e6,
        )
        for metric in intervals
    }


def error_of(width_ms: Floats) -> dict[str, float | None]:
    """What a row of the summary says of its bars: `error_p50`, `error_p99`, ms."""
    known = width_ms[~np.isnan(width_ms)]
    if not len(known):
        return {"error_p50": None, "error_p99": None}
    middle, high = np.quantile(known, (0.5, 0.99))
    return {"error_p50": float(middle), "error_p99": float(high)}
