"""How the command line prints: a line, a table, a document for a script; `say` for all of them.

Texts go out as they are: nothing in them is markup, and what a script may read is never wrapped. A
terminal has its lines broken between words.
"""

import json
import os
import re
from collections.abc import Sequence
from io import StringIO
from typing import Any, Final, TextIO

from rich import box
from rich.console import Console, JustifyMethod, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from bench.report.text import clip

talk = Console(stderr=True)
"""What happens, for a person who waits."""
out = Console()
"""The answer."""

COLOURS: Final = {
    "pass": "green", "improved": "green", "unchanged": "green", "fail": "red", "regressed": "red",
    "inconclusive": "yellow", "invalid": "magenta",
}  # fmt: skip
"""Of every verdict: red is for failure alone."""
_LONGEST: Final = 200
_UNBOUNDED: Final = 100_000


class Leaving:
    """A standard stream whose reader may leave, as `head` does: what comes after goes nowhere.

    So a verb does to its end what it was asked for, and its exit code is its own.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream or StringIO()  # None: it was closed from the start

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            return self._drop(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._drop()

    def _drop(self, text: str = "") -> int:
        """From now on it leads nowhere, and so does what it still holds."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def say(console: Console, line: str | Text, style: str | None = None) -> None:
    """Print a line as it is; one that is longer than a terminal is wide breaks between words."""
    text = Text(line) if isinstance(line, str) else line
    for part in text.divide(_breaks(text.plain, console.width)) if console.is_terminal else [text]:
        part.rstrip()
        console.print(part, style=style, highlight=False, markup=False, soft_wrap=True)


def _breaks(text: str, width: int) -> list[int]:
    """Where a line of a terminal has to begin, for no word to be broken that fits into one."""
    begins = [0]
    for word in re.finditer(r"\S+", text):
        if word.end() - begins[-1] > width and word.start() > begins[-1]:
            begins.append(word.start())
    return begins[1:]


def print_json(document: Any) -> None:
    """Print a document for a script; ValueError for a number that JSON has not."""
    print(json.dumps(document, indent=2, allow_nan=False))


def print_table(
    console: Console,
    columns: Sequence[str],
    rows: Sequence[Sequence[RenderableType]],
    *,
    title: str = "",
    caption: str = "",
    tight: bool = False,
    dispensable: Sequence[str] = (),
) -> None:
    """Print rows under a head.

    A column whose name begins with ">" is aligned to the right, one with "~" may be folded, and no
    other is ever broken. `tight`: no blank but one between columns. `dispensable`: columns that a
    narrow terminal does without, the least important first.
    """
    free = console.options.update(width=_UNBOUNDED)
    for number in range(len(dispensable) + 1):
        table = Table(
            title=title or None,
            caption=caption or None,
            box=box.SIMPLE_HEAD,
            title_justify="left",
            padding=0 if tight else (0, 1, 0, 0),
            pad_edge=not tight,
        )
        _fill(table, columns, rows, dispensable[:number])
        if Measurement.get(console, free, table).maximum <= console.width:
            break
    console.print(table)


def _fill(
    table: Table,
    columns: Sequence[str],
    rows: Sequence[Sequence[RenderableType]],
    left_out: Sequence[str],
) -> None:
    kept = [place for place, column in enumerate(columns) if column not in left_out]
    for place in kept:
        marks, name = columns[place][:2], columns[place].lstrip(">~")
        side: JustifyMethod = "right" if ">" in marks else "left"
        if "~" in marks:
            table.add_column(name, justify=side, overflow="fold")
        else:
            table.add_column(name, justify=side, overflow="ellipsis", no_wrap=True)
    for row in rows:
        cells = (row[place] for place in kept)
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))


def inert(value: object) -> str:
    """What a server said, as one short line that does nothing to a terminal."""
    # What is no printable character (escape sequences, other directions of text) is written out.
    line = " ".join(str(value).split())
    shown = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)
    return clip(shown, _LONGEST)
