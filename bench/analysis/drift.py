"""How a session's latency grows with its history, turn by turn.

Theory of operation
-------------------
The slope of first_audio_latency over the turn's number is that of Theil and Sen: the median of the
slopes between every two answered turns, which no single slow turn can move. Fewer than `TURNS` of
them say nothing of a trend. Of more than `MOST` each is compared with the one half a call later
alone: as steady, and no square of the call's length.
"""

from functools import cache
from typing import Final

import numpy as np
import pandas as pd

from bench.analysis.tables import Floats, Ints

TURNS: Final = 5
"""Answered turns of which a slope is told: ten pairs."""
MOST: Final = 300
"""Answered turns of which every two are compared: 45 thousand pairs."""


def latency_drift(turns: pd.DataFrame) -> pd.Series:
    """By session: ms a turn; sessions with fewer than `TURNS` answered turns have none.

    `turns` has `session`, `turn`, `outcome`, `first_audio_latency`, in order.
    """
    told = turns[(turns["outcome"] == "ok") & turns["first_audio_latency"].notna()]
    x, y = told["turn"].to_numpy(float), told["first_audio_latency"].to_numpy(float)
    session, first, count = np.unique(
        told["session"].to_numpy(), return_index=True, return_counts=True
    )
    known = count >= TURNS
    slopes = [
        _slope(x[begin : begin + size], y[begin : begin + size])
        for begin, size in zip(first[known].tolist(), count[known].tolist(), strict=True)
    ]
    return pd.Series(slopes, session[known], dtype=float)


def _slope(x: Floats, y: Floats) -> float:
    one, other = _pairs(len(x))
    return float(np.median((y[other] - y[one]) / (x[other] - x[one])))


@cache
def _pairs(count: int) -> tuple[Ints, Ints]:
    """Which of so many turns are compared with which later ones."""
    if count <= MOST:
        one, other = np.triu_indices(count, 1)
        return one, other
    first = np.arange(count - count // 2)
    return first, first + count // 2
