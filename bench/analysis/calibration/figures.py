"""The headline metrics of one run twice: from the harness's stamps, and from the truth's.

Theory of operation
-------------------
The same analysis goes over the events as they were recorded and over a copy in which every
received event stands at the instant at which the server sent it. A caller's player is emptied when
speech_started arrives, so that moves along (`bench.flush`). What the caller itself did stays where
it was: it is no measurement. The two tables have the same turns; the difference of a figure, turn
by turn, is what the harness added to it: *bias* is its median, *resolution* the 99th percentile of
its absolute value.
"""

from typing import Any, Final

import numpy as np
import pandas as pd

from bench.analysis.measure import measure_turns
from bench.analysis.sessions import sessions_table
from bench.analysis.tables import integers, is_type
from bench.analysis.turns import turns_table

HEADLINE: Final = (
    "first_audio_latency", "voice_to_voice_latency", "speech_start_delay", "endpointing_delay",
    "barge_in_silence",
)  # fmt: skip
_WHERE_THERE_IS: Final = "barge_in_silence"
"""The metric that not every scenario has."""


def at_the_truth(events: pd.DataFrame) -> pd.DataFrame:
    """A copy of the events of `join_truth` with the truth's stamps, ordered by them, no error."""
    known = events["before_ns"].notna().to_numpy()
    at = events["at_ns"].to_numpy(np.int64).copy()
    error = events["at_err_ns"].to_numpy(np.int64).copy()
    truth = integers(events["before_ns"], 0)
    moved = at.copy()
    moved[known], error[known] = truth[known], 0
    noticed = known & is_type(events, "input_audio_buffer.speech_started")
    causes = pd.DataFrame(
        {"session": events["session"][noticed], "at_ns": at[noticed], "truth": truth[noticed]}
    ).drop_duplicates(["session", "at_ns"])
    emptied = is_type(events, "bench.flush", direction="note")
    flushes = pd.DataFrame(
        {"session": events["session"][emptied], "at_ns": at[emptied]}
    ).merge(causes, on=["session", "at_ns"], how="left")  # fmt: skip
    since = flushes["truth"].astype("Int64").fillna(flushes["at_ns"].astype("Int64"))
    moved[emptied] = since.to_numpy(np.int64)
    copy = events.assign(at_ns=moved, at_err_ns=error)
    copy = copy.take(np.lexsort((moved, events["session"].to_numpy()))).reset_index(drop=True)
    copy["row"] = np.arange(len(copy), dtype=np.int64)
    return copy


def measured(events: pd.DataFrame, run: dict[str, Any]) -> pd.DataFrame:
    """The measured turns of some events of a run; `run` is its run.json."""
    sessions = sessions_table(events, run["plan"])
    return measure_turns(turns_table(events, sessions, run).turns, ())


def figure_errors(told: pd.DataFrame, truth: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By headline metric: n turns, bias_ms, p99_abs_ms; None where there is no turn.

    `told` and `truth` are turns of the same run. `unpaired` turns have the figure in one only.
    """
    both = told.merge(truth, on=["session", "turn"], how="outer", suffixes=("", "_truth"))
    found = {}
    for name in HEADLINE:
        mine, theirs = (
            both[column].to_numpy(np.float64, na_value=np.nan) for column in (name, f"{name}_truth")
        )
        error = (mine - theirs)[~np.isnan(mine) & ~np.isnan(theirs)]
        unpaired = int((np.isnan(mine) != np.isnan(theirs)).sum())
        if not len(error) and not unpaired and name == _WHERE_THERE_IS:
            continue
        found[name] = {
            "n": len(error),
            "bias_ms": float(np.median(error)) if len(error) else None,
            "p99_abs_ms": float(np.quantile(np.abs(error), 0.99)) if len(error) else None,
            "unpaired": unpaired,
        }
    return found
