"""A trace: when the calls of an open load start, and how long they last, from a file.

CSV or parquet. Columns are `start_s`, seconds from the start of the run, and `length_s`, seconds,
which may be missing. A CSV without a header has the same columns in this order. Starts rise.
"""

import csv
import math
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from bench.data_file import DataError, read_bytes, reading, text_of
from bench.errors import ScenarioError
from bench.plan.arrivals import Slot
from bench.runs.table_file import check_table, reading_table
from bench.voice.audio import NS_PER_S

START: Final = "start_s"
LENGTH: Final = "length_s"
MOST_INSTANTS: Final = 1_000_000
MOST_BYTES: Final = 64 << 20
_MOST_S: Final = 7 * 24 * 3600
_REMEDY: Final = f"give a column {START} of rising seconds, and {LENGTH} where calls have a length"


def read_trace(path: Path) -> list[Slot]:
    """The slots of a trace by start. ScenarioError names the file, and the line that is wrong."""
    with reading(path, ScenarioError, _REMEDY):
        rows = _of_parquet(path) if path.suffix == ".parquet" else _of_csv(path)
        found: list[Slot] = []
        for line, start, length in rows:
            if len(found) == MOST_INSTANTS:
                raise DataError(f"has more than {MOST_INSTANTS} starts")
            slot = _slot(line, start, length)
            if found and slot.start_ns < found[-1].start_ns:
                raise DataError(f"{line}: {start!s:.40} s comes before the start above it")
            found.append(slot)
        if not found:
            raise DataError("has no start")
        return found


def _slot(line: str, start: Any, length: Any) -> Slot:
    begin = _seconds(line, START, start)
    if length is None or length == "":
        return Slot(begin)
    lasts = _seconds(line, LENGTH, length)
    if not lasts:
        raise DataError(f"{line}: {LENGTH}: a call of 0 s is none")
    return Slot(begin, begin + lasts)


def _seconds(line: str, name: str, cell: Any) -> int:
    """A cell in ns."""
    try:
        value = float(cell)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{line}: {name}: {str(cell)[:40]!r} is no number of seconds") from None
    if not math.isfinite(value) or not 0 <= value <= _MOST_S:
        raise DataError(f"{line}: {name}: {value:g} s; give 0 to {_MOST_S} (a week)")
    return round(value * NS_PER_S)


def _of_parquet(path: Path) -> Iterator[tuple[str, Any, Any]]:
    check_table(path, {START: "float", LENGTH: "float"}, [START])
    with reading_table():
        file = pq.ParquetFile(path)
        if file.metadata.num_rows > MOST_INSTANTS:
            raise DataError(f"has more than {MOST_INSTANTS} starts")
        table = file.read(columns=[n for n in (START, LENGTH) if n in file.schema_arrow.names])
    columns = [table[name].to_pylist() for name in table.column_names]
    for number, (start, *length) in enumerate(zip(*columns, strict=True), 1):
        yield f"row {number}", start, length[0] if length else None


def _of_csv(path: Path) -> Iterator[tuple[str, Any, Any]]:
    text = text_of(read_bytes(path, MOST_BYTES))
    lines = csv.reader(text.splitlines(), delimiter=delimiter_of(text))
    try:
        yield from _cells(lines)
    except csv.Error as error:
        raise DataError(f"line {lines.line_num}: {error}") from None


def delimiter_of(text: str) -> str:
    """What parts the cells of a CSV, by its first line."""
    first = text.partition("\n")[0]
    return max(",;\t", key=first.count)


def _cells(lines: Iterable[list[str]]) -> Iterator[tuple[str, Any, Any]]:
    names: list[str] | None = None
    for number, cells in enumerate(lines, 1):
        told = [cell.strip() for cell in cells]
        if not any(told):
            continue
        if names is None:
            headed = START in told
            names = told if headed else [START, LENGTH]
            if headed:
                continue
        row = dict(zip_longest(names, told[: len(names)], fillvalue=""))
        yield f"line {number}", row[START], row.get(LENGTH)
