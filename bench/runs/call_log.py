"""A call log, as telephone systems and billing export it, made into a trace.

A row a call: when it started (ISO 8601, or seconds since any zero), and how long it lasted
(seconds, or h:mm:ss). The columns are told by name, or found by what they are commonly called.
Calls are put in order; the trace begins with the first of them.
"""

import csv
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from bench.data_file import DataError, read_bytes, reading, text_of
from bench.errors import UsageError, nearest
from bench.runs.trace_file import LENGTH, MOST_BYTES, MOST_INSTANTS, START, delimiter_of

STARTS: Final = (
    "start", "start_time", "started_at", "start_at", "started", "begin", "call_start", "timestamp",
    "time", "date", START,
)  # fmt: skip
LENGTHS: Final = (
    "duration", "duration_s", "duration_seconds", "seconds", "length", "billsec", "call_duration",
    "talk_time", LENGTH,
)  # fmt: skip
"""What columns of start and duration are commonly called."""


class LoggedCall(NamedTuple):
    """A call in seconds: since the first of the log, and how long; None where the log is silent."""

    start_s: float
    length_s: float | None


def read_call_log(path: Path, start: str = "", duration: str = "") -> list[LoggedCall]:
    """The calls of a log by start; `start` and `duration` name its columns.

    UsageError names the file, and the line that is wrong.
    """
    remedy = "give a CSV with a header, a column of starts and one of durations"
    with reading(path, UsageError, remedy):
        text = text_of(read_bytes(path, MOST_BYTES))
        lines = csv.reader(text.splitlines(), delimiter=delimiter_of(text))
        try:
            rows = [(lines.line_num, cells) for cells in lines if any(map(str.strip, cells))]
        except csv.Error as error:
            raise DataError(f"line {lines.line_num}: {error}") from None
        if len(rows) < 2:
            raise DataError("has no call")
        if len(rows) - 1 > MOST_INSTANTS:
            raise DataError(f"has more than {MOST_INSTANTS} calls")
        head = [cell.strip() for cell in rows[0][1]]
        begin = _column(head, start, STARTS, "--start")
        if begin is None:
            raise DataError(f"no column is called {', '.join(STARTS[:4])}, …; name it with --start")
        lasts = _column(head, duration, LENGTHS, "--duration")
        found = []
        for line, cells in rows[1:]:
            told = [*cells, *[""] * (len(head) - len(cells))]
            at = _instant(line, told[begin])
            found.append((at, None if lasts is None else _length(line, told[lasts])))
    found.sort(key=lambda call: call[0])
    zero = found[0][0]
    return [LoggedCall(at - zero, length) for at, length in found]


def trace_text(calls: Sequence[LoggedCall]) -> str:
    """The calls as a trace (CSV), to the millisecond."""
    rows = (
        f"{call.start_s:.3f},{'' if call.length_s is None else f'{call.length_s:.3f}'}\n"
        for call in calls
    )
    return f"{START},{LENGTH}\n{''.join(rows)}"


def _column(head: Sequence[str], asked: str, common: Sequence[str], option: str) -> int | None:
    if asked:
        if asked not in head:
            raise DataError(f"no column {asked!r} ({option}); {nearest(asked, head)}")
        return head.index(asked)
    words = [name.lower().replace(" ", "_").replace("-", "_") for name in head]
    return next((words.index(name) for name in common if name in words), None)


def _instant(line: int, cell: str) -> float:
    """A start, in seconds since whatever zero the log has."""
    told = cell.strip()
    try:
        value = float(told)
    except ValueError:
        try:
            at = datetime.fromisoformat(told)
        except ValueError:
            raise DataError(
                f"line {line}: {told[:40]!r} is no start; write seconds, or as in "
                "2026-11-30T08:15:00"
            ) from None
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(value):
        raise DataError(f"line {line}: {told[:40]!r} is no start")
    return value


def _length(line: int, cell: str) -> float | None:
    """A duration in seconds; None where none is said, or the call was never taken (0 s)."""
    told = cell.strip()
    if not told:
        return None
    try:
        parts = [float(part) for part in told.split(":")]
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= 3 or not all(math.isfinite(part) and part >= 0 for part in parts):
        raise DataError(f"line {line}: {told[:40]!r} is no duration; write seconds, or h:mm:ss")
    value = 0.0
    for part in parts:
        value = 60 * value + part
    return value or None
