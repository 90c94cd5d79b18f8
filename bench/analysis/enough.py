"""Are there enough samples to decide a gate, and about how many sessions more would do?

Theory of operation
-------------------
What counts is the *effective* number of samples (`quantile`): turns of one session resemble each
other, and a hundred of them may be worth forty. A quantile is seen beyond only with as many of them
as the exact binomial asks for (p99: 299).

An interval narrows with the square root of its samples, so a quantile whose interval reaches past
the limit by `reach` while its value lies `gap` from it needs (reach / gap)² times as many. A
share's exact interval is tried with more and more samples until it clears the limit. All of it
supposes that the value stays where it is, and that more sessions are like those that there are:
hence "about".

A row, here, is one of the summary or an entry of a verdict: `value`, `low`, `high`, `n`, and
`effective` where it is known.
"""

import math
from typing import Any, Final

from bench.analysis.quantile import FEW_SESSIONS, exact, needed
from bench.plan.gates import QUANTILES, Gate
from bench.plan.metrics import METRICS

MOST_TIMES: Final = 100.0
"""More samples than so many times those that there are is no advice."""


def upper(gate: Gate) -> bool:
    """Whether the limit is one that may not be passed upwards."""
    return gate.operator in {"<", "<="}


def effective(row: dict[str, Any]) -> float:
    """Independent samples, where the row says how many; else its samples."""
    known = row.get("effective")
    return float(row["n"] if known is None else known)


def wanted(gate: Gate) -> int:
    """Samples without which a quantile is not seen beyond, or a mean is no mean; 0: any will do."""
    if gate.statistic == "mean":
        return FEW_SESSIONS
    q = QUANTILES.get(gate.statistic)
    return 0 if q is None else needed(q if upper(gate) else 1 - q)


def short(gate: Gate, row: dict[str, Any]) -> int:
    """How many of those are wanting."""
    return max(0, math.ceil(wanted(gate) - effective(row) - 1e-9))


def advice(gate: Gate, row: dict[str, Any], limit: float, sessions: int) -> str:
    """What it takes to decide an open gate: "about 12 more sessions like these, or a run …".

    A longer run has as many more, since who has ended is followed by another; `--duration` asks it.
    `sessions` is how many gave the samples of the row; 0: not known, and samples are told.
    """
    of = METRICS[gate.metric].of
    if METRICS[gate.metric].kind == "share" and limit in {0.0, 100.0}:
        return f"another limit: no number of samples shows exactly {limit:g} %"
    if of == "event":
        return "a longer run"
    if any(one.key == "session" for one in gate.where):
        return "a session of more turns"
    times = _times_short(gate, row) if short(gate, row) else _times(gate, row, limit)
    if times is None:
        return "more sessions than can be told from these"
    have = row["n"] if of == "session" or not sessions else sessions
    count = max(1, math.ceil(have * (times - 1) - 1e-9))
    more = f"about {count} more {'session' if sessions else of}{'s' if count > 1 else ''}"
    if not sessions:
        return more
    longer = math.ceil(10 * (have + count) / have - 1e-9) / 10
    return f"{more} like these, or a run {longer:g} times as long"


def _times_short(gate: Gate, row: dict[str, Any]) -> float:
    """How many times as many samples are enough of them.

    Of few sessions each is taken for one sample; from `FEW_SESSIONS` on their turns count.
    """
    some = effective(row)
    if some >= FEW_SESSIONS or gate.statistic == "mean":
        return wanted(gate) / some
    return max(wanted(gate) / float(row["n"]), FEW_SESSIONS / some)


def _times(gate: Gate, row: dict[str, Any], limit: float) -> float | None:
    """How many times as many samples take the interval off the limit; None: it cannot be told."""
    if row["value"] is None:
        return None
    value, low, high = float(row["value"]), row["low"], row["high"]
    if METRICS[gate.metric].kind == "share":
        return _share_times(value / 100, limit / 100, effective(row))
    far = high if value < limit else low
    if far is None or value == limit:
        return None
    times = ((far - value) / (limit - value)) ** 2
    return times if times <= MOST_TIMES else None


def _share_times(share: float, limit: float, n: float) -> float | None:
    if not 0 <= share <= 1:  # words wrong may be more than were said
        return None
    fewest, most = 1.0, 2.0
    while not _clears(share, limit, n * most):
        fewest, most = most, 2 * most
        if most > MOST_TIMES:
            return None
    for _ in range(20):
        middle = (fewest + most) / 2
        fewest, most = (fewest, middle) if _clears(share, limit, n * middle) else (middle, most)
    return most


def _clears(share: float, limit: float, n: float) -> bool:
    """Whether the exact interval of a share of so many samples leaves the limit outside."""
    low, high = exact(share, n)
    return not low <= limit <= high
