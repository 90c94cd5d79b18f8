"""summary.json: every metric's statistics, each with its interval and its n.

Theory of operation
-------------------
Per-turn figures are over the turns of the measured phase, per-session figures over sessions that
lived in it. Turns that the run itself cut short are in no denominator; every other attempt is in
all of them. A turn that failed while the caller was waiting is a censored sample of what it was
waiting for (`WAITED_FOR`): a server that answers nine callers in ten fast and the tenth never has
no fast p95 (flaw F12). A quantile that lies beyond every wait has n and no value.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd

from bench.analysis.measure import PER_SESSION, PER_TURN
from bench.analysis.outcomes import BENIGN, FAILED, OUTCOMES
from bench.analysis.quantile import (
    CONFIDENCE,
    RESAMPLES,
    Estimate,
    Sample,
    estimates,
    per_attempt,
    proportion,
    woodruff,
)
from bench.analysis.sessions import span
from bench.analysis.tables import NEVER, integers, is_type, parsed
from bench.plan.gates import QUANTILES
from bench.plan.metrics import METRICS, VERSION, Metric

FORMAT: Final = 1
WAITED_FOR: Final = (
    "speech_started", "speech_stopped", "first_audio", "heard", "agent_silent",
)  # fmt: skip
"""Instants that every spoken turn comes to unless it fails: a failed turn waited for them."""

_ABOUT: Final = {
    "confidence": CONFIDENCE,
    "resamples": RESAMPLES,
    "estimator": "linear interpolation between order statistics (Hyndman-Fan type 7); waits "
    "without an end are right-censored (Kaplan-Meier); value null with n above 0: beyond all waits",
    "intervals": "quantiles and means of turns and sessions: bootstrap of whole sessions; of "
    "events: Woodruff, by session (hub_lag: by worker-second); shares: Clopper-Pearson; spurious: "
    "Garwood",
}


def summarise(
    run: dict[str, Any],
    events: pd.DataFrame,
    health: pd.DataFrame,
    sessions: pd.DataFrame,
    turns: pd.DataFrame,
    breaches: tuple[int, int],
) -> dict[str, Any]:
    """The whole document. `sessions` and `turns` are the measured tables."""
    counted = turns[turns["measured"]]
    attempted = counted[counted["outcome"] != "cut"]
    rows: list[dict[str, Any]] = []
    for metric in PER_TURN:
        rows += _statistics(metric, estimates(turn_sample(metric, attempted), QUANTILES))
    for metric in PER_SESSION:
        values = sessions.loc[sessions["measured"], metric.name].dropna()
        none = np.zeros(len(values), bool)
        sample = Sample(values.to_numpy(), none, np.arange(len(values)))
        rows += _statistics(metric, estimates(sample, QUANTILES))
    for name, (values, cluster) in event_samples(run["plan"], events, health).items():
        rows += _statistics(METRICS[name], woodruff(values, cluster, QUANTILES))
    for metric in METRICS.values():
        if metric.kind == "share":
            rows.append(_row(metric, "share", share(metric.name, attempted)))
    rows += _counts(run["plan"], events, sessions, counted)
    checked, broken = breaches
    outcomes = counted["outcome"].value_counts()
    return {
        "format": FORMAT,
        "metric_version": VERSION,
        "rows": rows,
        "outcomes": {word: int(outcomes.get(word, 0)) for word in OUTCOMES},
        "sessions": {"started": len(sessions), **_tally(sessions["outcome"])},
        "usage": _usage(run["plan"], events),
        "checks": {"identity_breaches": broken, "identity_checked": checked},
        "about": _ABOUT,
    }


def turn_sample(metric: Metric, turns: pd.DataFrame) -> Sample:
    """The samples of a per-turn metric among attempted turns, failed waits censored."""
    values = turns[metric.name].to_numpy(np.float64)
    has = ~np.isnan(values)
    waits = np.zeros(len(turns), bool)
    if metric.end in WAITED_FOR:
        begin = integers(turns[f"{metric.start}_ns"], NEVER)
        until = integers(turns["waited_until_ns"], NEVER)
        lost = turns["outcome"].isin(FAILED).to_numpy(bool)
        if metric.end == "agent_silent":
            lost = turns["yielded"].notna().to_numpy(bool)
        elif metric.needs == "interruption":
            lost = lost & (turns["role"] == "interruption").to_numpy(bool)
        waits = lost & ~has & (begin != NEVER) & (until != NEVER)
        values = np.where(waits, (until - np.where(waits, begin, 0)) / 1e6, values)
        if not metric.needs:  # a caller who was turned away waits for ever (flaw F12)
            never = lost & ~has & (begin == NEVER)
            values, waits = np.where(never, np.inf, values), waits | never
    kept = has | waits
    _, cluster = np.unique(turns["session"].to_numpy()[kept], return_inverse=True)
    return Sample(values[kept], waits[kept], cluster)


def share(name: str, turns: pd.DataFrame) -> Estimate:
    """A share of attempted turns (without those the run cut), in %."""
    if name == "spurious":
        return per_attempt(int(turns["spurious"].sum()), len(turns))
    column = {"good_turns": "good_turn"}.get(name, name)
    known = turns[column].dropna()
    return proportion(known.to_numpy(bool), turns.loc[known.index, "session"].to_numpy())


def event_samples(
    plan: dict[str, Any], events: pd.DataFrame, health: pd.DataFrame
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The generator's own figures in the measured phase: (ms, cluster) by metric."""
    begin, stop = span(plan)
    at = events["at_ns"].to_numpy()
    within = (at >= begin) & (at < stop)
    sent = within & is_type(events, "input_audio_buffer.append", direction="out")
    sent &= events["due_ns"].notna().to_numpy()
    read = within & (events["direction"] == "in").to_numpy() & events["read_ns"].notna().to_numpy()
    session = events["session"].to_numpy()
    seconds = integers(health["at_ns"], NEVER)
    lag = health["hub_lag_ns"].notna().to_numpy() & (seconds >= begin) & (seconds < stop)
    hub = integers(health["hub_lag_ns"], 0)[lag] / 1e6
    return {
        "send_lateness": ((at[sent] - integers(events["due_ns"][sent], 0)) / 1e6, session[sent]),
        "client_lag": ((integers(events["read_ns"][read], 0) - at[read]) / 1e6, session[read]),
        "hub_lag": (hub, np.arange(len(hub))),
    }


