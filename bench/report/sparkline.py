"""Figures as blocks, wherever text is all there is: a line of them, or columns of some lines."""

from collections.abc import Sequence
from typing import Final

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_SLICES: Final = f" {_BLOCKS}"


def sparkline(values: Sequence[float | str], least_span: float = 0.0) -> str:
    """A block a value, from the lowest to the highest of them; a mark (a string) stands as it is.

    `least_span`: values that are closer to each other than this are drawn around the middle.
    """
    known = [value for value in values if not isinstance(value, str)]
    if not known:
        return "".join(map(str, values))
    span = max(max(known) - min(known), least_span) or 1.0
    bottom, top = (max(known) + min(known) - span) / 2, len(_BLOCKS) - 1
    return "".join(
        value if isinstance(value, str) else _BLOCKS[round((value - bottom) / span * top)]
        for value in values
    )


def columns(values: Sequence[float], height: int) -> list[str]:
    """A column a value, from zero to the highest of them, in so many lines, the top first."""
    top = max(values) or 1.0
    eighths = [round(value / top * height * len(_BLOCKS)) for value in values]
    return [
        "".join(_SLICES[min(max(full - row * len(_BLOCKS), 0), len(_BLOCKS))] for full in eighths)
        for row in reversed(range(height))
    ]
