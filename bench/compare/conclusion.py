"""What each row comes to, and what the whole comparison does.

Theory of operation
-------------------
A row is *unchanged* where its whole 90 % interval lies inside the margin, whatever its p: what is
known to be that small does not matter. Else it is *regressed* or *improved* where it changed beyond
chance, corrected for the number of rows asked; else *inconclusive*: not enough is known.

Corrected is by Holm over the deciding *family*: p50 and p95 of the caller's wait, which share half
of the level, and p50 and p95 of the other headline metrics with the shares of turns, which share
the other half. The wait is what a caller feels and what most changes show in; as one of fourteen
equals it would be found half as often. A share that is the same in every run can never be called,
and is no test. All other rows are corrected among themselves; they are to look at and decide
nothing.

The margin is so many percent (points, of shares), and of what is told in ms at least 2 ms: as much
as a stamp of this harness may be off by.

The whole has *regressed* where any row of the family has. It is *inconclusive* where one of the
family is, *improved* where one is, else *unchanged*.

An inconclusive row says how large a change would have been seen; where that is more than the whole
figure it says that nothing could have been.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from bench.compare.differences import EQUIVALENCE, Difference, finite
from bench.plan.declaration import number
from bench.plan.metrics import WAITS
from bench.stats.effect import detectable, holm
from bench.stats.interval import CONFIDENCE

STATISTICS: Final = ("p50", "p95")
RESOLUTION_MS: Final = 2.0
EXIT_CODES: Final = {"improved": 0, "unchanged": 0, "regressed": 1, "inconclusive": 4}
_ALPHA: Final = 1 - CONFIDENCE
_WHOLE: Final = 100.0
"""Points: a share has no more to change by."""


class Margin(NamedTuple):
    """What does not matter: percent of a latency, points of a share."""

    percent: float = 5.0
    points: float = 2.0


USUAL: Final = Margin()


def wait_of(rows: Sequence[Difference]) -> str | None:
    """How long a caller waits, by the first of `WAITS` that both sides have."""
    told = {row.metric.name for row in rows if row.a is not None or row.b is not None}
    return next((name for name in WAITS if name in told), None)


def weights_of(rows: Sequence[Difference]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The part of the level that each row has in the deciding family; 0: it is not in it."""
    wait = wait_of(rows)
    first = [row.metric.name == wait and row.statistic in STATISTICS for row in rows]
    others = [not is_wait and _decides(row) for row, is_wait in zip(rows, first, strict=True)]
    halves = [sum(group) * (2 if any(first) and any(others) else 1) for group in (first, others)]
    return np.array([
        1 / halves[0] if is_wait else 1 / halves[1] if other else 0.0
        for is_wait, other in zip(first, others, strict=True)
    ])  # fmt: skip


def _decides(row: Difference) -> bool:
    if row.metric.kind == "share":
        varied = row.found is None or row.a != row.b or row.found.change != 0
        return "decides" in row.metric.uses and varied
    return "decides" in row.metric.uses and row.statistic in STATISTICS


def judged(rows: Sequence[Difference], margin: Margin) -> list[dict[str, Any]]:
    """The rows as plain values, each with its verdict; those of the family first."""
    weights = weights_of(rows)
    alphas = np.full(len(rows), _ALPHA)
    corrected = np.ones(len(rows))
    p = np.array([1.0 if row.p is None or (row.lacking and row.found) else row.p for row in rows])
    for group in (weights > 0, weights == 0):
        if group.any():
            mine = weights[group] if weights[group].all() else np.ones(int(group.sum()))
            corrected[group] = holm(p[group], mine)
            alphas[group] = _ALPHA * mine / mine.sum()
    wait = wait_of(rows)
    found = [
        _document(row, margin, float(p_holm), float(alpha), _family(row, weight, wait))
        for row, p_holm, alpha, weight in zip(rows, corrected, alphas, weights, strict=True)
    ]
    order = {"wait": 0, "headline": 1, "": 2}
    return sorted(found, key=lambda row: order[row["family"]])


def _family(row: Difference, weight: float, wait: str | None) -> str:
    return "" if not weight else "wait" if row.metric.name == wait else "headline"


