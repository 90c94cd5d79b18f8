"""summary.json: every metric's statistics, each with its interval and its n.

Theory of operation
-------------------
Per-turn figures are over the turns of the measured phase, per-session figures over sessions that
lived in it. Turns that the run itself cut short are in no denominator; every other attempt is in
all of them; waits that came to nothing are censored (`samples`). A quantile that lies beyond every
wait has n and no value.

Where a run has several settings or scripts, per-turn figures are given again for each (`filter`),
their intervals from fewer resamples; the generator's own figures are, for each worker.

Every latency says what its own stamps leave open (`timestamp_error`): `error_p50` and `error_p99`
are of the widths of its samples' error bars, in its unit. Turns that were excluded
(`excluded_turns`) are in no figure.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from bench.analysis.counts import counts, errors_by_code, is_counted, message_counts, unseen, usage
from bench.analysis.leaks import leaks
from bench.analysis.samples import (
    generator_samples,
    request_samples,
    session_sample,
    share,
    turn_sample,
)
from bench.analysis.server_quirks import quirks
from bench.analysis.sessions import connecting, span
from bench.analysis.settings_mismatch import count_unhonoured, unhonoured
from bench.analysis.stamps import Stamps
from bench.analysis.tables import Floats
from bench.analysis.timestamp_error import Bars, causes, error_of, request_widths, widths
from bench.analysis.told import Told
from bench.analysis.turn_columns import TurnColumns
from bench.analysis.word_errors import tally, worst
from bench.plan.declaration import Metric
from bench.plan.gates import QUANTILES
from bench.plan.metrics import METRICS, PER_SESSION, PER_TURN, VERSION
from bench.runs.json_file import FORMAT
from bench.stats.interval import CONFIDENCE, Estimate
from bench.stats.quantile import RESAMPLES, estimates, woodruff
from bench.tracker.outcomes import OUTCOMES

FILTERED_RESAMPLES: Final = 400
"""Of rows for one setting or script: a third of the cost, and 95 % from ten on either side."""

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
    `excluded_turns` says.
    """

    told: Told
    sessions: pd.DataFrame
    breaches: tuple[int, int]
    set_aside: dict[str, Any]


def summarise(run: dict[str, Any], health: pd.DataFrame, measured: Measured) -> dict[str, Any]:
    """The whole document."""
    plan, sessions, told = run["plan"], measured.sessions, measured.told
    begin, stop = span(plan)
    counted = told.turns[told.turns["measured"]]
    attempted = counted[counted["outcome"] != "cut"]
    disturbances = told.disturbances
    disturbances = disturbances[(disturbances["at_ns"] >= begin) & (disturbances["at_ns"] < stop)]
    events, stamps = told.events, told.stamps
    at = events["at_ns"].to_numpy()
    rare = events[(at >= begin) & (at < stop) & is_counted(events)]
    zero_ns = stamps.start_ns(plan)
    last_ns = int(stamps.at_ns.max()) if len(stamps.at_ns) else None
    by_number = sessions.set_index("session")
    leaked = leaks(events, by_number, told.said, zero_ns)
    asked = told.mismatches
    messages = message_counts(told.messages)
    found = {
        "violations": len(told.broken),
        "leaks": len(leaked),
        "unhonoured": count_unhonoured(asked),
        "unseen_messages": len(unseen(messages)),
    }
    bars = Bars(stamps, causes(events, told.turns, told.acks))
    width = pd.DataFrame(widths(bars, attempted, PER_TURN), attempted.index)
    rows = [
        *_per_turn(attempted, width, disturbances, "", RESAMPLES),
        *_per_session(sessions, bars),
        *_per_event(plan, stamps._replace(width_ns=bars.width), health, sessions),
        *_per_request(told.acks, by_number, (begin, stop), bars),
        *_counts(counts(plan, last_ns, rare, sessions, counted, found)),
        *_filtered(attempted, width, disturbances, sessions),
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
        "quirks": quirks(events, told.messages),
        "greetings": told.greetings,
        "violations": told.broken.told(zero_ns),
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
    turns: pd.DataFrame, width: pd.DataFrame, disturbances: pd.DataFrame, only: str, resamples: int
) -> Iterator[dict[str, Any]]:
    """Figures of turns, `only` those of a filter; `width` is of their error bars."""
    columns = TurnColumns(turns)
    for metric in PER_TURN:
        found = estimates(turn_sample(metric, columns), QUANTILES, resamples)
        bar = width[metric.name].to_numpy() if metric.name in width else None
        yield from _statistics(metric, found, only, bar)
    for metric in METRICS.values():
        if metric.kind == "share":
            yield figure_row(metric, "share", share(metric, columns, disturbances), only=only)


def _filtered(
    turns: pd.DataFrame, width: pd.DataFrame, disturbances: pd.DataFrame, sessions: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    """The figures of turns again, for every setting and every script of a run that has several."""
    for column in ("setting", "script"):
        names = _names(sessions, column)
        if len(names) < 2:
            continue
        whose = disturbances["session"].map(sessions.set_index("session")[column])
        for name in names:
            mine = turns[turns[column] == name]
            yield from _per_turn(
                mine, width.loc[mine.index], disturbances[whose == name], f"{column}={name}",
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
    plan: dict[str, Any], stamps: Stamps, health: pd.DataFrame, sessions: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    """The generator's own figures: of the run, and of each worker."""
    workers = sorted(set(sessions["worker"].dropna().tolist()) | set(health["worker"].tolist()))
    for name, found in generator_samples(plan, stamps, health, sessions):
        estimated = woodruff(found.ms, found.cluster, QUANTILES)
        yield from _statistics(METRICS[name], estimated, width=found.width)
        for worker in workers:
            mine = found.worker == worker
            estimated = woodruff(found.ms[mine], found.cluster[mine], QUANTILES)
            only = f"worker={worker}"
            yield from _statistics(METRICS[name], estimated, only, found.width[mine])


def _per_request(
    requests: pd.DataFrame, sessions: pd.DataFrame, phase: tuple[int, int], bars: Bars
) -> Iterator[dict[str, Any]]:
    width = request_widths(bars, requests)
    for name, sample in request_samples(requests, sessions, *phase).items():
        yield from _statistics(METRICS[name], estimates(sample, QUANTILES), width=width[name])


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
