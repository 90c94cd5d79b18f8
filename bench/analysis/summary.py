"""summary.json: every metric's statistics, each with its interval and its n.

Theory of operation
-------------------
Per-turn figures are over the turns of the measured phase, per-session figures over sessions that
lived in it. Turns that the run itself cut short are in no denominator; every other attempt is in
all of them. A turn that failed while the caller was waiting is a censored sample of what it was
waiting for (`WAITED_FOR`), and so is whatever the caller asked for and the server ignored (a
cancel, an acknowledgement): a server that answers nine callers in ten fast and the tenth never has
no fast p95 (flaw F12). A quantile that lies beyond every wait has n and no value.

Where a run has several settings or scripts, per-turn figures are given again for each (`filter`),
their intervals from fewer resamples; the generator's own figures are, for each worker.

Every latency says what its own stamps leave open (`bars`): `error_p50` and `error_p99` are of the
widths of its samples' error bars, in its unit. Turns that were set aside (`trouble`) are in no
figure.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from bench.analysis.acks import ack_samples, ack_widths
from bench.analysis.bars import Bars, causes, error_of, widths
from bench.analysis.counts import counts, is_counted, usage
from bench.analysis.errors import errors_by_code
from bench.analysis.leaks import leaks
from bench.analysis.measure import PER_SESSION, PER_TURN, about, in_vain_until
from bench.analysis.messages import message_counts, unseen
from bench.analysis.quirks import quirks
from bench.analysis.readiness import connecting, session_sample
from bench.analysis.rule_violations import rules_broken
from bench.analysis.sessions import span
from bench.analysis.settings_mismatch import count_unhonoured, unhonoured
from bench.analysis.tables import Flags, Floats, Ints, integers, is_type
from bench.analysis.turn_columns import TurnColumns
from bench.analysis.turns import Told
from bench.analysis.words import pooled, tally, worst
from bench.plan.gates import QUANTILES
from bench.plan.metrics import METRICS, VERSION, Metric
from bench.stats.interval import CONFIDENCE, Estimate
from bench.stats.proportion import per_attempt, proportion
from bench.stats.quantile import RESAMPLES, Sample, estimates, woodruff
from bench.tracker.event import NEVER
from bench.tracker.outcomes import FAILED, OUTCOMES
from bench.tracker.utterances import WRITTEN

FORMAT: Final = 1
FILTERED_RESAMPLES: Final = 400
"""Of rows for one setting or script: a third of the cost, and 95 % from ten on either side."""
WAITED_FOR: Final = (
    "speech_started", "speech_stopped", "first_audio", "first_text", "heard", "agent_silent",
    "after_output_audio",
)  # fmt: skip
"""Instants that every turn that they are about (`measure.about`) comes to unless it fails: a failed
turn waited for them."""

_ABOUT: Final = {
    "confidence": CONFIDENCE,
    "resamples": RESAMPLES,
    "filtered_resamples": FILTERED_RESAMPLES,
    "estimator": "linear interpolation between order statistics (Hyndman-Fan type 7); waits "
    "without an end are right-censored (Kaplan-Meier); value null with n above 0: beyond all "
    "waits, more than `longest`",
    "intervals": "quantiles and means of turns, sessions and acknowledgements: bootstrap of whole "
    "sessions; of chunks and messages: Woodruff, by session (hub_lag: by worker-second); shares: "
    "Clopper-Pearson; spurious: Garwood",
    "errors": "error_p50 and error_p99: how wide the error bars of the samples' own stamps are",
    "set_aside": "measured turns that a bad second of their worker touched are in no figure",
    "whole_run": "messages, errors_by_code, quirks, greetings, violations, leaks and unhonoured "
    "are over the whole run, all else over its measured phase",
}


class Measured(NamedTuple):
    """The run's tables with their figures.

    `told` has the measured turns, `sessions` is the measured table; `breaches` are the turns whose
    headline was checked, and those where it is not the sum of its parts; `set_aside` is what
    `trouble` says.
    """

    told: Told
    sessions: pd.DataFrame
    breaches: tuple[int, int]
    set_aside: dict[str, Any]


def summarise(
    run: dict[str, Any], events: pd.DataFrame, health: pd.DataFrame, measured: Measured
) -> dict[str, Any]:
    """The whole document."""
    plan, sessions, told = run["plan"], measured.sessions, measured.told
    begin, stop = span(plan)
    counted = told.turns[told.turns["measured"]]
    attempted = counted[counted["outcome"] != "cut"]
    aside = told.disturbances
    aside = aside[(aside["at_ns"] >= begin) & (aside["at_ns"] < stop)]
    at = events["at_ns"].to_numpy()
    rare = events[(at >= begin) & (at < stop) & is_counted(events)]
    by_number = sessions.set_index("session")
    broken = rules_broken(told.violations, events, plan.get("start_ns"))
    leaked = leaks(events, by_number, told.said, plan.get("start_ns"))
    asked = told.mismatches
    messages = message_counts(events)
    found = {
        "violations": len(told.violations),
        "leaks": len(leaked),
        "unhonoured": count_unhonoured(asked),
        "unseen_messages": len(unseen(messages)),
    }
    bars = Bars(events, causes(events, told.turns, told.acks))
    width = pd.DataFrame(widths(bars, attempted, PER_TURN), attempted.index)
    rows = [
        *_per_turn(attempted, width, aside, "", RESAMPLES),
        *_per_session(sessions, bars),
        *_per_event(plan, events.assign(at_err_ns=bars.width), health, sessions),
        *_per_request(ack_samples(told.acks, by_number, begin, stop), ack_widths(told.acks, bars)),
        *_counts(counts(plan, events, rare, sessions, counted, found)),
        *_filtered(attempted, width, aside, sessions),
    ]
    checked, breached = measured.breaches
    outcomes = counted["outcome"].value_counts()
    return {
        "format": FORMAT,
        "metric_version": VERSION,
        "rows": rows,
        "outcomes": {word: int(outcomes.get(word, 0)) for word in OUTCOMES},
        "sessions": {"started": len(sessions), **_tally(sessions["outcome"])},
        "connecting": connecting(sessions, plan)._asdict(),
        "addresses": _tally(sessions["address"][sessions["address"].fillna("") != ""]),
        "settings": _names(sessions, "setting"),
        "scripts": _names(sessions, "script"),
        "usage": usage(rare),
        "words": {**tally(attempted), "worst": worst(attempted)},
        "messages": messages,
        "errors_by_code": errors_by_code(events),
        "quirks": quirks(events),
        "greetings": told.greetings,
        "violations": broken,
        "leaks": leaked,
        "unhonoured": unhonoured(asked),
        "set_aside": measured.set_aside,
        "stamps": {
            "reads": int(sessions["reads"].sum()),
            "by_kernel": int(sessions["stamped"].sum()),
        },
        "checks": {"identity_breaches": breached, "identity_checked": checked},
        "about": _ABOUT,
    }


def _per_turn(
    turns: pd.DataFrame, width: pd.DataFrame, aside: pd.DataFrame, only: str, resamples: int
) -> Iterator[dict[str, Any]]:
    """Figures of turns, `only` those of a filter; `width` is of their error bars."""
    columns = TurnColumns(turns)
    for metric in PER_TURN:
        found = estimates(turn_sample(metric, columns), QUANTILES, resamples)
        bar = width[metric.name].to_numpy() if metric.name in width else None
        yield from _statistics(metric, found, only, bar)
    for metric in METRICS.values():
        if metric.kind == "share":
            yield figure_row(metric, "share", share(metric.name, columns, aside), only=only)


def _filtered(
    turns: pd.DataFrame, width: pd.DataFrame, aside: pd.DataFrame, sessions: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    """The figures of turns again, for every setting and every script of a run that has several."""
    for column in ("setting", "script"):
        names = _names(sessions, column)
        if len(names) < 2:
            continue
        whose = aside["session"].map(sessions.set_index("session")[column])
        for name in names:
            mine = turns[turns[column] == name]
            yield from _per_turn(
                mine, width.loc[mine.index], aside[whose == name], f"{column}={name}",
                FILTERED_RESAMPLES,
            )  # fmt: skip


def _names(sessions: pd.DataFrame, column: str) -> list[str]:
    """The settings or scripts of a run, in the order of sessions; that it has none is no name."""
    return [str(name) for name in sessions[column].unique() if name]


def _per_session(sessions: pd.DataFrame, bars: Bars) -> Iterator[dict[str, Any]]:
    counted = sessions[sessions["measured"]]
    width = widths(bars, counted, PER_SESSION)
    for metric in PER_SESSION:
        found = estimates(session_sample(metric, counted), QUANTILES)
        yield from _statistics(metric, found, width=width.get(metric.name))


def _per_event(
    plan: dict[str, Any], events: pd.DataFrame, health: pd.DataFrame, sessions: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    """The generator's own figures: of the run, and of each worker."""
    samples = event_samples(plan, events, health, sessions)
    workers = sorted({int(one) for found in samples.values() for one in np.unique(found.worker)})
    for name, found in samples.items():
        estimated = woodruff(found.ms, found.cluster, QUANTILES)
        yield from _statistics(METRICS[name], estimated, width=found.width)
        for worker in workers:
            mine = found.worker == worker
            estimated = woodruff(found.ms[mine], found.cluster[mine], QUANTILES)
            only = f"worker={worker}"
            yield from _statistics(METRICS[name], estimated, only, found.width[mine])


