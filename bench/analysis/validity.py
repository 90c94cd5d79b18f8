"""Was the generator fit? The rules of an invalid run, each a line of one table (`RULES`).

Theory of operation
-------------------
Figures of a run are the target's only while the generator was never the limit, nothing was lost on
the way and the clock ran straight. Each rule takes the evidence of a run folder and answers with
one or more checks: what was found, what is allowed, when, and what to do about it. A rule that
finds no evidence where there must be some is broken, not kept: silence proves nothing.
"""

import math
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from bench.analysis.evidence import Check, Evidence, check
from bench.analysis.generator_timing import TIMING, timing_check
from bench.analysis.sessions import ALLOWANCE_NS, span
from bench.analysis.tables import Ints, integers
from bench.tracker.event import ALWAYS, NEVER

CLOCK_STEP_MS: Final = 50.0
"""A jump of wall clock against monotonic clock that is no slewing (NTP steps from 128 ms on, a
frozen machine shows as much). Kernel stamps are converted with this pair of clocks."""

BY_TARGET: Final = (
    "refused", "silent", "malformed", "binary", "too_big", "closed", "broken", "stalled", "timeout",
    "overloaded", "flooded",
)  # fmt: skip
"""Session outcomes that are the target's doing. Sessions missing for them make a result, not an
invalid run; whether the generator was fit is for the other rules."""


def check_run(evidence: Evidence) -> list[Check]:
    """Every rule's checks, in the order of the table; of a run that never began, why it did not."""
    begun = evidence.run["plan"].get("start_ns") is not None or not evidence.run.get("faults")
    rules = RULES.values() if begun else (_faults,)
    return [found for rule in rules for found in rule(evidence)]


def _sessions_held(evidence: Evidence) -> Iterator[Check]:
    """Closed load: sessions ready, on average over the measured phase, against those intended."""
    if evidence.run["plan"].get("sessions") is None:
        return
    bound, (_, share, text) = evidence.bounds.sessions, _load(evidence)
    by_target = bool(shortfall(evidence))
    ok, when = share >= bound or by_target, _UNKNOWN
    if not ok:
        rows = evidence.measured_health()
        low = rows[rows["sessions_open"] < bound / 100 * rows["sessions_intended"]]
        when = _from_to(evidence, integers(low["at_ns"], 0))
    remedy = "connects were late or the target out of reach: use more workers, look at the outcomes"
    text += ": the target's doing" if by_target else ""
    yield check("sessions", text, remedy, ok=ok, measured=(share, bound, "%"), when=when)


def _load(evidence: Evidence) -> tuple[float, float, str]:
    """(sessions held on average, their share of those intended in %, that in words)."""
    intended, bound = evidence.run["plan"]["sessions"], evidence.bounds.sessions
    connecting = float((evidence.summary.get("connecting") or {}).get("allowed") or 0.0)
    rows = evidence.measured_health()
    held = float(rows.groupby("worker")["sessions_open"].mean().sum()) + connecting
    share = 100.0 * held / intended
    text = (
        f"{held:.1f} of {intended} sessions were ready ({share:.0f} %, at least {bound:g} % needed)"
    )
    return held, share, text


def shortfall(evidence: Evidence) -> str:
    """Why the load that was asked for was not held, where that is the target's doing; else "".

    It refused or ended sessions, or let them wait, in at least as many slots as are missing. That
    is a result: the run was fit, and the target does not hold so many.
    """
    if evidence.run["plan"].get("sessions") is None or not len(evidence.sessions):
        return ""
    intended, sessions = evidence.run["plan"]["sessions"], evidence.sessions
    held, share, text = _load(evidence)
    if share >= evidence.bounds.sessions:
        return ""
    by_target = sessions["outcome"].isin(BY_TARGET) | sessions["in_vain"].astype(bool)
    until = integers(sessions["opened_ns"].fillna(sessions["ended_ns"]), ALWAYS)
    waited = until - ALLOWANCE_NS > integers(sessions["started_ns"], NEVER)
    guilty = sessions[by_target | waited]
    if guilty["slot"].nunique() < math.floor(intended - held):
        return ""
    vain = int(guilty["in_vain"].sum())
    said = f"; {vain} waited in vain" if vain else ""
    return f"the target did not hold the load: on average {text}{said}"


