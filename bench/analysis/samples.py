"""The samples of every metric, as estimators want them: values, waits never answered, clusters.

Theory of operation
-------------------
A turn that failed while the caller was waiting is a censored sample of what it was waiting for
(`Instant.awaited`), and so is whatever the caller asked for and the server ignored (a cancel, an
acknowledgement). A caller who was turned away waits for ever. A server that answers nine callers in
ten fast and the tenth never has no fast p95 (flaw F12).
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from bench.analysis.measure import about, in_vain_until
from bench.analysis.sessions import IMPATIENT, IN_ORDER, WHOLE, span, workers_of
from bench.analysis.stamps import Stamps
from bench.analysis.tables import Flags, Floats, Ints, integers
from bench.analysis.turn_columns import TurnColumns
from bench.analysis.word_errors import pooled
from bench.plan.declaration import Metric
from bench.plan.instants import INSTANTS
from bench.plan.metrics import METRICS
from bench.stats.interval import Estimate
from bench.stats.proportion import per_attempt, proportion
from bench.stats.quantile import Sample
from bench.tracker.event import NEVER
from bench.tracker.outcomes import FAILED
from bench.tracker.requests import ACKNOWLEDGED
from bench.tracker.utterances import WRITTEN

_OURS: Final = ("lost", "crashed")
"""Outcomes that say nothing of the target: this program's own process or script ended them."""
_SPOKEN_SHARES: Final = {"missed", "split_turn", "talked_over"}
_VAD_SHARES: Final = {"missed", "split_turn"}


# ── turns ────────────────────────────────────────────────────────────────────────────────────────


def turn_waits(
    metric: Metric, turns: TurnColumns, waiting: Sequence[str] = FAILED
) -> tuple[Floats, Flags]:
    """By turn: its sample of a per-turn metric, and whether that is a wait without end.

    NaN: the turn has none; infinite: it waits for ever. `waiting` are the outcomes of turns that
    may have waited for what never came.
    """
    values = turns.figures(metric.name)
    has = ~np.isnan(values)
    never = np.zeros(len(turns), bool)
    if metric.end and INSTANTS[metric.end].awaited:
        begin, until = turns.instants(f"{metric.start}_ns"), turns.instants("waited_until_ns")
        if metric.end == "agent_silent":
            lost = turns.has("yielded")
        else:
            lost = turns.among("outcome", *waiting) & about(metric, turns)
        waits = lost & ~has & (begin != NEVER) & (until != NEVER)
        if not metric.needs:
            never = lost & ~has & (begin == NEVER)
    else:
        until = in_vain_until(metric, turns)
        waits = ~has & (until != NEVER)
    if waits.any():
        begin = turns.instants(f"{metric.start}_ns")
        values = np.where(waits, (until - begin) / 1e6, values)
    return np.where(never, np.inf, values), waits | never


def turn_sample(metric: Metric, turns: TurnColumns) -> Sample:
    """The samples of a per-turn metric among attempted turns, failed waits censored."""
    values, waits = turn_waits(metric, turns)
    kept = ~np.isnan(values)
    return Sample(values[kept], waits[kept], turns.sessions()[kept])


def share_parts(metric: Metric, turns: TurnColumns) -> tuple[Floats, Floats]:
    """By turn: how much of how much, of a share over turns, attempts or words; 0 of 0: no part.

    What is written is never talked over; without a VAD nothing is missed or split.
    """
    if metric.over == "words":
        return np.nan_to_num(turns.figures("word_errors")), np.nan_to_num(turns.figures("words"))
    if metric.over == "attempts":
        return turns.figures(metric.name), np.ones(len(turns))
    yes, known = share_flags(metric, turns)
    return yes.astype(np.float64), known.astype(np.float64)


def share_flags(metric: Metric, turns: TurnColumns) -> tuple[Flags, Flags]:
    """By turn, of a share over turns: yes or no, and which turns it is over."""
    column = {"good_turns": "good_turn"}.get(metric.name, metric.name)
    known = turns.has(column)
    if metric.name in _SPOKEN_SHARES:
        known = known & ~turns.among("role", WRITTEN)
    if metric.name in _VAD_SHARES:
        known = known & ~turns.flags("manual")
    return turns.flags(column) & known, known


def share(metric: Metric, turns: TurnColumns, disturbances: pd.DataFrame) -> Estimate:
    """A share among attempted turns (without those that the run cut), in %."""
    if metric.over == "disturbances":
        silenced = disturbances["silenced"].to_numpy(bool)
        return proportion(silenced, disturbances["session"].to_numpy())
    if metric.over == "words":
        return pooled(turns.table)
    if metric.over == "attempts":
        return per_attempt(int(turns.table[metric.name].sum()), len(turns))
    yes, known = share_flags(metric, turns)
    return proportion(yes[known], turns.sessions()[known])


# ── sessions and requests ────────────────────────────────────────────────────────────────────────


