"""In which stage of the load a turn began; only of a run whose load has stages."""

import numpy as np
import pandas as pd

from bench.analysis.evidence import Evidence
from bench.analysis.measure import turn_spans
from bench.plan.scenario import stage_names


def turn_stages(evidence: Evidence, turns: pd.DataFrame) -> pd.Series | None:
    """The name of each turn's stage; "" before the first one and after the last.

    None where the load has no stages, or the run does not say when it began.
    """
    load = evidence.effective.get("load") or {}
    stages, since = load.get("stages") or [], evidence.run["plan"].get("measured_from_ns")
    if not stages or since is None:
        return None
    edges = np.cumsum([since, *(stage["length"] for stage in stages)])
    names = np.array(["", *stage_names(stage["name"] for stage in stages), ""], object)
    begin, _ = turn_spans(turns)
    return pd.Series(names[np.searchsorted(edges, begin, "right")], turns.index, dtype=object)