def _arrivals(evidence: Evidence) -> Iterator[Check]:
    """Open load: of the sessions due in the measured phase those that started too late, or never.

    Whoever ended the run before its time kept the rest from starting: those are counted nowhere.
    """
    run, plan = evidence.run, evidence.run["plan"]
    load = evidence.effective.get("load") or {}
    if load.get("arrivals") is None or plan.get("scheduled") is None:
        return
    begin, stop = span(plan)
    due = integers(evidence.sessions["scheduled_ns"], ALWAYS)
    late_ms = (integers(evidence.sessions["started_ns"], ALWAYS) - due) / 1e6
    late_ms = late_ms[(due >= begin) & (due < stop)]
    cut = run.get("interrupted") or run.get("ended_by") or run.get("faults")
    never = 0 if cut else max(0, int(plan["scheduled"]) - len(due))
    bound = evidence.bounds.arrival_lateness / 1e6
    late, whole = int((late_ms > bound).sum()), len(late_ms) + never
    share = 100.0 * (late + never) / max(1, whole)
    worst = float(late_ms.max(initial=0.0))
    text = f"{late} of {whole} sessions started more than {bound:g} ms late (worst {worst:.0f} ms)"
    text += f", {never} never started" if never else ""
    remedy = "raise load.connects, add --workers, or use a quieter host"
    ok = share <= evidence.bounds.share
    yield check("arrivals", text, remedy, ok=ok, measured=(share, evidence.bounds.share, "%"))


def _drained(evidence: Evidence) -> Iterator[Check]:
    workers = int(evidence.run["workers"])
    lost = sorted(set(range(workers)) - set(evidence.run["drained"]))
    text = "the worker drained" if workers == 1 else f"all {workers} workers drained"
    if lost:
        text = f"worker {' and '.join(map(str, lost))} was lost: it never acknowledged its drain"
    remedy = "see its log for why it ended (killed, out of memory), and run again"
    measured = (workers - len(lost), workers, "workers")
    yield check("workers", text, remedy, ok=not lost, measured=measured)


def _rows(evidence: Evidence) -> Iterator[Check]:
    run, found = evidence.run, len(evidence.stamps.at_ns)
    written, sealed = sum(run["rows_written"].values()), run["rows_sealed"]
    text = f"{written} rows were written, {sealed} sealed, {found} found"
    remedy = "rows were lost between worker and disk: check its space and errors, run again"
    ok, measured = written == sealed == found, (found, written, "rows")
    yield check("rows", text, remedy, ok=ok, measured=measured)


def _clock(evidence: Evidence) -> Iterator[Check]:
    pairs = np.array(sorted(evidence.run.get("clock_pairs") or []), np.int64).reshape(-1, 2)
    step = np.abs(np.diff(pairs[:, 1] - pairs[:, 0])) / 1e6
    worst = float(step.max(initial=0.0))
    text = f"the clocks of the host parted by at most {worst:.1f} ms from second to second"
    if worst > CLOCK_STEP_MS:
        text = f"the wall clock stepped by {worst:.0f} ms: kernel stamps near it are wrong"
    when = _from_to(evidence, pairs[1:][step > CLOCK_STEP_MS, 0])
    remedy = "let the clock be slewed and not stepped, keep the machine awake, and run again"
    ok, measured = worst <= CLOCK_STEP_MS, (worst, CLOCK_STEP_MS, "ms")
    yield check("clock", text, remedy, ok=ok, measured=measured, when=when)


def _faults(evidence: Evidence) -> Iterator[Check]:
    """What the run itself found wrong."""
    for fault in evidence.run.get("faults") or ():
        edges = [fault.get("from_ns"), fault.get("to_ns")]
        begin, end = (None if at is None else (at - evidence.start_ns) / 1e9 for at in edges)
        yield check(fault["rule"], fault["text"], fault["remedy"], ok=False, when=(begin, end))


def _identity(evidence: Evidence) -> Iterator[Check]:
    checks = evidence.summary["checks"]
    breaches, checked = checks["identity_breaches"], checks["identity_checked"]
    text = f"voice to voice is the sum of its parts in {checked - breaches} of {checked} turns"
    remedy = "the log contradicts itself, or this is a bug: please report it with the run"
    measured = (breaches, 0, "turns")
    yield check("identity", text, remedy, ok=not breaches, measured=measured)


_UNKNOWN: Final[tuple[float | None, float | None]] = (None, None)


def _from_to(evidence: Evidence, at_ns: Ints) -> tuple[float | None, float | None]:
    """The seconds of the run that these instants, each of which ends one, are about."""
    seconds = (at_ns - evidence.start_ns) / 1e9
    return (float(seconds.min()) - 1.0, float(seconds.max())) if len(seconds) else _UNKNOWN


def _on_time(rule: str) -> Callable[[Evidence], Iterator[Check]]:
    return lambda evidence: iter((timing_check(rule, evidence),))


RULES: Final[dict[str, Callable[[Evidence], Iterator[Check]]]] = {
    **{rule: _on_time(rule) for rule in TIMING},
    "sessions": _sessions_held,
    "arrivals": _arrivals,
    "workers": _drained,
    "rows": _rows,
    "clock": _clock,
    "faults": _faults,
    "identity": _identity,
}
