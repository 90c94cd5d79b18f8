"""The run's event and health files as tables of exact integers.

Theory of operation
-------------------
Instants are nanoseconds and do not fit a float64, so a nullable integer column stays a pandas
`Int64` and never becomes a float on the way. Rows are ordered by session and instant; rows of one
session with the same instant (segments that the kernel coalesced share one stamp) keep the order
of the log, which is the order on the wire. `row` numbers them: "the last one before" means by row.

A sent message has two stamps, before and after the system call, and left in between: `at_ns -
at_err_ns` and `at_ns`. What is late is judged by the later, what is answered is timed from the
earlier (`sent_ns`): on a short path the answer arrives before the call returns. For the same reason
its row may stand after its answer's; `places` puts it where it belongs.

The event's own id and what is only shown (the report does) are not read: a million random strings
cost more than all the rest.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.data_file import DataError, reading
from bench.errors import RunFolderError
from bench.plan.metrics import METRICS
from bench.runs.seal import EVENTS as EVENT_SCHEMA
from bench.runs.seal import HEALTH
from bench.runs.table_file import check_table, kinds_of, reading_table
from bench.tracker.event import MOST_MS, body_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_Work = TypeVar("_Work", bound=Callable[..., Any])


def plain_strings(work: _Work) -> _Work:
    """A function within which strings are Python's and not pyarrow's.

    Nearly all columns of text hold a few dozen words, whose every access pyarrow makes ten times as
    slow; a million rows take as long either way.
    """
    return pd.option_context("mode.string_storage", "python")(work)


EVENTS = [
    "session", "at_ns", "at_err_ns", "read_ns", "direction", "type", "item_id", "response_id",
    "due_ns", "media_ns", "audio_ms", "audio_ns", "nbytes", "envelope", "detail", "output_index",
    "content_index", "previous_id", "call_id",
]  # fmt: skip
_LATER = {
    "output_index": "Int64", "content_index": "Int64", "previous_id": "string", "call_id": "string",
}  # fmt: skip
"""Columns that the first runs did not have: nothing is known there."""
WORDS: Final = ["direction", "type", "item_id", "response_id"]
_TEXTS = (
    "script", "setting", "role", "utterance", "text", "outcome", "reason", "item_id",
    "response_id", "transcript", "reply", "interrupted_while", "slowed_by", "unit", "marker",
    "address", "input_format", "output_format", "awaited", "assumed",
)  # fmt: skip
_FLAGS = (
    "measured", "manual", "textual", "interrupted_by_caller", "set_aside", "unread", "in_vain",
)  # fmt: skip
_COUNTS = (
    "session", "worker", "turn", "slot", "close_code", "planned_turns", "reads",
    "stamped", "words", "word_errors", "substitutions", "deletions", "insertions",
    "segments_lost",
)  # fmt: skip
_FIGURES: Final[dict[str, str]] = {
    **dict.fromkeys(METRICS, "figure"),
    **dict.fromkeys(_FLAGS, "flag"),
    **dict.fromkeys(_TEXTS, "text"),
    **dict.fromkeys(_COUNTS, "int"),
}
_KNOWN: Final[dict[str, tuple[dict[str, str], tuple[str, ...]]]] = {
    "events.parquet": (
        kinds_of(EVENT_SCHEMA),
        tuple(field.name for field in EVENT_SCHEMA if not field.nullable),
    ),
    "health.parquet": (
        kinds_of(HEALTH),
        ("worker", "at_ns"),
    ),
    "turns.parquet": (_FIGURES, ("session", "turn", "outcome", "measured")),
    "sessions.parquet": (_FIGURES, ("session", "outcome", "measured")),
}
"""What the columns of each table hold, and which must be there without a gap."""


PART: Final = 500_000
"""Rows of events that are analysed at once, or a few more: a session is never parted."""


def read_events(
    path: Path, columns: Sequence[str] = EVENTS, some: list[tuple[str, str, Any]] | None = None
) -> pd.DataFrame:
    """Events ordered by session and instant, with `row` 0…n-1; `some` as in `read_table`.

    RunFolderError where the file is unreadable.
    """
    there = _names(path) if set(columns) & _LATER.keys() else []
    known = [name for name in columns if name not in _LATER or name in there]
    return _ordered(read_table(path, known, some), columns)


class EventParts:
    """The events of a run, read a few sessions at a time: in each part `row` begins with 0.

    `rows` is how many there are, `sessions` are the numbers of all, in order. RunFolderError where
    the file is unreadable.
    """

    def __init__(self, path: Path, columns: Sequence[str] = EVENTS) -> None:
        self._path, self._columns = path, columns
        # Nearly all runs are small: they are read once.
        self._whole = read_events(path, columns) if _count(path) <= PART else None
        read = read_table(path, ["session"]) if self._whole is None else self._whole
        session = np.sort(read["session"].to_numpy(np.int64))
        self.rows, self.sessions = len(session), np.unique(session)
        self._firsts: Ints = np.unique(session[::PART])

    def __iter__(self) -> Iterator[pd.DataFrame]:
        if self._whole is not None:
            yield self._whole
            return
        for first, end in pairwise([*self._firsts.tolist(), int(self.sessions[-1]) + 1]):
            some = [("session", ">=", first), ("session", "<", end)]
            yield read_events(self._path, self._columns, some)

    def of_types(self, types: Collection[str]) -> pd.DataFrame:
        """The rows of some types of message alone, of all sessions; or all there are."""
        if self._whole is not None:
            return self._whole
        return read_events(self._path, self._columns, [("type", "in", list(types))])


def _count(path: Path) -> int:
    """The rows of a parquet file; none where it cannot be read, which reading it will say."""
    try:
        check_table(path, {})
        return int(pq.read_metadata(path).num_rows)
    except (DataError, OSError):
        return 0


def _ordered(events: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Events as they were read, typed and in order, with `row`."""
    for name in set(columns) - set(events.columns):
        events[name] = pd.Series(pd.NA, events.index, dtype=_LATER[name])
    for name in events.columns.intersection(WORDS):
        if not isinstance(events[name].dtype, pd.CategoricalDtype):
            events[name] = events[name].astype("category")
    for name in events.columns.intersection(["session", "at_ns", "at_err_ns", "nbytes"]):
        events[name] = events[name].to_numpy(np.int64)
    if "audio_ms" in events:
        odd = (events["audio_ms"].abs() > MOST_MS).fillna(value=False)
        events["audio_ms"] = events["audio_ms"].mask(odd) if odd.any() else events["audio_ms"]
    session, at = events["session"].to_numpy(), events["at_ns"].to_numpy()
    step = np.diff(session)
    if ((step < 0) | ((step == 0) & (np.diff(at) < 0))).any():
        # lexsort is stable: equal instants keep the order of the log.
        events = events.take(np.lexsort((at, session)))
    events = events.reset_index(drop=True)
    events["row"] = np.arange(len(events), dtype=np.int64)
    return events


