"""Turns that a bad second of their own worker touched: excluded from every figure, and counted.

Theory of operation
-------------------
A run of ten minutes need not be thrown away for two seconds in which its generator was late, but
what was measured in them is the generator's and not the target's. A turn is excluded where the
time from its beginning to the last of its instants has a bad second in it. It stays in the tables
and is in no figure: neither among those answered nor among those that failed. How many bad seconds
a run may have at all is the rules' affair (`generator_timing`).
"""

from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.evidence import Evidence
from bench.analysis.generator_timing import bad_seconds
from bench.analysis.measure import turn_spans
from bench.analysis.tables import integers


def excluded_turns(evidence: Evidence, turns: pd.DataFrame) -> tuple[pd.Series, dict[str, Any]]:
    """(which turns, by index; what is said of it: `turns` and `seconds` counted, `spans`).

    A span is `{worker, from_s, to_s, rules}`, in seconds since the start of the run.
    """
    bad = bad_seconds(evidence)
    touched = np.zeros(len(turns), bool)
    if len(bad):
        begin, end = turn_spans(turns)
        start = evidence.start_ns
        worker = integers(turns["worker"], -1)
        for one, second in bad[["worker", "second"]].drop_duplicates().itertuples(index=False):
            since = start + int(second) * 1_000_000_000
            touched |= (worker == one) & (begin < since + 1_000_000_000) & (end >= since)
        touched &= turns["measured"].to_numpy(bool)
    seconds = bad[["worker", "second"]].drop_duplicates()
    told = {"turns": int(touched.sum()), "seconds": len(seconds), "spans": _spans(bad)}
    return pd.Series(touched, turns.index), told


def _spans(bad: pd.DataFrame) -> list[dict[str, Any]]:
    """Bad seconds in a row, as one."""
    spans: list[dict[str, Any]] = []
    for worker, second, rule in zip(
        bad["worker"].tolist(), bad["second"].tolist(), bad["rule"], strict=True
    ):
        last = spans[-1] if spans else None
        if last is None or last["worker"] != worker or last["to_s"] < second:
            spans.append({"worker": worker, "from_s": second, "to_s": second + 1, "rules": [rule]})
            continue
        last["to_s"] = max(last["to_s"], second + 1)
        if rule not in last["rules"]:
            last["rules"].append(rule)
    return spans
