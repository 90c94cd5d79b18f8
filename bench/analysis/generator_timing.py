"""Rules on time: was anything late because the generator was busy?

A bound may be passed for a stated share of the measured worker-seconds (`[health]` of the
scenario); the share and not the worst second, because one collection pause in a minute does not
spoil a percentile. Each rule is a *sampler*, which knows what was seen of every worker in every
second, and the one judgement of them all (`_judge`). The seconds over the bound of a rule that
still holds are its *troubles* (`troubled`): what was measured in them is set aside.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from bench.analysis.evidence import Check, Evidence, broken, kept
from bench.analysis.sessions import span
from bench.analysis.tables import Floats, Ints, integers, is_type

_SECOND_NS: Final = 1_000_000_000
_FREE: Final = (
    "hold fewer sessions a worker, send larger chunks, add --workers, or use a quieter host"
)
_ALONE: Final = "stop what runs beside it, keep it off the generator's core (--pin), and run again"


class Watched(NamedTuple):
    """What a rule looks at: every worker-second that is known, and the limit on each.

    `who` names what was seen in the seconds over the limit; `silence` is said where nothing is
    known although there must be something.
    """

    rule: str
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
    def over(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        return np.asarray(self.seen > self.limit)

    @property
    def share(self) -> float:
        """Of worker-seconds over the limit, in %."""
        return 100.0 * float(self.over.mean()) if len(self.seen) else 0.0


def send_lateness(evidence: Evidence) -> Iterator[Check]:
    """Chunks against their due instants."""
    yield _judge(evidence, _late_sends(evidence))


def client_lag(evidence: Evidence) -> Iterator[Check]:
    """The program's stamps against the kernel's."""
    yield _judge(evidence, _late_reads(evidence))


def hub_lag(evidence: Evidence) -> Iterator[Check]:
    """The loop's own probe."""
    yield _judge(evidence, _late_loop(evidence))


def cpu_share(evidence: Evidence) -> Iterator[Check]:
    """A worker has one core."""
    yield _judge(evidence, _busy(evidence))


def steal_share(evidence: Evidence) -> Iterator[Check]:
    """What the host gave to its other guests."""
    yield _judge(evidence, _stolen(evidence))


def run_wait(evidence: Evidence) -> Iterator[Check]:
    """Ready to run, and without a core."""
    yield _judge(evidence, _waiting(evidence))


def neighbours(evidence: Evidence) -> Iterator[Check]:
    """What others took of the cores that a worker may run on."""
    yield _judge(evidence, _beside(evidence))


def throttled(evidence: Evidence) -> Iterator[Check]:
    """Held still by the CPU quota of its container."""
    yield _judge(evidence, _held_still(evidence))


def troubled(evidence: Evidence) -> pd.DataFrame:
    """Bad seconds of a run that is good: `worker`, `second`, `rule`, ordered.

    Of a rule that is broken there are none: its run is void as a whole, and shows what it has.
    """
    found = [watched for sampler in _SAMPLERS if (watched := sampler(evidence)).share]
    rows = [
        pd.DataFrame(
            {
                "worker": watched.worker[watched.over],
                "second": watched.second[watched.over],
                "rule": watched.rule,
            }
        )
        for watched in found
        if watched.share <= evidence.bounds.share
    ]
    nothing = pd.DataFrame({"worker": [], "second": []}, dtype=np.int64).assign(rule="")
    return pd.concat([nothing, *rows]).sort_values(["worker", "second"], ignore_index=True)


# ── what is looked at ────────────────────────────────────────────────────────────────────────────


def _late_sends(evidence: Evidence) -> Watched:
    events = evidence.events
    rows = is_type(events, "input_audio_buffer.append", direction="out")
    rows &= events["due_ns"].notna().to_numpy()
    at, due = events["at_ns"].to_numpy()[rows], integers(events["due_ns"][rows], 0)
    # Binned by when they were due: a stall of four seconds is four bad seconds and not one.
    worst = _worst(evidence, rows, due, at - due)
    limit, what = evidence.bounds.send_lateness, "chunks were sent late (99th percentile)"
    return Watched("send_lateness", limit / 1e6, "ms", what, *worst)


