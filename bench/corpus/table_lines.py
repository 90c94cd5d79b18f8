"""The lines of a table of columns: which cells stand in each, and where its quotes went wrong.

Theory of operation
-------------------
In a CSV a quotation mark opens a cell that may go on over lines, so one that is never closed takes
the lines behind it for its own. Where quotes do not come out even (a table of a strict reader),
every line is read by itself, and the lines of which a quote is open are refused. Where they come
out even by chance, a cell has lines that look like rows of their own: its row is refused. In a TSV
a quotation mark is a quotation mark, as its makers do; so it is with `|` where it comes out odd.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final, NamedTuple

_LITERAL: Final = "\t"
_MAY_BE_LITERAL: Final = "|"
_END: Final = re.compile(r"\r\n|\r|\n")
BY_LINES: Final = "a quotation mark is not closed: every line is read by itself"
_OPEN: Final = "a quotation mark is not closed; close it"


class Line(NamedTuple):
    """The cells of one row, which begins in line `number` (from 1).

    `fault` is why it is refused, "" where it is sound.
    """

    number: int
    cells: list[str]
    fault: str = ""


def first_lines(text: str, delimiter: str, most: int) -> list[list[str]]:
    """The cells of at most so many rows, whatever their quotes: what a table may be is seen."""
    if delimiter == _LITERAL:
        return [line.cells for line in islice(_literal(text, delimiter), most)]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return list(islice(filter(any, reader), most))


def lines(
    text: str, delimiter: str, column: int, known: Callable[[str], bool]
) -> tuple[list[Line], str]:
    """All rows that are not blank, and what was assumed, "" for nothing.

    `column` has the files; `known` says whether a cell names a recording. csv.Error for cells that
    are too long.
    """
    if delimiter == _LITERAL:
        return list(_literal(text, delimiter)), ""
    try:
        found = list(_strict(text, delimiter))
    except csv.Error:
        if delimiter == _MAY_BE_LITERAL:
            return list(_literal(text, delimiter)), ""
        return list(_singly(text, delimiter)), BY_LINES
    return [_doubted(line, delimiter, column, known) for line in found], ""


def _literal(text: str, delimiter: str) -> Iterator[Line]:
    """Rows of which no cell goes over lines."""
    file = io.StringIO(text, newline="")
    reader = csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    for cells in reader:
        if any(cells):
            yield Line(reader.line_num, [_unquoted(cell) for cell in cells])


def _strict(text: str, delimiter: str) -> Iterator[Line]:
    """Rows of which every quotation mark that opens a cell closes it. csv.Error for others."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    last = 0
    for cells in reader:
        number, last = last + 1, reader.line_num
        if any(cells):
            yield Line(number, cells)


def _singly(text: str, delimiter: str) -> Iterator[Line]:
    """A row of each line; one of which a quote is open at its end has a fault."""
    for number, line in enumerate(_END.split(text), 1):
        reader = csv.reader([f"{line}\n", "\n"], delimiter=delimiter)
        cells = next(reader, [])
        if any(cells):
            yield Line(number, cells, _OPEN if reader.line_num > 1 else "")


def _doubted(line: Line, delimiter: str, column: int, known: Callable[[str], bool]) -> Line:
    """A row, with a fault where a line inside one of its cells is a row itself, by its looks."""
    for cell in line.cells:
        for more in _END.split(cell)[1:]:
            parts = more.split(delimiter)
            if len(parts) > 1 and column < len(parts) and known(parts[column].strip('" ')):
                name = parts[column].strip('" ')[:80]
                why = f"its text goes on to a line that names {name!r}"
                return line._replace(fault=f"{why}; close its quotation mark")
    return line


def _unquoted(cell: str) -> str:
    """A cell without quotation marks around it, which spreadsheets write in a TSV, too."""
    inside = cell[1:-1]
    if len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inside.replace('""', ""):
        return inside.replace('""', '"')
    return cell
