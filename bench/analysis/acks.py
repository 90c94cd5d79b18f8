"""How long the caller waited for acknowledgements: figures of `bench.tracker.requests`.

A request that nothing answered was waited for until its session's end, where that was seen.
"""

import numpy as np
import pandas as pd

from bench.analysis.bars import Bars
from bench.analysis.sessions import WHOLE
from bench.analysis.tables import Floats, integers
from bench.plan.metrics import METRICS
from bench.stats.quantile import Sample
from bench.tracker.event import NEVER
from bench.tracker.requests import ACKNOWLEDGED


def in_vain(acks: pd.DataFrame, sessions: pd.DataFrame) -> pd.Series:
    """Until when (ns) each request waited for an answer that never came; NA where it did not.

    `sessions` are by number. In one whose end was not seen nobody knows what would have come, and
    in one that talks without ever saying session.updated nobody waits for that.
    """
    whole = acks["session"].map(sessions["outcome"].isin(WHOLE)).astype("boolean")
    mute = sessions["ready_ns"].isna() & sessions["opened_ns"].notna()
    unsaid = acks["session"].map(mute).fillna(value=False).astype(bool)
    whole &= ~(unsaid & (acks["metric"] == "update_ack"))
    waited = acks["answered_ns"].isna() & ~acks["refused"] & whole.fillna(value=False)
    return acks["session"].map(sessions["ended_ns"]).astype("Int64").where(waited)


def ack_widths(acks: pd.DataFrame, bars: Bars) -> dict[str, Floats]:
    """How wide the error bars of answered requests are, ms, by metric."""
    known = acks[acks["answered_ns"].notna()]
    session, sent = known["session"].to_numpy(np.int64), known["sent_ns"].to_numpy(np.int64)
    answered = integers(known["answered_ns"], 0)
    less = bars.of(session, answered).less + bars.of(session, sent).more
    # An answer that is stamped before its request is out of order already.
    less = np.where(answered >= sent, np.minimum(less, answered - sent), less)
    return {name: less[(known["metric"] == name).to_numpy(bool)] / 1e6 for name in ACKNOWLEDGED}


def ack_samples(
    acks: pd.DataFrame, sessions: pd.DataFrame, begin: int, stop: int
) -> dict[str, Sample]:
    """Waits (ms) for the acknowledgement of requests sent in [begin, stop), by metric.

    One that never came is censored. `sessions` are by number.
    """
    vain = in_vain(acks, sessions)
    until = integers(acks["answered_ns"].fillna(vain), NEVER)
    sent = acks["sent_ns"].to_numpy()
    waited = (sent >= begin) & (sent < stop) & (until != NEVER)
    samples = {}
    for name in ACKNOWLEDGED:
        if METRICS[name].of == "event":
            mine = waited & (acks["metric"] == name).to_numpy(bool)
            samples[name] = Sample(
                (until[mine] - sent[mine]) / 1e6,
                vain.notna().to_numpy(bool)[mine],
                acks["session"].to_numpy(np.intp)[mine],
            )
    return samples