def _counts(
    plan: dict[str, Any], events: pd.DataFrame, sessions: pd.DataFrame, turns: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    """Counts over the measured phase, and per second of it; n is the turns they are about.

    Sessions are counted, and divided, from the start of the run: a closed load starts them all in
    the warm-up.
    """
    begin, stop = span(plan)
    at = events["at_ns"].to_numpy()
    within = (at >= begin) & (at < stop)
    counts = {
        "turns": len(turns),
        "failed_turns": int(turns["outcome"].isin(FAILED).sum()),
        "errors": _errors(events[within & is_type(events, "error")]),
        "unknown_messages": int(
            (within & is_type(events, "bench.unknown", direction="note")).sum()
        ),
    }
    last = int(at.max()) if len(at) else begin
    seconds = max(min(stop, last) - begin, 0) / 1e9
    start = plan.get("start_ns")
    whole = max(min(stop, last) - (begin if start is None else int(start)), 0) / 1e9
    for name, count in counts.items():
        yield from _count(METRICS[name], count, seconds, len(turns))
    yield from _count(METRICS["sessions"], len(sessions), whole, len(sessions))


def _usage(plan: dict[str, Any], events: pd.DataFrame) -> dict[str, int] | None:
    """Tokens that the server reports over the measured phase; None where it reports none.

    `replies` is how many responses ended, `reporting` how many of them said what they used.
    """
    begin, stop = span(plan)
    at = events["at_ns"].to_numpy()
    done = events[(at >= begin) & (at < stop) & is_type(events, "response.done")]
    said = [usage for usage in parsed(done, "usage")["usage"] if isinstance(usage, dict)]
    if not said:
        return None
    totals = {
        name: sum(count for usage in said if isinstance(count := usage.get(name), int))
        for name in ("total_tokens", "input_tokens", "output_tokens")
    }
    return {**totals, "replies": len(done), "reporting": len(said)}


def _errors(rows: pd.DataFrame) -> int:
    """Errors, the races that are nobody's fault (`BENIGN`) apart."""
    return int((~parsed(rows, "code")["code"].isin(BENIGN)).sum())


def _count(metric: Metric, count: int, seconds: float, n: int) -> Iterator[dict[str, Any]]:
    yield _row(metric, "count", Estimate(count, n=n))
    yield _row(metric, "rate", Estimate(count / seconds if seconds else None, n=n), unit="/s")


def _statistics(metric: Metric, found: dict[str, Estimate]) -> Iterator[dict[str, Any]]:
    for statistic, estimate in found.items():
        yield _row(metric, statistic, estimate)


def _row(metric: Metric, statistic: str, estimate: Estimate, unit: str = "") -> dict[str, Any]:
    return {
        "metric": metric.name,
        "filter": "",
        "statistic": statistic,
        "value": _finite(estimate.value),
        "low": _finite(estimate.low),
        "high": _finite(estimate.high),
        "n": estimate.n,
        "unit": unit or metric.unit,
    }


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else value


def _tally(outcomes: pd.Series) -> dict[str, int]:
    return {str(word): int(count) for word, count in outcomes.value_counts().sort_index().items()}
