"""How the command line prints: a line, a table, a document for a script; `say` for all of them.

Texts are data, whoever wrote them: nothing in them is markup, nothing of them acts on a terminal
(`bench.inert_text`), and what a script may read is never wrapped. A terminal has its lines broken
between words.
"""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich import box
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from bench.inert_text import inert_text
from bench.report.text import clip


class InertConsole(Console):
    """A console on which text is text: all that is printed, live or not, goes through `render`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, highlight=False, emoji=False, **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """The segments of what is printed, each made inert but for those that rich itself made."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=inert_text(segment.text))


talk: Final = InertConsole(stderr=True)
"""What happens, for a person who waits."""
out: Final = InertConsole()
"""The answer."""

COLOURS: Final = {
    "pass": "green", "improved": "green", "unchanged": "green", "fail": "red", "regressed": "red",
    "inconclusive": "yellow", "invalid": "magenta",
}  # fmt: skip
"""Of every verdict: red is for failure alone."""
_LONGEST: Final = 200
_UNBOUNDED: Final = 100_000


def say(console: Console, line: str | Text, style: str | None = None) -> None:
    """Print a line as it is; one that is longer than a terminal is wide breaks between words."""
    text = Text(inert_text(line)) if isinstance(line, str) else line
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
    print(json.dumps(document, indent=2, allow_nan=False).replace("\x7f", "\\u007f"))


def print_text(text: str) -> None:
    """Print a document of many lines, whole."""
    print(inert_text(text, sys.maxsize), end="")


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
            title=Text(inert_text(title)) if title else None,
            caption=Text(inert_text(caption)) if caption else None,
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
        table.add_row(
            *(Text(inert_text(cell)) if isinstance(cell, str) else cell for cell in cells)
        )


def inert(value: object) -> str:
    """What a server said, as one short line that does nothing to a terminal."""
    return clip(inert_text(" ".join(str(value).split())), _LONGEST)