def _per_request(samples: dict[str, Sample], width: dict[str, Floats]) -> Iterator[dict[str, Any]]:
    for name, sample in samples.items():
        found = estimates(sample, QUANTILES)
        yield from _statistics(METRICS[name], found, width=width.get(name))


def turn_waits(metric: Metric, turns: TurnColumns) -> tuple[Floats, Flags]:
    """By attempted turn: its sample of a per-turn metric, and whether that is a wait without end.

    NaN: the turn has none; infinite: it waits for ever.
    """
    values = turns.figures(metric.name)
    has = ~np.isnan(values)
    never = np.zeros(len(turns), bool)
    if metric.end in WAITED_FOR:
        begin, until = turns.instants(f"{metric.start}_ns"), turns.instants("waited_until_ns")
        if metric.end == "agent_silent":
            lost = turns.has("yielded")
        else:
            lost = turns.among("outcome", *FAILED) & about(metric, turns)
        waits = lost & ~has & (begin != NEVER) & (until != NEVER)
        if not metric.needs:  # a caller who was turned away waits for ever (flaw F12)
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


def share(name: str, turns: TurnColumns, aside: pd.DataFrame) -> Estimate:
    """A share of attempted turns (without those the run cut), in %; `aside` are disturbances."""
    if name == "spurious":
        return per_attempt(int(turns.table["spurious"].sum()), len(turns))
    if name == "word_error_rate":
        return pooled(turns.table)
    if name == "false_barge_in":
        return proportion(aside["silenced"].to_numpy(bool), aside["session"].to_numpy())
    yes, known = share_flags(name, turns)
    return proportion(yes[known], turns.sessions()[known])