def _names(path: Path) -> list[str]:
    """The columns of a parquet file; none where it cannot be read, which reading it will say."""
    try:
        check_table(path, {})
        return list(pq.read_schema(path).names)
    except (DataError, OSError):
        return []


def read_health(path: Path) -> pd.DataFrame:
    """One row per worker and second. RunFolderError where unreadable."""
    return read_table(path, None)


def read_table(
    path: Path,
    columns: list[str] | None,
    some: list[tuple[str, str, Any]] | None = None,
    *,
    nullable: bool = True,
) -> pd.DataFrame:
    """A parquet file, or `some` rows of it, as (column, operator, value).

    Its integers are `nullable`, or as pandas has them by itself. RunFolderError names the file and
    the remedy.
    """
    kinds, needed = _KNOWN.get(path.name, ({}, ()))
    with reading(
        f"{path.parent.name}/{path.name}",
        RunFolderError,
        "seal the run again with 'bench report'",
        missing="seal the run with 'bench report'",
    ):
        check_table(path, kinds, needed if columns is None else columns, exact=needed)
        with reading_table():
            table = (
                pd.read_parquet(path, columns=columns, filters=some, dtype_backend="numpy_nullable")
                if nullable
                else pq.read_table(path, columns=columns, filters=some).to_pandas()
            )
        for name in table.columns.intersection(list(needed)):
            if table[name].isna().any():
                raise DataError(f"{name}: has a gap")
    return table


def of_type(events: pd.DataFrame, *types: str, direction: str = "in") -> pd.DataFrame:
    """The rows of some message types in one direction, in order."""
    rows = np.flatnonzero(is_type(events, *types, direction=direction))
    return events.take(rows) if len(rows) else events.iloc[:0]  # most types are in few runs


def is_type(events: pd.DataFrame, *types: str, direction: str = "in") -> NDArray[np.bool_]:
    """Which rows are of some message types in one direction."""
    return _coded(events["type"], types) & _coded(events["direction"], (direction,))


