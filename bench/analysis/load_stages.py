"""In which stage of the load a turn began; only of a run whose load has stages."""

from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.measure import turn_spans


def turn_stages(run: dict[str, Any], turns: pd.DataFrame) -> pd.Series | None:
    """The name of each turn's stage; "" before the first one and after the last.

    None where the load has no stages, or the run does not say when it began.
    """
    load = ((run.get("scenario") or {}).get("effective") or {}).get("load") or {}
    stages, since = load.get("stages") or [], run["plan"].get("measured_from_ns")
    if not stages or since is None:
        return None
    edges = np.cumsum([since, *(stage["length"] for stage in stages)])
    called = [stage["name"] or f"stage {number}" for number, stage in enumerate(stages, 1)]
    names = np.array(["", *called, ""], object)
    begin, _ = turn_spans(turns)
    return pd.Series(names[np.searchsorted(edges, begin, "right")], turns.index, dtype=object)
