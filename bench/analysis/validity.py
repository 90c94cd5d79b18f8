"""Was the generator honest? The rules of an invalid run, each a line of one table (`RULES`).

Theory of operation
-------------------
Figures of a run are the target's only while the generator was never the limit, nothing was lost on
the way and the clock ran straight. Each rule takes the evidence of a run folder and answers with
one or more checks: what was found, what is allowed, when, and what to do about it. A rule that
finds no evidence where there must be some is broken, not kept: silence proves nothing.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from bench.analysis.evidence import Check, Evidence, broken, kept
from bench.analysis.generator_timing import (
    client_lag,
    cpu_share,
    hub_lag,
    neighbours,
    run_wait,
    send_lateness,
    steal_share,
    throttled,
)
from bench.analysis.sessions import ALLOWANCE_NS
from bench.analysis.tables import integers
from bench.analysis.word_errors import remarks_on
from bench.tracker.event import ALWAYS, NEVER

CLOCK_STEP_MS: Final = 50.0
"""A jump of wall clock against monotonic clock that is no slewing (NTP steps from 128 ms on, a
frozen machine shows as much). Kernel stamps are converted with this pair of clocks."""

BY_TARGET: Final = (
    "refused",
    "silent",
    "malformed",
    "binary",
    "too_big",
    "closed",
    "broken",
    "stalled",
    "timeout",
    "overloaded",
)
"""Session outcomes that are the target's doing. Sessions missing for them make a result, not an
invalid run; whether the generator was fit is for the other rules."""


def check_run(evidence: Evidence) -> list[Check]:
    """Every rule's checks, in the order of the table; of a run that never began, why it did not."""
    begun = evidence.run["plan"].get("start_ns") is not None or not evidence.run.get("faults")
    return [check for rule in (RULES if begun else (_faults,)) for check in rule(evidence)]


def _sessions_held(evidence: Evidence) -> Iterator[Check]:
    """Closed load: sessions ready, on average over the measured phase, against those intended."""
    intended, bound = evidence.run["plan"].get("sessions"), evidence.bounds.sessions
    if intended is None:
        return
    _, share, text = _load(evidence)
    if share >= bound:
        yield kept("sessions", text, share, bound, "%")
        return
    if shortfall(evidence):
        yield kept("sessions", f"{text}: the target's doing", share, bound, "%")
        return
    rows = evidence.measured_health()
    low = rows[rows["sessions_open"] < bound / 100 * rows["sessions_intended"]]
    seconds = evidence.seconds(integers(low["at_ns"], 0))
    when = (float(seconds.min()) - 1.0, float(seconds.max())) if len(seconds) else (None, None)
    remedy = "connects were late or the target out of reach: use more workers, look at the outcomes"
    yield broken("sessions", text, remedy, share, bound, "%", when)


def _load(evidence: Evidence) -> tuple[float, float, str]:
    """(sessions held on average, their share of those intended in %, that in words)."""
    intended, bound = evidence.run["plan"]["sessions"], evidence.bounds.sessions
    connecting = float((evidence.summary.get("connecting") or {}).get("allowed") or 0.0)
    rows = evidence.measured_health()
    held = float(rows.groupby("worker")["sessions_open"].mean().sum()) + connecting
    share = 100.0 * held / intended
    text = f"{held:.1f} of {intended} sessions were ready ({share:.0f} %, at least {bound:g} %)"
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


def _drained(evidence: Evidence) -> Iterator[Check]:
    workers, drained = int(evidence.run["workers"]), set(evidence.run["drained"])
    lost = sorted(set(range(workers)) - drained)
    if not lost:
        yield kept(
            "workers",
            "the worker drained" if workers == 1 else f"all {workers} workers drained",
            workers,
            workers,
            "workers",
        )
        return
    words = " and ".join(map(str, lost))
    yield broken(
        "workers",
        f"worker {words} was lost: it never acknowledged its drain",
        "see its log for why it ended (killed, out of memory), and run again",
        workers - len(lost),
        workers,
        "workers",
    )


