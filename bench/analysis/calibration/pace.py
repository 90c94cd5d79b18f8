"""The generator's own part: whether its audio clock runs straight, late sends, what it costs.

Theory of operation
-------------------
A chunk is due when its last sample has been captured: microphone opened + media position + length.
That is worked out anew from the opening and from what each chunk says of itself, not from the due
instants of the log, so a clock that slips takes its own dues along in vain. If the audio clock runs
straight, chunks at the end of a session are as late as those at its start: the slope of lateness
over time, times a minute, is the *audio clock drift*. It is the median over pairs, each chunk of a
session's first half with its counterpart in the second (Theil and Sen's estimator on half of the
pairs), so one late chunk moves nothing.
"""

from typing import Any, Final

import numpy as np
import pandas as pd

from bench.analysis.sessions import span
from bench.analysis.tables import Ints, integers, of_type
from bench.tracker.event import NEVER

_MINUTE_MS: Final = 60_000.0
_APART_NS: Final = 1_000_000_000
"""Chunks nearer to each other say more of the wake-up between them than of the clock."""


def audio_clock_drift(events: pd.DataFrame) -> float | None:
    """How many ms the audio sent falls behind in a minute; None where no session is long enough."""
    session, due, late = _lateness(events)
    if not len(session):
        return None
    first = np.searchsorted(session, session)
    size = np.searchsorted(session, session, "right") - first
    place = np.arange(len(session)) - first
    early = np.flatnonzero(place < size // 2)
    other = early + size[early] - size[early] // 2
    run, rise = due[other] - due[early], late[other] - late[early]
    apart = run >= _APART_NS
    if not apart.any():
        return None
    return float(np.median(rise[apart] / run[apart])) * _MINUTE_MS


def sends(events: pd.DataFrame) -> dict[str, Any]:
    """How late chunks left: n, p50_ms, p99_ms. The server hears late what is sent late."""
    _, _, late = _lateness(events)
    if not len(late):
        return {"n": 0, "p50_ms": None, "p99_ms": None}
    middle, high = np.quantile(late / 1e6, (0.5, 0.99))
    return {"n": len(late), "p50_ms": float(middle), "p99_ms": float(high)}


def cpu_per_session(health: pd.DataFrame, plan: dict[str, Any]) -> float | None:
    """Seconds of the workers' CPU per session-second of the measured phase."""
    begin, stop = span(plan)
    at = integers(health["at_ns"], NEVER)
    rows = health[(at >= begin) & (at < stop)]
    held = float(rows["sessions_open"].sum())
    return float(rows["cpu_share"].sum()) / held if held else None


def _lateness(events: pd.DataFrame) -> tuple[Ints, Ints, Ints]:
    """(session, due_ns, lateness in ns) of every chunk, in order."""
    notes = of_type(events, "bench.microphone", direction="note").drop_duplicates("session")
    opened = pd.Series(notes["at_ns"].to_numpy(np.int64), notes["session"].to_numpy())
    rows = of_type(events, "input_audio_buffer.append", direction="out")
    rows = rows[rows["media_ns"].notna() & rows["session"].isin(opened.index)]
    session, at = rows["session"].to_numpy(np.int64), rows["at_ns"].to_numpy(np.int64)
    due = opened.reindex(session).to_numpy(np.int64)
    due = due + integers(rows["media_ns"], 0) + integers(rows["audio_ns"], 0)
    return session, due, at - due
