"""Changes as people read them: with their sign, in percent where they are ratios."""

from typing import Any

from bench.report.words import NOTHING, plain


def change_of(row: dict[str, Any]) -> tuple[str, str]:
    """The change and its interval, as a page or a terminal shows them: in % where it is a ratio."""
    if row["low"] is None or row["high"] is None:
        return NOTHING, NOTHING
    if row["ratio"] is not None:
        change, low, high = (100 * (row[key] - 1) for key in ("ratio", "ratio_low", "ratio_high"))
        return f"{signed(change)} %", f"{signed(low)} to {signed(high)}"
    unit = "points" if row["unit"] == "%" else row["unit"]
    return (
        f"{signed(row['difference'])} {unit}",
        f"{signed(row['low'])} to {signed(row['high'])}",
    )


def detectable_of(row: dict[str, Any]) -> str:
    """The smallest change that would have been called, in the unit of `change_of`."""
    smallest = row["smallest_detectable"]
    if smallest is None:
        return NOTHING
    if row["ratio"] is not None:
        return f"{100 * smallest / row['b']:.1f} %"
    return f"{plain(smallest)} {'points' if row['unit'] == '%' else row['unit']}"


def signed(value: float) -> str:
    """A change with its sign: one digit, two of what is small, none of nothing."""
    size = abs(value)
    return "0" if size < 0.005 else f"{value:+.2f}" if size < 1 else f"{value:+,.1f}"