def _rows(evidence: Evidence) -> Iterator[Check]:
    run = evidence.run
    written, sealed = sum(run["rows_written"].values()), run["rows_sealed"]
    found = len(evidence.events)
    text = f"{written} rows were written, {sealed} sealed, {found} found"
    if written == sealed == found:
        yield kept("rows", text, found, written, "rows")
    else:
        remedy = "rows were lost between worker and disk: check its space and errors, run again"
        yield broken("rows", text, remedy, found, written, "rows")


def _clock(evidence: Evidence) -> Iterator[Check]:
    pairs = np.array(sorted(evidence.run.get("clock_pairs") or []), np.int64).reshape(-1, 2)
    step = np.abs(np.diff(pairs[:, 1] - pairs[:, 0])) / 1e6
    worst = float(step.max(initial=0.0))
    if worst <= CLOCK_STEP_MS:
        text = f"the clocks of the host parted by at most {worst:.1f} ms from second to second"
        yield kept("clock", text, worst, CLOCK_STEP_MS, "ms")
        return
    seconds = evidence.seconds(pairs[1:][step > CLOCK_STEP_MS, 0])
    yield broken(
        "clock",
        f"the wall clock stepped by {worst:.0f} ms: kernel stamps near it are wrong",
        "let the clock be slewed and not stepped, keep the machine awake, and run again",
        worst,
        CLOCK_STEP_MS,
        "ms",
        (float(seconds.min()) - 1.0, float(seconds.max())),
    )


def _faults(evidence: Evidence) -> Iterator[Check]:
    """What the run itself found wrong."""
    for fault in evidence.run.get("faults") or ():
        edges = [fault.get("from_ns"), fault.get("to_ns")]
        begin, end = (None if at is None else (at - evidence.start_ns) / 1e9 for at in edges)
        yield broken(fault["rule"], fault["text"], fault["remedy"], when=(begin, end))


def _identity(evidence: Evidence) -> Iterator[Check]:
    checks = evidence.summary["checks"]
    breaches, checked = checks["identity_breaches"], checks["identity_checked"]
    text = f"voice to voice is the sum of its parts in {checked - breaches} of {checked} turns"
    if not breaches:
        yield kept("identity", text, 0, 0, "turns")
    else:
        remedy = "the log contradicts itself, or this is a bug: please report it with the run"
        yield broken("identity", text, remedy, breaches, 0, "turns")


def remarks(evidence: Evidence) -> list[str]:
    """What is no reason to void a run and yet must be known; each a sentence.

    How late the embedded server was is in its latency, as any target's would be: its own affair.
    """
    found = []
    aside = evidence.summary.get("set_aside") or {}
    if aside.get("seconds"):
        spans = ", ".join(
            f"{one['from_s']}–{one['to_s']} s (worker {one['worker']}: {', '.join(one['rules'])})"
            for one in aside["spans"][:3]
        )
        more = "" if len(aside["spans"]) <= 3 else f" and {len(aside['spans']) - 3} more"
        found.append(
            f"{aside['turns']} turns are set aside: the generator was not fit in {spans}{more}"
        )
    stamps = evidence.summary.get("stamps") or {}
    if stamps.get("reads", 0) > stamps.get("by_kernel", 0):
        share = 100 * (1 - stamps["by_kernel"] / stamps["reads"])
        found.append(
            f"the kernel stamped nothing in {share:.0f} % of reads: arrivals there are stamped "
            "before parsing, and their error bars reach back to when the socket was last empty"
        )
    found += _greeted(evidence.summary.get("greetings") or {})
    addresses = evidence.summary.get("addresses") or {}
    if len(addresses) > 1:
        told = ", ".join(f"{address} ({count})" for address, count in addresses.items())
        found.append(
            f"the target has {len(addresses)} addresses, and sessions took them in turn: {told}"
        )
    found += _unscraped(evidence.run.get("gauges") or {})
    reference = evidence.run.get("reference") or {}
    late, bound = reference.get("late_p99_ms"), evidence.bounds.server_lateness / 1e6
    if reference and (late is None or late > bound):
        said = f"{late:.1f} ms late at p99" if late is not None else "it did not say how late"
        busy = 100 * (reference.get("cpu_share") or 0.0)
        found.append(
            f"the reference server did not keep its own schedule: {said}, {bound:g} ms may be, at "
            f"{busy:.0f} % of a core; its latency has that in it"
        )
    longest = reference.get("loop_lag_max_ms") or 0.0
    if (stalls := reference.get("stalls")) and longest > bound:
        times = "once" if stalls == 1 else f"{stalls} times"
        found.append(
            f"the reference server stood still {times}, for up to {longest:.0f} ms: what was due "
            "just then came so much later, whatever its quantiles say"
        )
    if ended := evidence.run.get("ended_by"):
        found.append(f"the run ended early: {ended['text']}")
    if reset := evidence.run.get("page_reset"):
        found.append(
            f"somebody pressed reset in Locust's page {reset} into the run: the figures of that "
            "page begin anew there, and none of these do"
        )
    looks = evidence.run.get("interim") or {}
    if broken_off := looks.get("broken"):
        found.append(f"--abort-on-fail looked no more at the run from some point on: {broken_off}")
    elif looks and not looks["looks"]:
        found.append("--abort-on-fail: no look was made; the run ended before the first was due")
    found += remarks_on(evidence.summary.get("words") or {})
    found += _blind(looks, (ended or {}).get("gate"), evidence.run.get("plan") or {})
    return found


