"""What this harness's figures are worth: a run against a server whose truth is known, judged.

A result is a plain dictionary, one per run::

    sessions, truth        concurrency, and the name of the server's behaviour
    fit, why               whether its figures can be trusted, and what speaks against it
    events                 {n, lost, extra, covered (%), p1_ms, p50_ms, p99_ms, p99_abs_ms, max_ms,
                           width_p99_ms}: errors of the stamps
    metrics                {NAME: {n, bias_ms, p99_abs_ms, unpaired}}
    sends                  {n, p50_ms, p99_ms}: how late chunks left
    audio_clock_drift_ms   over a minute
    cpu_per_session        seconds of worker CPU per session-second

`calibration.json` holds the results of a machine and what machine that was (`fingerprint`).

*Audio clock drift*: a chunk is due when its last sample has been captured: microphone opened +
media position + length. That is worked out anew from the opening and from what each chunk says of
itself, not from the due instants of the log, so a clock that slips takes its own dues along in
vain. If the audio clock runs straight, chunks at the end of a session are as late as those at its
start: the drift is the slope of lateness over time, times a minute. It is the median over pairs,
each chunk of a session's first half with its counterpart in the second (Theil and Sen's estimator
on half of the pairs), so one late chunk moves nothing.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from msgspec import Struct

from bench.analysis.pipeline import write_json
from bench.analysis.sessions import sessions_table, span
from bench.analysis.tables import (
    EVENTS,
    Ints,
    integers,
    of_type,
    plain_strings,
    read_events,
    read_health,
)
from bench.analysis.true_stamps import (
    at_the_truth,
    extra_events,
    figure_errors,
    join_truth,
    lost_events,
    measured,
    read_truth,
    stamp_errors,
)
from bench.data_file import DataError, MissingError, fitted, read_json_file
from bench.errors import RunFolderError
from bench.plan.metrics import CALIBRATED_BY
from bench.runs.folder import RunFolder
from bench.tracker.event import NEVER
from bench.voice.microphone import APPEND

FORMAT: Final = 1
BIAS_MS: Final = 0.3
"""The most that the headline may be biased by, at the median."""
ERROR_MS: Final = 2.0
"""The most that a stamp, and the headline, may be off by, at the 99th percentile."""
COVERED: Final = 99.0
"""The least share in % of events whose own error bar covers the truth."""
BEYOND: Final = "beyond what was calibrated"

_MINUTE_MS: Final = 60_000.0
_APART_NS: Final = 1_000_000_000
"""Chunks nearer to each other say more of the wake-up between them than of the clock."""

Result = dict[str, Any]


class _Stamps(Struct):
    """How far stamps were off; null where there was none."""

    n: int
    p99_abs_ms: float | None = None


class _Metric(Struct):
    n: int
    bias_ms: float | None = None
    p99_abs_ms: float | None = None
    unpaired: int = 0


class _Measured(Struct):
    sessions: int
    fit: bool
    why: list[str]
    events: _Stamps
    metrics: dict[str, _Metric]


class _Calibration(Struct):
    """`calibration.json`, as far as any reader relies on it."""

    format: int
    host: dict[str, Any]
    results: list[_Measured]


class MetricError(NamedTuple):
    """What the harness adds to a metric: the median, and how far a single turn may be off."""

    n: int
    bias_ms: float
    p99_abs_ms: float


class HarnessError(NamedTuple):
    """The harness's own error at a load: measured with `sessions` a worker, at least as many.

    `stamp_ms` is the 99th percentile of the absolute error of a single stamp.
    """

    sessions: int
    stamp_ms: float
    metrics: dict[str, MetricError]


@plain_strings
def calibrate_run(folder: Path, verdict: dict[str, Any], *, sessions: int, truth: str) -> Result:
    """The result of a sealed and judged run against the embedded reference server.

    RunFolderError where a file cannot be read.
    """
    place = RunFolder.open(folder)
    run = place.read()
    plan = run["plan"]
    events = read_events(place.events, [*EVENTS, "event_id"])
    events, sent = join_truth(events, read_truth(place.truth))
    lost = lost_events(events, sent, sessions_table(events, plan))
    result = {
        "sessions": sessions,
        "truth": truth,
        "events": {**stamp_errors(events), "lost": lost, "extra": extra_events(events)},
        "metrics": figure_errors(measured(events, run), measured(at_the_truth(events), run)),
        "sends": sends(events),
        "audio_clock_drift_ms": audio_clock_drift(events),
        "cpu_per_session": cpu_per_session(read_health(place.health), plan),
    }
    why = [check["text"] for check in verdict["validity"] if not check["ok"]] + doubts(result)
    return {**result, "fit": not why, "why": why}


def doubts(result: Result) -> list[str]:
    """What the comparison with the truth says against a result; empty: nothing."""
    events, figure = result["events"], result["metrics"][CALIBRATED_BY]
    found = [
        f"events {words}: {events[key]}"
        for key, words in (("lost", "lost"), ("extra", "never sent"))
        if events[key]
    ]
    if not events["n"] or not figure["n"]:
        return [*found, "no turn was answered: a longer --duration is needed"]
    if events["covered"] < COVERED:
        found.append(f"error bars cover the truth in {events['covered']:.1f} % of events only")
    if events["p99_abs_ms"] > ERROR_MS:
        found.append(f"stamps are off by {events['p99_abs_ms']:.1f} ms at p99")
    if abs(figure["bias_ms"]) > BIAS_MS:
        found.append(f"{CALIBRATED_BY} is biased by {figure['bias_ms']:+.2f} ms")
    if figure["p99_abs_ms"] > ERROR_MS:
        found.append(f"{CALIBRATED_BY} is off by {figure['p99_abs_ms']:.1f} ms at p99")
    found += [
        f"turns with a {name} by one of the two stamps only: {metric['unpaired']}"
        for name, metric in result["metrics"].items()
        if metric["unpaired"]
    ]
    return found


def trusted(results: Sequence[Result]) -> list[Result]:
    """The results of all concurrencies below the first that is not fit, ascending."""
    unfit = min((one["sessions"] for one in results if not one["fit"]), default=None)
    kept = [one for one in results if unfit is None or one["sessions"] < unfit]
    return sorted(kept, key=_sessions)


def trust_statement(results: Sequence[Result]) -> str:
    """What a person needs to know: up to how many sessions, at which error, and why not more."""
    kept = trusted(results)
    unfit = min((one for one in results if not one["fit"]), key=_sessions, default=None)
    if not kept:
        most, doubt = (unfit["sessions"], unfit["why"][0]) if unfit else (0, "nothing was measured")
        return f"do not trust this machine with {most} session{_s(most)} a worker: {doubt}"
    most, within = kept[-1]["sessions"], max(max(_errors(one)) for one in kept)
    words = f"trust this machine up to {most} session{_s(most)} a worker, at ± {within:.1f} ms"
    return words + (f"; not with {unfit['sessions']}: {unfit['why'][0]}" if unfit else "")


def _sessions(result: Result) -> int:
    return int(result["sessions"])


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _errors(result: Result) -> list[float]:
    """The 99th percentiles of absolute errors: of stamps and of every headline metric, in ms."""
    figures = [metric["p99_abs_ms"] for metric in result["metrics"].values() if metric["n"]]
    return [result["events"]["p99_abs_ms"], *figures]


def harness_error(calibration: dict[str, Any], sessions: int) -> HarnessError | None:
    """The harness's own error with so many sessions a worker; None: beyond what was calibrated.

    It is that of the nearest calibrated concurrency that is no lower; of several runs there (one
    for each truth) the worst. Only concurrencies below the first that was not fit count.
    """
    enough = [one for one in trusted(calibration["results"]) if one["sessions"] >= sessions]
    nearest = [one for one in enough if one["sessions"] == enough[0]["sessions"]]
    if not nearest:
        return None
    names = sorted({name for one in nearest for name in one["metrics"]})
    metrics = {}
    for name in names:
        told = [one["metrics"][name] for one in nearest if name in one["metrics"]]
        told = [metric for metric in told if metric["n"]]
        if told:
            metrics[name] = MetricError(
                sum(metric["n"] for metric in told),
                max((metric["bias_ms"] for metric in told), key=abs),
                max(metric["p99_abs_ms"] for metric in told),
            )
    stamp = max(one["events"]["p99_abs_ms"] for one in nearest)
    return HarnessError(nearest[0]["sessions"], stamp, metrics)


# ── the generator's own part ─────────────────────────────────────────────────────────────────────


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
    rows = of_type(events, APPEND, direction="out")
    rows = rows[rows["media_ns"].notna() & rows["session"].isin(opened.index)]
    session, at = rows["session"].to_numpy(np.int64), rows["at_ns"].to_numpy(np.int64)
    due = opened.reindex(session).to_numpy(np.int64)
    due = due + integers(rows["media_ns"], 0) + integers(rows["audio_ns"], 0)
    return session, due, at - due


# ── calibration.json ─────────────────────────────────────────────────────────────────────────────


def fingerprint(run: dict[str, Any]) -> dict[str, Any]:
    """What machine, program and chunk length a `run.json` is of: what calibrations hold for."""
    host = run["host"]
    return {
        "machine": host.get("machine"),
        "cores": host.get("cores"),
        "memory_bytes": host.get("memory_bytes"),
        "python": host.get("python"),
        "kernel": host.get("system"),
        "bench": run["bench_version"],
        "pinned": bool(run.get("pinned")),
        "chunk_ms": run["scenario"]["effective"].get("chunk_ms"),
    }


def write_calibration(
    path: Path, results: Sequence[Result], *, host: dict[str, Any], scenario: str
) -> None:
    """Write calibration.json, replacing what was there. OSError where it cannot be."""
    document = {
        "format": FORMAT,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "scenario": scenario,
        "host": host,
        "results": list(results),
    }
    write_json(document, path)


def read_calibration(path: Path) -> dict[str, Any] | None:
    """The calibration at `path`; None where there is none. RunFolderError where it is broken."""
    again = "make it again with `bench calibrate`"
    try:
        document = read_json_file(path)
        fitted(document, _Calibration)
    except MissingError:
        return None
    except DataError as error:
        raise RunFolderError(f"{path}: {error}; {again}") from None
    if document["format"] != FORMAT:
        raise RunFolderError(f"{path}: format {document['format']!r}; {again}")
    return dict(document)


def error_of_run(run: dict[str, Any], held: int, calibration: dict[str, Any] | None) -> Result:
    """What a calibration says of a run that held so many sessions a worker, as plain values.

    `sessions` (that it was calibrated with), `stamp_ms`, `metrics` {NAME: {n, bias_ms,
    p99_abs_ms}}; where it says nothing of it `why` not, and what to do.
    """
    again = f"`bench calibrate --sessions {held}`"
    if calibration is None:
        return {"held": held, "why": f"timing error not measured yet: run {again}"}
    ours, theirs = fingerprint(run), calibration["host"]
    others = [name for name in ours if ours[name] != theirs.get(name)]
    if others:
        words = ", ".join(f"{name} {theirs.get(name)} and not {ours[name]}" for name in others)
        return {"held": held, "why": f"the calibration is of another set-up ({words}): {again}"}
    known = harness_error(calibration, held)
    if known is None:
        most = max((one["sessions"] for one in trusted(calibration["results"])), default=0)
        return {
            "held": held,
            "why": f"{held} sessions a worker are {BEYOND} ({most}): {again}, or more workers",
        }
    return {
        "held": held,
        "sessions": known.sessions,
        "stamp_ms": known.stamp_ms,
        "metrics": {name: metric._asdict() for name, metric in known.metrics.items()},
        "when": calibration.get("when"),
    }
