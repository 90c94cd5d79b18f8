"""Rules on time: was anything late because the generator was busy?

A bound may be passed for a stated share of the measured worker-seconds (`[health]` of the
scenario); the share and not the worst second, because one collection pause in a minute does not
spoil a percentile.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from bench.analysis.evidence import Check, Evidence, broken, kept
from bench.analysis.sessions import span
from bench.analysis.tables import Floats, Ints, integers, is_type

_FREE: Final = (
    "hold fewer sessions a worker, send larger chunks, add --workers, or use a quieter host"
)


class Bound(NamedTuple):
    """A limit on every worker-second, and the words for it."""

    rule: str
    limit: float
    unit: str
    what: str
    remedy: str = _FREE


def send_lateness(evidence: Evidence) -> Iterator[Check]:
    """Chunks against their due instants."""
    events = evidence.events
    rows = is_type(events, "input_audio_buffer.append", direction="out")
    rows &= events["due_ns"].notna().to_numpy()
    at, due = events["at_ns"].to_numpy()[rows], integers(events["due_ns"][rows], 0)
    limit = evidence.bounds.send_lateness / 1e6
    bound = Bound("send_lateness", limit, "ms", "chunks were sent late (99th percentile)")
    # Binned by when they were due: a stall of four seconds is four bad seconds and not one.
    yield _over_seconds(evidence, bound, *_worst(evidence, rows, due, at - due))


def client_lag(evidence: Evidence) -> Iterator[Check]:
    """The program's stamps against the kernel's."""
    events = evidence.events
    rows = (events["direction"] == "in").to_numpy() & events["read_ns"].notna().to_numpy()
    at, read = events["at_ns"].to_numpy()[rows], integers(events["read_ns"][rows], 0)
    limit = evidence.bounds.client_lag / 1e6
    bound = Bound("client_lag", limit, "ms", "messages were read late (99th percentile)")
    yield _over_seconds(evidence, bound, *_worst(evidence, rows, at, read - at))


def hub_lag(evidence: Evidence) -> Iterator[Check]:
    """The loop's own probe."""
    second, lag = _health(evidence, "hub_lag_ns")
    if not len(lag):
        yield broken(
            "hub_lag",
            "no worker recorded its health in the measured phase",
            "a worker that records nothing was lost or stood still: see the logs, and run again",
        )
        return
    limit = evidence.bounds.hub_lag / 1e6
    bound = Bound("hub_lag", limit, "ms", "the loop woke late (worst of a second)")
    # A lag of four seconds is told once, and there is no row for the seconds that it swallowed.
    swallowed = np.maximum(1, -(-lag.astype(np.int64) // 1_000_000_000))
    yield _over_seconds(
        evidence, bound, np.repeat(second, swallowed), np.repeat(lag / 1e6, swallowed)
    )


def cpu_share(evidence: Evidence) -> Iterator[Check]:
    """A worker has one core."""
    second, share = _health(evidence, "cpu_share")
    bound = Bound("cpu_share", evidence.bounds.cpu, "%", "a worker's use of its core")
    yield _over_seconds(evidence, bound, second, 100 * share)


def steal_share(evidence: Evidence) -> Iterator[Check]:
    """What the host gave to its other guests."""
    second, share = _health(evidence, "steal_share")
    bound = Bound(
        "steal_share", evidence.bounds.steal, "%", "CPU time taken by the host",
        "use a host of your own, or run when its neighbours are quiet",
    )  # fmt: skip
    yield _over_seconds(evidence, bound, second, 100 * share)


def _worst(evidence: Evidence, rows: np.ndarray, at: Ints, late: Ints) -> tuple[Ints, Floats]:
    """(second, 99th percentile in ms) of every worker-second of the measured phase."""
    begin, stop = span(evidence.run["plan"])
    within = (at >= begin) & (at < stop)
    number = evidence.sessions.set_index("session")["worker"]
    session = pd.Series(evidence.events["session"].to_numpy()[rows][within])
    samples = pd.DataFrame(
        {
            "worker": integers(session.map(number).astype("Int64"), -1),
            "second": (at[within] - evidence.start_ns) // 1_000_000_000,
            "late": late[within],
        }
    )
    worst = samples.groupby(["worker", "second"])["late"].quantile(0.99)
    second = worst.index.get_level_values("second").to_numpy(np.int64)
    return second, worst.to_numpy(np.float64) / 1e6


def _health(evidence: Evidence, column: str) -> tuple[Ints, Floats]:
    """(second, value) of a health column over the measured phase, unknown ones left out."""
    rows = evidence.measured_health()
    known = rows[rows[column].notna()]
    # A row is written at the end of the second that it is about.
    second = (integers(known["at_ns"], 0) - 1 - evidence.start_ns) // 1_000_000_000
    return second, known[column].to_numpy(np.float64)


def _over_seconds(evidence: Evidence, bound: Bound, second: Ints, values: Floats) -> Check:
    """In how many of the worker-seconds the bound was passed."""
    allowed = evidence.bounds.share
    if not len(values):
        return kept(bound.rule, f"no measured second has {bound.rule}", None, allowed, "%")
    over = values > bound.limit
    share = 100.0 * float(over.mean())
    text = (
        f"{bound.what}: over {bound.limit:g} {bound.unit} in {share:.1f} % of worker-seconds, "
        f"{allowed:g} % may be ({int(over.sum())} of {len(over)}, worst {values.max():.3g})"
    )
    if share <= allowed:
        return kept(bound.rule, text, share, allowed, "%")
    when = (float(second[over].min()), float(second[over].max()) + 1.0)
    return broken(bound.rule, text, bound.remedy, share, allowed, "%", when)
