"""Text that does nothing to a terminal, whoever wrote it.

What is no printable character (escape sequences, control characters, overrides of the direction of
text, half a surrogate pair) is written out as Python writes it. Blanks of any width, line ends, and
the joiners that Persian and Hindi are written with, stay.
"""

import re
import sys
import unicodedata
from typing import Final

MOST_LINE: Final = 4_000
_HARMLESS: Final = "\n\u200c\u200d"


def _acts(letter: str) -> bool:
    blank = unicodedata.category(letter) == "Zs"
    return not (letter.isprintable() or blank or letter in _HARMLESS)


_ACTING: Final = re.compile(
    "["
    + "".join(re.escape(chr(code)) for code in range(0x3000) if _acts(chr(code)))
    + "\ud800-\uf8ff\ufeff\ufff0-\ufffb\U000e0000-"
    + chr(sys.maxunicode)
    + "]"
)


def inert_text(text: str, most: int = MOST_LINE) -> str:
    """The text with all that could act on a terminal written out; no line is longer than `most`."""
    shown = _ACTING.sub(lambda found: ascii(found[0])[1:-1], text)
    if len(shown) <= most:
        return shown
    return "\n".join(
        line if len(line) <= most else f"{line[: most - 1]}…" for line in shown.split("\n")
    )
