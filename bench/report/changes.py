"""Changes as people read them: with their sign, in percent where they are ratios."""

import math
from typing import Any

from bench.capacity.loads import amount, load_interval
from bench.report.words import NOTHING, plain, quantity


def value_of(row: dict[str, Any], side: str) -> str:
    """The value of a side; what has a p and no value lies beyond every wait."""
    value = row[side]
    if value is None and row["p"] is not None:
        return plain(math.inf)
    return quantity(value, row["unit"])


def change_of(row: dict[str, Any]) -> tuple[str, str]:
    """The change and its interval, as a page or a terminal shows them: in % where it is a ratio."""
    if row["low"] is None or row["high"] is None:
        return NOTHING, NOTHING
    if row["ratio"] is not None:
        change, low, high = (100 * (row[key] - 1) for key in ("ratio", "ratio_low", "ratio_high"))
        return f"{signed(change)} %", f"{signed(low)} to {signed(high)}"
    return (
        f"{signed(row['difference'])}{_unit(row)}",
        f"{signed(row['low'])} to {signed(row['high'])}",
    )


def detectable_of(row: dict[str, Any]) -> str:
    """The smallest change that would have been called, in the unit of `change_of`."""
    smallest = row["smallest_detectable"]
    if row.get("blind"):
        return "nothing"
    if smallest is None or lacking(row):
        return NOTHING
    if row["ratio"] is not None:
        return f"{100 * smallest / row['b']:.1f} %"
    return f"{smallest:,.1f}{_unit(row)}"


def _unit(row: dict[str, Any]) -> str:
    """A share changes by points, not by percent; a count has no unit."""
    return {"%": " pts", "1": "", "ratio": ""}.get(row["unit"], f" {row['unit']}")


def signed(value: float) -> str:
    """A change with its sign: two digits of what is small, none of what is large or nothing."""
    size = abs(value)
    if size < 0.005:
        return "0"
    return f"{value:+.2f}" if size < 1 else f"{value:+.1f}" if size < 100 else f"{value:+.0f}"


def lacking(row: dict[str, Any]) -> bool:
    """Whether it was not asked if it changed; `reason` says what is wanting.

    Of a *blind* row it was asked, and only a change beyond the whole figure would have been called.
    """
    return row["verdict"] == "inconclusive" and bool(row["reason"]) and not row.get("blind")


def chance_of(row: dict[str, Any]) -> str:
    """The corrected p as it is read: two digits, and no more zeros than matter."""
    p = row["p_holm"]
    if p is None or lacking(row):
        return NOTHING
    return "<0.001" if p < 0.001 else f"{p:.2g}"


def held(side: dict[str, Any]) -> str:
    """A capacity with its interval, as in `24 [21, 26]`, `≥ 24`, `none found`."""
    if side["capacity"] is None:
        return "none found"
    if side["at_least"]:
        return f"≥\u00a0{amount(side['capacity'])}"
    return f"{amount(side['capacity'])} {load_interval(side['low'], side['high'])}".rstrip()