def _late_reads(evidence: Evidence) -> Watched:
    events = evidence.events
    rows = (events["direction"] == "in").to_numpy() & events["read_ns"].notna().to_numpy()
    at, read = events["at_ns"].to_numpy()[rows], integers(events["read_ns"][rows], 0)
    worst = _worst(evidence, rows, at, read - at)
    limit, what = evidence.bounds.client_lag, "messages were read late (99th percentile)"
    return Watched("client_lag", limit / 1e6, "ms", what, *worst)


def _late_loop(evidence: Evidence) -> Watched:
    worker, second, lag = _health(evidence, "hub_lag_ns")
    # A lag of four seconds is told once, and there is no row for the seconds that it swallowed.
    swallowed = np.maximum(1, -(-lag.astype(np.int64) // _SECOND_NS))
    first = np.concatenate([[0], np.cumsum(swallowed)[:-1]]) if len(swallowed) else swallowed
    back = np.arange(int(swallowed.sum())) - np.repeat(first, swallowed)
    return Watched(
        "hub_lag",
        evidence.bounds.hub_lag / 1e6,
        "ms",
        "the loop woke late (worst of a second)",
        np.repeat(worker, swallowed),
        np.repeat(second, swallowed) - back,
        np.repeat(lag / 1e6, swallowed),
        silence="no worker recorded its health in the measured phase",
    )


def _busy(evidence: Evidence) -> Watched:
    worker, second, share = _health(evidence, "cpu_share")
    limit, what = evidence.bounds.cpu, "a worker's use of its core"
    return Watched("cpu_share", limit, "%", what, worker, second, 100 * share)


def _stolen(evidence: Evidence) -> Watched:
    worker, second, share = _health(evidence, "steal_share")
    return Watched(
        "steal_share", evidence.bounds.steal, "%", "CPU time taken by the host",
        worker, second, 100 * share, "use a host of your own, or run when its neighbours are quiet",
    )  # fmt: skip


def _waiting(evidence: Evidence) -> Watched:
    worker, second, share = _health(evidence, "run_wait_share")
    what = "a worker could have run and another had the core"
    watched = Watched(
        "run_wait",
        evidence.bounds.run_wait,
        "%",
        what,
        worker,
        second,
        np.minimum(100 * share, 100.0),
        _ALONE,
    )
    return watched._replace(who=_named(_neighbours(evidence), watched))


def _beside(evidence: Evidence) -> Watched:
    """Zero for the seconds in which nobody was seen; nothing where nobody looked."""
    seen, worker, second = _neighbours(evidence), *_seconds(evidence)
    taken = seen.groupby(["worker", "second"])["share"].sum()
    grid = pd.MultiIndex.from_arrays([worker, second], names=["worker", "second"])
    share = np.minimum(taken.reindex(grid).fillna(0.0).to_numpy(np.float64), 1.0)
    looked = "worker_cores" in evidence.run
    watched = Watched(
        "neighbours",
        evidence.bounds.neighbours,
        "%",
        "other processes used the cores that a worker may run on",
        worker if looked else worker[:0],
        second if looked else second[:0],
        100 * share if looked else share[:0],
        _ALONE,
    )
    return watched._replace(who=_named(seen, watched))


def _held_still(evidence: Evidence) -> Watched:
    """What the kernel counts is of all cores of the container together, hence the bound of 1."""
    worker, second, share = _health(evidence, "throttled_share")
    share = np.minimum(share, 1.0)
    host = evidence.run.get("host") or {}
    quota = host.get("cpu_quota")
    # All workers of a run are in one container: the one that saw most of it saw it all.
    lost_s = max((float(share[worker == one].sum()) for one in set(worker.tolist())), default=0.0)
    whose = "the container" if quota is None else (
        f"the container may use {quota:g} of {host.get('cores')} cores and"
    )  # fmt: skip
    return Watched(
        "throttled", evidence.bounds.throttled, "%",
        f"{whose} was throttled for {lost_s:.1f} s of {len(set(second.tolist()))} s",
        worker, second, 100 * share, "raise its CPU limit, or use fewer sessions",
    )  # fmt: skip


_SAMPLERS: Final[tuple[Callable[[Evidence], Watched], ...]] = (
    _late_sends, _late_reads, _late_loop, _busy, _stolen, _waiting, _beside, _held_still,
)  # fmt: skip


def _worst(evidence: Evidence, rows: np.ndarray, at: Ints, late: Ints) -> tuple[Ints, Ints, Floats]:
    """(worker, second, 99th percentile in ms) of every worker-second of the measured phase."""
    begin, stop = span(evidence.run["plan"])
    within = (at >= begin) & (at < stop)
    number = evidence.sessions.set_index("session")["worker"]
    session = pd.Series(evidence.events["session"].to_numpy()[rows][within])
    samples = pd.DataFrame(
        {
            "worker": integers(session.map(number).astype("Int64"), -1),
            "second": (at[within] - evidence.start_ns) // _SECOND_NS,
            "late": late[within],
        }
    )
    worst = samples.groupby(["worker", "second"])["late"].quantile(0.99)
    worker = worst.index.get_level_values("worker").to_numpy(np.int64)
    second = worst.index.get_level_values("second").to_numpy(np.int64)
    return worker, second, worst.to_numpy(np.float64) / 1e6


def _health(evidence: Evidence, column: str) -> tuple[Ints, Ints, Floats]:
    """(worker, second, value) of a health column over the measured phase, unknown ones left out."""
    rows = evidence.measured_health()
    if column not in rows:
        rows = rows[:0].assign(**{column: 0.0})
    known = rows[rows[column].notna()]
    # A row is written at the end of the second that it is about.
    second = (integers(known["at_ns"], 0) - 1 - evidence.start_ns) // _SECOND_NS
    return integers(known["worker"], -1), second, known[column].to_numpy(np.float64)


def _seconds(evidence: Evidence) -> tuple[Ints, Ints]:
    """(worker, second) of every row of health in the measured phase."""
    worker, second, _ = _health(evidence, "at_ns")
    return worker, second


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


# ── what is said of it ───────────────────────────────────────────────────────────────────────────


def _named(seen: pd.DataFrame, watched: Watched) -> str:
    """Who took the cores while the limit was passed: the three that took most, by name."""
    bad = set(zip(watched.worker[watched.over], watched.second[watched.over], strict=True))
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


def _judge(evidence: Evidence, watched: Watched) -> Check:
    """In how many of the worker-seconds the bound was passed."""
    allowed, seen, over = evidence.bounds.share, watched.seen, watched.over
    if not len(seen):
        if watched.silence:
            return broken(
                watched.rule,
                watched.silence,
                "a worker that records nothing was lost or stood still: see the logs, and run "
                "again",
            )
        return kept(watched.rule, f"no measured second has {watched.rule}", None, allowed, "%")
    text = (
        f"{watched.what}: over {watched.limit:g} {watched.unit} in {watched.share:.1f} % of "
        f"worker-seconds, {allowed:g} % may be "
        f"({int(over.sum())} of {len(over)}, worst {seen.max():.3g})"
    )
    text += f"; {watched.who}" if watched.who else ""
    if watched.share <= allowed:
        return kept(watched.rule, text, watched.share, allowed, "%")
    second = watched.second[over]
    when = (float(second.min()), float(second.max()) + 1.0)
    return broken(watched.rule, text, watched.remedy, watched.share, allowed, "%", when)
