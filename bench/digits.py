"""Digits as people read them, in every room: thin spaces between thousands."""

from typing import Final

THIN: Final = "\u202f"
"""A narrow no-break space: between thousands, and before a unit."""


def grouped(value: float, digits: int = 0) -> str:
    """A number with so many digits after the point: `1 234.5`."""
    return f"{value:,.{digits}f}".replace(",", THIN)
