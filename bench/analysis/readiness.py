"""Who was let in: the waits of sessions that never became ready, and how many were on their way.

Theory of operation
-------------------
A session is *ready* once its microphone is open; before that it holds no call. One that never
became ready either was turned away (it waits for ever), or gave up, or the run ended while it
waited: a wait without an end, as long as it lasted.

Each session may take `ALLOWANCE_NS` to become ready: with short calls and a slow handshake some are
always on their way, and the load that was asked for is held all the same.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from bench.analysis.sessions import ALLOWANCE_NS, IMPATIENT, IN_ORDER, span
from bench.analysis.tables import Ints, integers
from bench.plan.metrics import Metric
from bench.stats.quantile import Sample
from bench.tracker.event import ALWAYS, NEVER

_OURS: Final = ("lost", "crashed")
"""Outcomes that say nothing of the target: this program's own process or script ended them."""


def session_sample(metric: Metric, sessions: pd.DataFrame) -> Sample:
    """The samples of a per-session metric; those of sessions that never came so far are censored.

    Who was turned away waits for ever (flaw F12). What only follows readiness, and what a session
    that is ready went without, has no sample there.
    """
    values = sessions[metric.name].to_numpy(np.float64, copy=True)
    waits = np.zeros(len(values), bool)
    if metric.kind == "interval" and metric.end != "started":
        begin = integers(sessions[f"{metric.start}_ns"], NEVER)
        missing = sessions[f"{metric.end}_ns"].isna() & sessions["opened_ns"].isna()
        waits = missing.to_numpy(bool) & (begin != NEVER)
        waits &= ~sessions["outcome"].isin(_OURS).to_numpy()
        ended = integers(sessions["ended_ns"], NEVER)
        turned_away = ~sessions["outcome"].isin([*IMPATIENT, *IN_ORDER]).to_numpy()
        values[waits] = np.where(turned_away, np.inf, (ended - begin) / 1e6)[waits]
    known = ~np.isnan(values)
    return Sample(values[known], waits[known], np.arange(int(known.sum())))


class Connecting(NamedTuple):
    """Sessions not ready yet, on average over the measured phase.

    `allowed` are those within the time that any may take, `waiting` those beyond it.
    """

    allowed: float
    waiting: float


def connecting(sessions: pd.DataFrame, plan: dict[str, Any]) -> Connecting:
    """How many sessions were on their way to be ready.

    No wait that came to nothing is allowed.
    """
    begin, stop = span(plan)
    if NEVER in {begin, stop} or ALWAYS in {begin, stop} or stop <= begin:
        return Connecting(0.0, 0.0)
    started = integers(sessions["started_ns"], stop)
    opened = integers(sessions["opened_ns"], NEVER)
    until = np.minimum(opened, integers(sessions["ended_ns"], NEVER))
    soon = np.where(opened == NEVER, started, np.minimum(until, started + ALLOWANCE_NS))
    allowed, whole = _overlap(started, soon, begin, stop), stop - begin
    return Connecting(allowed / whole, _overlap(soon, until, begin, stop) / whole)


def _overlap(since: Ints, until: Ints, begin: int, stop: int) -> float:
    """How long of [begin, stop) the spans hold, added up; ns."""
    return float(np.maximum(np.minimum(until, stop) - np.maximum(since, begin), 0).sum())
