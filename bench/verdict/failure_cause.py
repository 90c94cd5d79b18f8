"""What sessions and turns of a run failed of: counted here, told by `bench.runs.failure`."""

from collections import Counter
from typing import Final

import pandas as pd

from bench.analysis.sessions import IN_ORDER
from bench.analysis.tables import texts
from bench.runs.failure import Cause, session_cause, turn_cause
from bench.tracker.outcomes import FAILED

MOST: Final = 0.5
"""A cause that so large a share met explains the run: it is told before any gate."""
_WITH_THEIR_SESSION: Final = ("rejected", "dropped")


def causes(sessions: pd.DataFrame, turns: pd.DataFrame) -> list[Cause]:
    """The commonest cause of failed sessions, and of failed turns whose session lived on.

    `sessions` needs outcome, reason, awaited, in_vain, started_ns, ended_ns; `turns` are those
    that count, with outcome and reason.
    """
    failed = turns[turns["outcome"].isin(FAILED) & ~turns["outcome"].isin(_WITH_THEIR_SESSION)]
    told = Counter(zip(failed["outcome"], texts(failed["reason"]), strict=True))
    attempted = int((turns["outcome"] != "cut").sum())
    found = session_cause(_sessions(sessions), len(sessions)), turn_cause(told, attempted)
    return [cause for cause in found if cause is not None]


def _sessions(sessions: pd.DataFrame) -> dict[tuple[str, str], int]:
    """Sessions that failed, counted by outcome and reason; of waits in vain the longest is told."""
    failed = sessions[~sessions["outcome"].isin(IN_ORDER) & ~sessions["in_vain"]]
    told = Counter(zip(failed["outcome"], texts(failed["reason"]), strict=True))
    for awaited, mine in sessions[sessions["in_vain"]].groupby("awaited"):
        longest = float((mine["ended_ns"] - mine["started_ns"]).max()) / 1e9
        told["waiting", f"for {awaited}, {longest:.1f} s at the longest"] = len(mine)
    return dict(told)