def _document(
    row: Difference, margin: Margin, p_holm: float, alpha: float, family: str
) -> dict[str, Any]:
    low, high = row.ends()
    unit, both = row.unit_change, row.a is not None and row.b is not None
    smallest = None
    if row.found is not None:
        smallest = unit * row.as_change(float(detectable(row.found, alpha)))
    ratios = row.ratio and both
    verdict, reason = verdict_of(row, margin, p_holm), row.lacking
    if row.found is None and verdict in {"regressed", "improved"}:
        never, always = ("A", "B") if row.a is None else ("B", "A")
        reason = f"not reached in any run of {never} and in every run of {always}"
        reason += ": too many timed out"
    blind = _blind(row, smallest) if verdict == "inconclusive" and not reason else ""
    return {
        "metric": row.metric.name,
        "statistic": row.statistic,
        "unit": row.metric.unit,
        "a": row.a,
        "b": row.b,
        "difference": row.a - row.b if row.a is not None and row.b is not None else None,
        "ratio": row.a / row.b if ratios and row.a is not None and row.b else None,
        "low": finite(unit * low),
        "high": finite(unit * high),
        "ratio_low": finite(1 + low) if ratios else None,
        "ratio_high": finite(1 + high) if ratios else None,
        "p": row.p,
        "p_holm": None if row.p is None else p_holm,
        "smallest_detectable": finite(smallest),
        "run_shift": None if row.found is None else finite(unit * float(row.found.shift)),
        "family": family,
        "verdict": verdict,
        "reason": reason or blind,
        "blind": bool(blind),
        **row.counts,
    }


def _blind(row: Difference, smallest: float | None) -> str:
    """What is wanting where no change worth the name would have been called; else ""."""
    if smallest is None:
        return ""
    if row.metric.kind == "share" and not smallest <= _WHOLE:
        return "too few runs or sessions to see any change"
    if row.ratio and not smallest <= abs(row.b or 0.0):
        return "too few runs or sessions to see even a doubling"
    return ""


def verdict_of(row: Difference, margin: Margin, p_holm: float) -> str:
    """improved, unchanged, regressed or inconclusive."""
    if row.found is None and row.outright is not None and p_holm <= _ALPHA:
        return "regressed" if (row.a is None) == (row.metric.better == "lower") else "improved"
    if row.lacking or row.found is None:
        return "inconclusive"
    low, high = row.ends(EQUIVALENCE)
    least, most = bounds(row, margin)
    if least <= low and high <= most:
        return "unchanged"
    if p_holm > _ALPHA:
        return "inconclusive"
    worse = (float(row.found.change) > 0) == (row.metric.better == "lower")
    return "regressed" if worse else "improved"


def bounds(row: Difference, margin: Margin) -> tuple[float, float]:
    """The changes that do not matter, from and to: of the ratio less 1, or of the difference."""
    if row.metric.kind == "share":
        return -margin.points, margin.points
    share = margin.percent / 100
    size = abs(row.b or 0.0)
    least = RESOLUTION_MS if row.metric.unit == "ms" else 0.0
    if not row.ratio:
        reach = max(share * size, least)
        return -reach, reach
    reach = max(share, least / size)
    return 1 / (1 + reach) - 1, reach


def concluded(rows: Sequence[dict[str, Any]]) -> tuple[str, list[str]]:
    """The verdict of the whole, and why: a sentence each."""
    family = [row for row in rows if row["family"]]
    for word in ("regressed", "inconclusive", "improved"):
        named = [_sentence(row) for row in family if row["verdict"] == word]
        if named:
            return word, named
    if not family:
        return "inconclusive", ["the sides have no headline figure in common"]
    return "unchanged", [f"all {len(family)} rows that decide lie inside the margin"]


def _sentence(row: dict[str, Any]) -> str:
    name = f"{row['statistic']}({row['metric']})"
    if row["a"] is None or row["b"] is None or row["low"] is None or row["high"] is None:
        return f"{name} {row['verdict']}: {row['reason'] or 'its change is not known'}"
    unit = "points" if row["unit"] == "%" else row["unit"]
    size = f"{row['difference']:+.4g} {unit} [{row['low']:+.4g}, {row['high']:+.4g}]"
    if row["ratio"] is not None:
        change, low, high = (_percent(row[key]) for key in ("ratio", "ratio_low", "ratio_high"))
        size = f"{change} % [{low}, {high}], {row['difference']:+.4g} {unit}"
    words = f"{name} {row['verdict']}: {size}, p {row['p']:.2g} (corrected {row['p_holm']:.2g})"
    if row["reason"]:
        return f"{words}; {row['reason']}"
    if row["verdict"] == "inconclusive" and row["smallest_detectable"] is not None:
        return f"{words}; it would have seen {number(row['smallest_detectable'])} {unit}"
    return words


def _percent(ratio: float) -> str:
    """A ratio as a change, with its sign; what rounds to nothing is +0.0 and never -0.0."""
    return f"{round(100 * (ratio - 1), 1) + 0.0:+.1f}"
