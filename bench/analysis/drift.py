"""How a session's latency grows with its history, turn by turn.

Theory of operation
-------------------
The slope of first_audio_latency over the turn's number is that of Theil and Sen: the median of the
slopes between every two answered turns, which no single slow turn can move. Fewer than `TURNS` of
them say nothing of a trend.
"""

from typing import Final

import numpy as np
import pandas as pd

from bench.analysis.tables import Floats

TURNS: Final = 5
"""Answered turns of which a slope is told: ten pairs."""


def latency_drift(turns: pd.DataFrame) -> pd.Series:
    """By session: ms a turn; sessions with fewer than `TURNS` answered turns have none.

    `turns` has `session`, `turn`, `outcome`, `first_audio_latency`, in order.
    """
    told = turns[(turns["outcome"] == "ok") & turns["first_audio_latency"].notna()]
    x, y = told["turn"].to_numpy(float), told["first_audio_latency"].to_numpy(float)
    session, first, count = np.unique(
        told["session"].to_numpy(), return_index=True, return_counts=True
    )
    slope = np.full(len(session), np.nan)
    for size in np.unique(count[count >= TURNS]).tolist():
        alike = np.flatnonzero(count == size)
        rows = first[alike][:, None] + np.arange(size)
        slope[alike] = _slopes(x[rows], y[rows])
    known = count >= TURNS
    return pd.Series(slope[known], session[known], dtype=float)


def _slopes(x: Floats, y: Floats) -> Floats:
    """The slope of each row."""
    one, other = np.triu_indices(x.shape[1], 1)
    rise, run = y[:, other] - y[:, one], x[:, other] - x[:, one]
    return np.asarray(np.median(rise / run, axis=1))
