"""Rules on time: was anything late because the generator was busy?

Theory of operation
-------------------
A bound may be passed for a stated share of the measured worker-seconds (`[health]` of the
scenario); the share and not the worst second, because one collection pause in a minute does not
spoil a percentile. Each rule of `TIMING` is told by what was seen of every worker in every second;
one judgement (`timing_check`) does for all. The seconds over the bound of a rule that still holds
are its *bad seconds*: what was measured in them is excluded.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from bench.analysis.evidence import Check, Evidence, check
from bench.analysis.sessions import span, workers_of
from bench.analysis.tables import Flags, Floats, Ints, changes, integers
from bench.stats.quantile import sorted_quantile

_SECOND_NS: Final = 1_000_000_000
_FREE: Final = (
    "hold fewer sessions a worker, send larger chunks, add --workers, or use a quieter host"
)
_ALONE: Final = "stop what runs beside it, keep it off the generator's core (--pin), and run again"


class Seconds(NamedTuple):
    """What was seen in every worker-second that is known, and the limit on each.

    `who` names what was seen in the seconds over the limit; `silence` is said where nothing is
    known although there must be something.
    """

    limit: float
    unit: str
    what: str
    worker: Ints
    second: Ints
    seen: Floats
    remedy: str = _FREE
    who: str = ""
    silence: str = ""

    @property
    def over(self) -> Flags:
        return np.asarray(self.seen > self.limit)

    @property
    def share(self) -> float:
        """Of worker-seconds over the limit, in %."""
        return 100.0 * float(self.over.mean()) if len(self.seen) else 0.0


def bad_seconds(evidence: Evidence) -> pd.DataFrame:
    """Bad seconds of a run that is good: `worker`, `second`, `rule`, ordered.

    Of a rule that is broken there are none: its run is void as a whole, and shows what it has.
    """
    rows = [pd.DataFrame({"worker": [], "second": []}, dtype=np.int64).assign(rule="")]
    for rule, sample in TIMING.items():
        found = sample(evidence)
        if 0 < found.share <= evidence.bounds.share:
            worker, second = found.worker[found.over], found.second[found.over]
            rows.append(pd.DataFrame({"worker": worker, "second": second, "rule": rule}))
    return pd.concat(rows).sort_values(["worker", "second"], ignore_index=True)


def timing_check(rule: str, evidence: Evidence) -> Check:
    """In how many of the worker-seconds the bound of a rule of `TIMING` was passed."""
    found, allowed = TIMING[rule](evidence), evidence.bounds.share
    seen, over = found.seen, found.over
    if not len(seen) and found.silence:
        remedy = (
            "a worker that records nothing was lost or stood still: see the logs, and run again"
        )
        return check(rule, found.silence, remedy, ok=False)
    if not len(seen):
        text = f"no measured second has {rule}"
        return check(rule, text, "", ok=True, measured=(None, allowed, "%"))
    text = (
        f"{found.what}: above {found.limit:g} {found.unit} for {found.share:.1f} % of the time "
        f"({int(over.sum())} of {len(over)} worker-seconds, worst {seen.max():.3g} {found.unit}); "
        f"at most {allowed:g} % is allowed"
    )
    text += f"; {found.who}" if found.who else ""
    second = found.second[over]
    when = (float(second.min()), float(second.max()) + 1.0) if len(second) else (None, None)
    ok, measured = found.share <= allowed, (found.share, allowed, "%")
    return check(rule, text, found.remedy, ok=ok, measured=measured, when=when)


# ── what is looked at ────────────────────────────────────────────────────────────────────────────


def _late_sends(evidence: Evidence) -> Seconds:
    stamps = evidence.stamps
    # Binned by when they were due: a stall of four seconds is four bad seconds and not one.
    worst = _worst(evidence, stamps.chunks, stamps.at_ns - stamps.late_ns)
    limit, what = evidence.bounds.send_lateness, "chunks were sent late (99th percentile)"
    return Seconds(limit / 1e6, "ms", what, *worst)


def _late_reads(evidence: Evidence) -> Seconds:
    worst = _worst(evidence, evidence.stamps.reads, evidence.stamps.at_ns)
    limit, what = evidence.bounds.client_lag, "messages were read late (99th percentile)"
    return Seconds(limit / 1e6, "ms", what, *worst)


def _late_loop(evidence: Evidence) -> Seconds:
    worker, second, lag = _health(evidence, "hub_lag_ns")
    # A lag of four seconds is told once, and there is no row for the seconds that it swallowed.
    swallowed = np.maximum(1, -(-lag.astype(np.int64) // _SECOND_NS))
    first = np.concatenate([[0], np.cumsum(swallowed)[:-1]]) if len(swallowed) else swallowed
    back = np.arange(int(swallowed.sum())) - np.repeat(first, swallowed)
    return Seconds(
        evidence.bounds.hub_lag / 1e6,
        "ms",
        "the loop woke late (worst of a second)",
        np.repeat(worker, swallowed),
        np.repeat(second, swallowed) - back,
        np.repeat(lag / 1e6, swallowed),
        silence="no worker recorded its health in the measured phase",
    )


def _busy(evidence: Evidence) -> Seconds:
    worker, second, share = _health(evidence, "cpu_share")
    limit, what = evidence.bounds.cpu, "a worker's use of its core"
    return Seconds(limit, "%", what, worker, second, 100 * share)


def _stolen(evidence: Evidence) -> Seconds:
    worker, second, share = _health(evidence, "steal_share")
    remedy = "use a host of your own, or run when its neighbours are quiet"
    limit, what = evidence.bounds.steal, "CPU time taken by the host"
    return Seconds(limit, "%", what, worker, second, 100 * share, remedy)


def _waiting(evidence: Evidence) -> Seconds:
    worker, second, share = _health(evidence, "run_wait_share")
    what = "a worker could have run and another had the core"
    share = np.minimum(100 * share, 100.0)
    found = Seconds(evidence.bounds.run_wait, "%", what, worker, second, share, _ALONE)
    return found._replace(who=_named(_neighbours(evidence), found))


def _beside(evidence: Evidence) -> Seconds:
    """Zero for the seconds in which nobody was seen; nothing where nobody looked."""
    seen, (worker, second, _) = _neighbours(evidence), _health(evidence, "at_ns")
    if "worker_cores" not in evidence.run:
        worker, second = worker[:0], second[:0]
    share = np.zeros(len(worker))
    if len(seen):
        taken = seen.groupby(["worker", "second"])["share"].sum()
        grid = pd.MultiIndex.from_arrays([worker, second], names=["worker", "second"])
        share = 100 * np.minimum(taken.reindex(grid).fillna(0.0).to_numpy(np.float64), 1.0)
    what = "other processes used the cores that a worker may run on"
    found = Seconds(evidence.bounds.neighbours, "%", what, worker, second, share, _ALONE)
    return found._replace(who=_named(seen, found))


def _held_still(evidence: Evidence) -> Seconds:
    """What the kernel counts is of all cores of the container together, hence the bound of 1."""
    worker, second, share = _health(evidence, "throttled_share")
    share = np.minimum(share, 1.0)
    host = evidence.run.get("host") or {}
    quota = host.get("cpu_quota")
    # All workers of a run are in one container: the one that saw most of it saw it all.
    lost_s = max((float(share[worker == one].sum()) for one in set(worker.tolist())), default=0.0)
    whose = "the container"
    if quota is not None:
        whose += f" may use {quota:g} of {host.get('cores')} cores and"
    what = f"{whose} was throttled for {lost_s:.1f} s of {len(set(second.tolist()))} s"
    remedy = "raise its CPU limit, or use fewer sessions"
    return Seconds(evidence.bounds.throttled, "%", what, worker, second, 100 * share, remedy)


def _worst(evidence: Evidence, rows: Flags, at: Ints) -> tuple[Ints, Ints, Floats]:
    """(worker, second, 99th percentile in ms) of every worker-second of the measured phase.

    Of the `rows` of the log, whose second is that of `at`.
    """
    begin, stop = span(evidence.run["plan"])
    within = rows & (at >= begin) & (at < stop)
    worker = workers_of(evidence.sessions, evidence.stamps.session[within])
    second = (at[within] - evidence.start_ns) // _SECOND_NS
    late = evidence.stamps.late_ns[within] / 1e6
    order = np.lexsort((late, second, worker))
    worker, second, late = worker[order], second[order], late[order]
    edges = np.flatnonzero(changes(worker, second))
    spans = pairwise([*edges.tolist(), len(late)])
    worst = [sorted_quantile(late[begin:end], 0.99) for begin, end in spans]
    return worker[edges], second[edges], np.array(worst, np.float64)


def _health(evidence: Evidence, column: str) -> tuple[Ints, Ints, Floats]:
    """(worker, second, value) of a health column over the measured phase, unknown ones left out."""
    health = evidence.health
    values: pd.Series = health.get(column, pd.Series(np.nan, health.index))
    known = evidence.measured_seconds() & values.notna().to_numpy(bool)
    # A row is written at the end of the second that it is about.
    second = (integers(health["at_ns"], 0)[known] - 1 - evidence.start_ns) // _SECOND_NS
    return integers(health["worker"], -1)[known], second, values[known].to_numpy(np.float64)


def _neighbours(evidence: Evidence) -> pd.DataFrame:
    """Who was seen on the cores of each worker: `worker`, `second`, `name`, `core`, `share`.

    `share` is of all the cores that the worker may run on together, 0 to 1.
    """
    run = evidence.run
    processes, cores = run.get("processes") or {}, run.get("worker_cores") or []
    rows = []
    for worker in range(int(run.get("workers") or 0)):
        process = processes.get(str(worker), -1)
        mine = cores[process] if 0 <= process < len(cores) else []
        for seen in run.get("neighbours") or ():
            if seen["core"] in mine:
                first = (seen["from_ns"] - evidence.start_ns) / _SECOND_NS
                # The look falls somewhere into a second of health: it is about the nearest one.
                name = f"{seen['name']} (process {seen['number']})"
                share = seen["share"] / len(mine)
                rows.append((worker, round(first), name, seen["core"], share))
    return pd.DataFrame(rows, columns=["worker", "second", "name", "core", "share"])


def _named(seen: pd.DataFrame, found: Seconds) -> str:
    """Who took the cores while the limit was passed: the three that took most, by name."""
    bad = set(zip(found.worker[found.over], found.second[found.over], strict=True))
    near = {(worker, second + step) for worker, second in bad for step in (-1, 0, 1)}
    rows = seen[[pair in near for pair in zip(seen["worker"], seen["second"], strict=True)]]
    if rows.empty:
        return ""
    seconds = rows.groupby(["worker", "second"]).ngroups
    most = rows.groupby(["name", "core"])["share"].sum().sort_values(ascending=False)[:3]
    told = zip(most.index.tolist(), most.tolist(), strict=True)
    return "beside it ran " + ", ".join(
        f"{name} on core {core} ({100 * share / seconds:.0f} % of what the worker may use)"
        for (name, core), share in told
    )


TIMING: Final[dict[str, Callable[[Evidence], Seconds]]] = {
    "send_lateness": _late_sends,
    "client_lag": _late_reads,
    "hub_lag": _late_loop,
    "cpu_share": _busy,
    "steal_share": _stolen,
    "run_wait": _waiting,
    "neighbours": _beside,
    "throttled": _held_still,
}