def session_waits(metric: Metric, sessions: pd.DataFrame) -> tuple[Floats, Flags]:
    """By session: its sample of a per-session metric, and whether that is a wait without end.

    NaN: the session has none; infinite: it waits for ever. A session that never became ready either
    was turned away (it waits for ever), or gave up, or the run ended while it waited: a wait as
    long as it lasted. What only follows readiness, and what a session that is ready went without,
    has no sample there.
    """
    values = sessions[metric.name].to_numpy(np.float64, na_value=np.nan, copy=True)
    waits = np.zeros(len(values), bool)
    if metric.kind == "interval" and metric.end != "started":
        begin = integers(sessions[f"{metric.start}_ns"], NEVER)
        missing = sessions[f"{metric.end}_ns"].isna() & sessions["opened_ns"].isna()
        waits = missing.to_numpy(bool) & (begin != NEVER)
        waits &= ~sessions["outcome"].isin(_OURS).to_numpy()
        ended = integers(sessions["ended_ns"], NEVER)
        turned_away = ~sessions["outcome"].isin([*IMPATIENT, *IN_ORDER]).to_numpy()
        values[waits] = np.where(turned_away, np.inf, (ended - begin) / 1e6)[waits]
    return values, waits


def session_sample(metric: Metric, sessions: pd.DataFrame) -> Sample:
    """The samples of a per-session metric; of sessions that never came so far they are censored."""
    values, waits = session_waits(metric, sessions)
    known = ~np.isnan(values)
    return Sample(values[known], waits[known], np.arange(int(known.sum())))


def request_samples(
    requests: pd.DataFrame, sessions: pd.DataFrame, begin: int, stop: int
) -> dict[str, Sample]:
    """Waits (ms) for the acknowledgement of requests sent in [begin, stop), by metric.

    One that never came is censored. `requests` is `told.Told.acks`, `sessions` are by number.
    """
    vain = _in_vain(requests, sessions)
    until = integers(requests["answered_ns"].fillna(vain), NEVER)
    sent = requests["sent_ns"].to_numpy()
    waited = (sent >= begin) & (sent < stop) & (until != NEVER)
    samples = {}
    for name in ACKNOWLEDGED:
        if METRICS[name].of == "event":
            mine = waited & (requests["metric"] == name).to_numpy(bool)
            samples[name] = Sample(
                (until[mine] - sent[mine]) / 1e6,
                vain.notna().to_numpy(bool)[mine],
                requests["session"].to_numpy(np.intp)[mine],
            )
    return samples


def _in_vain(requests: pd.DataFrame, sessions: pd.DataFrame) -> pd.Series:
    """Until when (ns) each request waited for an answer that never came; NA where it did not.

    A request that nothing answered was waited for until its session's end, where that was seen: in
    another nobody knows what would have come. And in a session that talks without ever saying
    session.updated nobody waits for that.
    """
    whole = requests["session"].map(sessions["outcome"].isin(WHOLE)).astype("boolean")
    mute = sessions["ready_ns"].isna() & sessions["opened_ns"].notna()
    unsaid = requests["session"].map(mute).fillna(value=False).astype(bool)
    whole &= ~(unsaid & (requests["metric"] == "update_ack"))
    waited = requests["answered_ns"].isna() & ~requests["refused"] & whole.fillna(value=False)
    return requests["session"].map(sessions["ended_ns"]).astype("Int64").where(waited)


# ── the generator ────────────────────────────────────────────────────────────────────────────────


class GeneratorSample(NamedTuple):
    """Samples of the generator itself: what each belongs to, whose it is, its error bar in ms."""

    ms: Floats
    cluster: Ints
    worker: Ints
    width: Floats


def generator_samples(
    plan: dict[str, Any], stamps: Stamps, health: pd.DataFrame, sessions: pd.DataFrame
) -> Iterator[tuple[str, GeneratorSample]]:
    """The generator's own figures in the measured phase, metric after metric: they may be many."""
    begin, stop = span(plan)
    within = (stamps.at_ns >= begin) & (stamps.at_ns < stop)
    seconds = integers(health["at_ns"], NEVER)
    known = health["hub_lag_ns"].notna().to_numpy() & (seconds >= begin) & (seconds < stop)
    lag = integers(health["hub_lag_ns"], 0)[known] / 1e6

    def of(rows: Flags) -> GeneratorSample:
        mine = stamps.session[rows]
        worker = workers_of(sessions, mine)
        late, width = (ns[rows] / 1e6 for ns in (stamps.late_ns, stamps.width_ns))
        return GeneratorSample(late, mine, worker, width)

    yield "send_lateness", of(within & stamps.chunks)
    yield "client_lag", of(within & stamps.reads)
    worker = integers(health["worker"], -1)[known]
    yield "hub_lag", GeneratorSample(lag, np.arange(len(lag)), worker, np.zeros(len(lag)))