def _coded(column: pd.Series, words: Iterable[str]) -> NDArray[np.bool_]:
    """Which rows of a categorical hold one of `words`: compares codes, never strings."""
    categorical = column.array
    codes, categories = categorical.codes, categorical.categories
    found = np.zeros(len(codes), bool)
    for word in words:
        if word in categories:
            found |= codes == categories.get_loc(word)
    return found


def sent_ns(rows: pd.DataFrame) -> Ints:
    """When sent messages began to leave: before the system call."""
    return (rows["at_ns"] - rows["at_err_ns"]).to_numpy(np.int64)


def places(events: pd.DataFrame, rows: pd.DataFrame) -> Ints:
    """Where rows stand in the order of the log, doubled so that there is room in between.

    A sent message stands just before the first row of its session that may be its answer.
    """
    row, begun = rows["row"].to_numpy(), sent_ns(rows)
    session, at = events["session"].to_numpy(), events["at_ns"].to_numpy()
    mine = rows["session"].to_numpy()
    outgoing = _coded(rows["direction"], ("out",))
    before = row.copy()
    while len(before):
        above = np.maximum(before - 1, 0)
        earlier = outgoing & (before > 0) & (session[above] == mine) & (at[above] > begun)
        if not earlier.any():
            break
        before = before - earlier
    return np.where(outgoing, 2 * before - 1, 2 * row)


def codes(column: pd.Series) -> Ints:
    """A dense integer for each word of a categorical; -1 where there is none."""
    return column.cat.codes.to_numpy().astype(np.int64)


def integers(column: pd.Series, missing: int) -> Ints:
    """A nullable integer column as plain int64, with `missing` where there is none."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "i":
        return column.to_numpy(np.int64)
    return column.to_numpy(dtype=np.int64, na_value=missing)


def optional(column: pd.Series) -> list[Any]:
    """A nullable column as a list, None where there is none."""
    plain = column.to_numpy(object, copy=True)
    plain[column.isna().to_numpy(bool)] = None
    return list(plain.tolist())


def changes(*columns: NDArray[Any]) -> Flags:
    """Where any of the columns differs from the row before; the first row does."""
    found = np.zeros(len(columns[0]), bool)
    found[:1] = True
    for column in columns:
        found[1:] |= column[1:] != column[:-1]
    return found


def nullable(values: Ints, present: NDArray[np.bool_]) -> pd.arrays.IntegerArray:
    """Plain integers as a nullable column: NA where not `present`."""
    return pd.arrays.IntegerArray(np.where(present, values, 0), ~present)


def texts(column: pd.Series) -> pd.Series:
    """A column of text; empty where there is none."""
    words = np.array(column, dtype=object)
    words[column.isna().to_numpy(bool)] = ""
    return pd.Series(words, column.index, object)


def joined(words: pd.Series, by: pd.Series, separator: str) -> pd.Series:
    """The words of each group, joined in order; groups of one, nearly all, cost nothing."""
    alone = ~by.duplicated(keep=False)
    single = pd.Series(words[alone].to_numpy(), by[alone].to_numpy(), object)
    several = words[~alone].groupby(by[~alone].to_numpy()).agg(separator.join)
    every: pd.Series = pd.concat([single, several.astype(object)])
    return every


def parsed(rows: pd.DataFrame, *keys: str) -> pd.DataFrame:
    """The `detail` JSON of rare rows as columns `keys`; None where a row does not say."""
    found = bodies(rows)
    return pd.DataFrame(
        {key: pd.Series([entry.get(key) for entry in found], rows.index, object) for key in keys}
    )


def bodies(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The `detail` JSON of rare rows; empty where a row has none, or one that is no object."""
    return [body_of(text) for text in texts(rows["detail"])]


def latest(session: Ints, key: Ints, of_session: Ints, of_key: Ints) -> NDArray[np.intp]:
    """For each (session, key): the index of the last of the others at or before it; -1 where none.

    `of_session` and `of_key` are the others; among equal keys the last one wins.
    """
    n = len(of_key)
    both = np.concatenate([of_session, session])
    keys = np.concatenate([of_key, key])
    # lexsort is stable and the others come first, so at equal keys they sort before.
    order = np.lexsort((keys, both))
    seen = np.maximum.accumulate(np.where(order < n, np.arange(len(order)), -1))
    found = np.where(seen >= 0, order[np.maximum(seen, 0)], -1)
    asked = order >= n
    result = np.full(len(key), -1, np.intp)
    result[order[asked] - n] = found[asked]
    if n == 0:
        return result
    same = of_session[np.maximum(result, 0)] == session
    return np.where((result >= 0) & same, result, -1)
