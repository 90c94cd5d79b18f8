"""Markdown that shows a text as it is, wherever the text came from.

GitHub's and GitLab's dialect: CommonMark with tables, strikethrough, mathematics in dollars, and
addresses that become links by themselves.
"""

import re
from typing import Final

from bench.report.words import clip

LONGEST: Final = 600
"""Characters of one text; what is longer is cut with an ellipsis."""
_MARKUP: Final = re.compile(
    # Not every underscore: names of metrics are to be read, and inside a word it marks nothing.
    r"[\\`*\[\]|~$#!]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"
    # Nor is an address to become a link.
    r"|:(?=//)|(?<=www)\."
)


def inert(text: object) -> str:
    """Any text as one line of Markdown that shows just that text, in or out of a table."""
    line = "".join(letter for letter in clip(text, LONGEST) if letter.isprintable())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\g<0>", line)


def table_head(names: tuple[str, ...], sides: str) -> tuple[str, str]:
    """The two lines that begin a table; `sides` has l or r for each column."""
    return row(*names), row(*("---:" if side == "r" else "---" for side in sides))


def row(*cells: str) -> str:
    """One line of a table; its cells are Markdown already."""
    return f"| {' | '.join(cells)} |"