def _greeted(told: dict[str, Any]) -> Iterator[str]:
    """Agents that spoke first, and those that did not although their callers waited for it."""
    if unasked := told.get("unasked", {}).get("count"):
        yield (
            f"{unasked} of {told['sessions']} sessions were greeted unasked (first: session "
            f"{told['unasked']['first']}): their callers talked over it, which may have shifted "
            'the first turn; set caller.greeting = "hear" to have it heard out'
        )
    if missing := told.get("missing", {}).get("count"):
        yield (
            f"{missing} of {told['sessions']} sessions waited for a greeting that did not come "
            f"(first: session {told['missing']['first']}) until caller.answer_timeout was over; "
            'set caller.greeting = "ignore" where the agent does not speak first'
        )


def _unscraped(told: dict[str, Any]) -> Iterator[str]:
    """What the metrics URL did not say: no figure of the run rests on it."""
    if lost := told.get("lost"):
        yield (
            f"the metrics URL did not answer in {lost} of {told['scrapes']} scrapes "
            f"(most often: it {told['why']}): the server's gauges are not known then"
        )
    for gauge, times in (told.get("missing") or {}).items():
        answers = told["scrapes"] - told["lost"]
        yield f"gauge {gauge} was not there in {times} of {answers} answers of the metrics URL"


def _blind(looks: dict[str, Any], by: str | None, plan: dict[str, Any]) -> Iterator[str]:
    """The gates that --abort-on-fail could not go by, and what would help."""
    for gate, (had, needs) in (looks.get("blind") or {}).items():
        if gate == by:
            continue
        window_s = looks["window_s"] * needs / max(had, 0.1)
        measured_s = ((plan.get("measured_to_ns") or 0) - (plan.get("measured_from_ns") or 0)) / 1e9
        helps = (
            f"--abort-window {math.ceil(window_s)}s would hold enough"
            if window_s <= measured_s / 2
            else "a run of this length has no window that holds enough"
        )
        yield (
            f"--abort-on-fail: no window of {looks['window_s']:g} s had samples enough for "
            f"{gate!r} (worth {had:g} at most, it needs {needs:g}), so only all of them beyond the "
            f"limit could have ended the run; {helps}"
        )


RULES: Final[tuple[Callable[[Evidence], Iterator[Check]], ...]] = (
    send_lateness,
    client_lag,
    hub_lag,
    cpu_share,
    steal_share,
    run_wait,
    neighbours,
    throttled,
    _sessions_held,
    _drained,
    _rows,
    _clock,
    _faults,
    _identity,
)