def share_flags(name: str, turns: TurnColumns) -> tuple[Flags, Flags]:
    """By turn: yes or no, and which turns the share is over.

    What is written is never talked over; without a VAD nothing is missed or split.
    """
    column = {"good_turns": "good_turn"}.get(name, name)
    known = turns.has(column)
    if name in {"missed", "split_turn", "talked_over"}:
        known = known & ~turns.among("role", WRITTEN)
    if name in {"missed", "split_turn"}:
        known = known & ~turns.flags("manual")
    return turns.flags(column) & known, known


class Series(NamedTuple):
    """Samples of the generator itself: what each belongs to, whose it is, its error bar in ms."""

    ms: Floats
    cluster: Ints
    worker: Ints
    width: Floats


def event_samples(
    plan: dict[str, Any], events: pd.DataFrame, health: pd.DataFrame, sessions: pd.DataFrame
) -> dict[str, Series]:
    """The generator's own figures in the measured phase, by metric."""
    begin, stop = span(plan)
    at = events["at_ns"].to_numpy()
    within = (at >= begin) & (at < stop)
    sent = within & is_type(events, "input_audio_buffer.append", direction="out")
    sent &= events["due_ns"].notna().to_numpy()
    read = within & (events["direction"] == "in").to_numpy() & events["read_ns"].notna().to_numpy()
    session = events["session"].to_numpy()
    number = sessions["session"].to_numpy(np.int64)
    whose = np.append(integers(sessions["worker"], -1), -1)
    bar = events["at_err_ns"].to_numpy(np.int64) / 1e6
    seconds = integers(health["at_ns"], NEVER)
    lag = health["hub_lag_ns"].notna().to_numpy() & (seconds >= begin) & (seconds < stop)
    hub = integers(health["hub_lag_ns"], 0)[lag] / 1e6

    def of(rows: Flags, late: Floats) -> Series:
        mine = session[rows]
        return Series(late, mine, whose[np.searchsorted(number, mine)], bar[rows])

    return {
        "send_lateness": of(sent, (at[sent] - integers(events["due_ns"][sent], 0)) / 1e6),
        "client_lag": of(read, (integers(events["read_ns"][read], 0) - at[read]) / 1e6),
        "hub_lag": Series(
            hub,
            np.arange(len(hub)),
            integers(health["worker"], -1)[lag],
            np.zeros(len(hub)),
        ),
    }


def _counts(found: Iterator[tuple[str, int, float, int]]) -> Iterator[dict[str, Any]]:
    for name, count, seconds, n in found:
        metric = METRICS[name]
        yield figure_row(metric, "count", Estimate(count, n=n))
        yield figure_row(
            metric, "rate", Estimate(count / seconds if seconds else None, n=n), unit="/s"
        )


def remark_rows(count: int, sessions: int) -> list[dict[str, Any]]:
    """The rows of the count of remarks."""
    metric = METRICS["remarks"]
    rate = figure_row(metric, "rate", Estimate(None, n=sessions), unit="/s")
    return [figure_row(metric, "count", Estimate(count, n=sessions)), rate]


def _statistics(
    metric: Metric, found: dict[str, Estimate], only: str = "", width: Floats | None = None
) -> Iterator[dict[str, Any]]:
    """The rows of a metric; where it is a latency, with the error of its own stamps."""
    bar = {} if width is None else error_of(width)
    for statistic, estimate in found.items():
        yield {**figure_row(metric, statistic, estimate, only=only), **bar}


def figure_row(
    metric: Metric, statistic: str, estimate: Estimate, unit: str = "", only: str = ""
) -> dict[str, Any]:
    """One row of the summary; what is infinite has no value."""
    return {
        "metric": metric.name,
        "filter": only,
        "statistic": statistic,
        "value": _finite(estimate.value),
        "low": _finite(estimate.low),
        "high": _finite(estimate.high),
        "n": estimate.n,
        "effective": estimate.effective,
        "longest": _finite(estimate.longest),
        "unit": unit or metric.unit,
        "error_p50": None,
        "error_p99": None,
    }


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else value


def _tally(outcomes: pd.Series) -> dict[str, int]:
    return {str(word): int(count) for word, count in outcomes.value_counts().sort_index().items()}
